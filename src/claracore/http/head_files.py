"""How do the files of the head's models and the part of its configuration go together on this machine?

The part says which files there are; where they are here goes into the configuration in force. Another part, another own
file, a file that has come: each has this looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.core.cluster.model import Fit, NodeModel
from claracore.core.cluster.part import Part
from claracore.core.cluster.wanted import HeadDoor
from claracore.errors import ClaraCoreError

if TYPE_CHECKING:
    from claracore.core.cluster.part import SharedModel
    from claracore.host.cluster.fetching import Fetching
    from claracore.host.supervisor.configuration import Configuration
    from claracore.http.own_head import OwnHead
    from claracore.http.part_door import PartDoor

logger = logging.getLogger("claracore.cluster")


def _not_shared(_model_id: str) -> None:
    return None


class HeadFiles:
    """Has the files of the part that is in force fetched."""

    def __init__(self, fetching: Fetching, door: PartDoor, configuration: Configuration, own_head: OwnHead) -> None:
        self._fetching = fetching
        self._door = door
        self._configuration = configuration
        self._own_head = own_head
        self._taken: tuple[SharedModel, ...] | None = None
        self._part = Part()
        self._by_name: dict[str, SharedModel] = {}
        """The models of `_part`."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.lacking_as_head: Callable[[str], NodeModel | None] = _not_shared
        """Says how a model that this machine shares is of which it lacks files."""
        self.on_files: Callable[[], None] = lambda: None
        """Called when files have come: what is known of models may be more."""
        door.paths_of = fetching.paths_of
        fetching.door = self._head_door
        fetching.on_files = self._files_came

    def look(self) -> None:
        """Have the files of what is in force fetched, if that is something else than before."""
        in_force = self._configuration.now.part.models
        models = tuple(model for model in self._configuration.now.taken.part.models if model.name in in_force)
        if models != self._taken:
            self._taken = models
            task = asyncio.get_running_loop().create_task(
                self._take(models), name="look for files of the head's models"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, models: tuple[SharedModel, ...]) -> None:
        try:
            await self._fetching.take(models)
        except Exception:
            logger.exception("files of the head's models could not be looked for")

    def lacking(self, model_id: str) -> NodeModel | None:
        """Return how a model, of our head or shared by us, is whose files are missing here; None for any other."""
        if model_id not in self._configuration.now.part.models:
            return self.lacking_as_head(model_id)
        model = self._model_of_part(model_id)
        if model is not None and model.files and not self._fetching.has_looked_for(model):
            return NodeModel(model_id, fit=Fit.FETCH, why="its files are looked for")
        return self._fetching.lacking(model_id)

    def _model_of_part(self, name: str) -> SharedModel | None:
        part = self._configuration.now.taken.part
        if part is not self._part:
            self._part, self._by_name = part, {model.name: model for model in part.models}
        return self._by_name.get(name)

    async def close(self) -> None:
        """Have nothing fetched any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetching.close()

    async def _files_came(self) -> None:
        try:
            await self._door.look_at_paths()
        except ClaraCoreError as error:
            logger.warning("files of the head's models are here and cannot be used: %s", error.message)
        self.on_files()

    def _head_door(self) -> HeadDoor | None:
        """Return where the head has files for us; None where this machine has joined none, or long ago."""
        head = self._own_head.head
        return HeadDoor(head.url, head.fingerprint, head.secret) if head is not None and head.secret else None
