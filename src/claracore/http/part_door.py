"""How does the part of the head's configuration come to this machine, and go again?

The node's side. Only the head that this machine has joined, with the key that the joining made, may write it: there are
commands in a part, so this is the right to run any command here as ClaraCore's user. What is taken is written down
first, and is in force then, as a change of the own files would be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claracore.core.cluster.beside import TakenPart
from claracore.core.cluster.part import Part
from claracore.core.units import counted
from claracore.errors import ClaraCoreError, ConfigError, Forbidden
from claracore.host.supervisor.prepared import words
from claracore.http.access.keys import Right

if TYPE_CHECKING:
    from claracore.host.cluster.part_file import PartFile
    from claracore.host.supervisor.configuration import Configuration
    from claracore.http.access.keys import Grant
    from claracore.http.own_head import OwnHead

logger = logging.getLogger("claracore.cluster")

MOST_NAMED: Final = 5
"""Places of a refused part in a line of the log; no values, which may be secrets."""
PathsOf = Callable[[Part], Mapping[str, str]]
"""Says where this machine has, or will have, each file of a part: a path by `SharedFile.name`. May ask the disk."""


class PartRefused(ClaraCoreError):
    """The part of a configuration cannot be used beside the own one; 422."""

    status = 422
    type = "invalid_request_error"
    code = "part_refused"
    cause = "A machine cannot use the part of the configuration that its head has sent."
    way_out = "The message says what is wrong: correct it in the head's file, or on that machine."


class NotThisHead(Forbidden):
    """Who would write the part is not the head of this machine; 403."""

    def __init__(self) -> None:
        super().__init__(
            "only the head that this machine has joined may do that, and not where it has joined with --requests-only"
        )


@dataclass(frozen=True, slots=True)
class PartTaken:
    """What is in force now."""

    revision: str
    kept: tuple[str, ...]
    """Names that this machine's own files have."""


def _nowhere(_part: Part) -> Mapping[str, str]:
    return {}


class PartDoor:
    """Takes the part, and takes it away."""

    def __init__(self, configuration: Configuration, own_head: OwnHead, file: PartFile) -> None:
        self._configuration = configuration
        self._own_head = own_head
        self._file = file
        self.paths_of: PathsOf = _nowhere
        self.on_taken: Callable[[Part], None] = lambda _part: None
        """Who is told of every part that is taken, the empty one too."""

    async def accepts(self, grant: Grant | None) -> bool:
        """Whether who calls may write the part; right after a start that is known a moment later."""
        await self._own_head.known.wait()
        head = self._own_head.head
        return grant is not None and head is not None and grant.name == head.key_name and grant.may(Right.NODE)

    async def take(self, grant: Grant | None, part: Part) -> PartTaken:
        """Take over a part. Raises NotThisHead, PartRefused, FileUnusable, DiskFull; then the former one goes on."""
        if not await self.accepts(grant):
            raise NotThisHead
        return await self._take(part)

    async def remove(self) -> None:
        """Have no part any more; its models end as if they were taken out of a file. Raises as `take`."""
        await self._take(Part())

    async def look_at_paths(self) -> None:
        """Use the files where they are by now. Raises as `take`."""
        taken = self._configuration.now.taken
        if taken.part.models and await asyncio.to_thread(self.paths_of, taken.part) != taken.paths:
            await self._use(taken.part)

    async def _take(self, part: Part) -> PartTaken:
        now = self._configuration.now.part
        if now.revision == part.revision and not now.set_aside:
            return PartTaken(now.revision, now.kept)
        return await self._use(part)

    async def _use(self, part: Part) -> PartTaken:
        paths = await asyncio.to_thread(self.paths_of, part)
        taken = TakenPart(part, paths)
        try:
            changes = await self._configuration.take_part(taken, lambda: self._file.save(taken))
        except ConfigError as error:
            wrong = ", ".join(dict.fromkeys(finding.path for finding in error.findings[:MOST_NAMED]))
            logger.warning("the head's part of the configuration is refused because of %s", wrong)
            raise PartRefused(words(error)) from error
        logger.info("the head's part of the configuration: %s; %s", counted(len(part.models), "model"), changes.summary)
        self.on_taken(part)
        now = self._configuration.now.part
        return PartTaken(now.revision, now.kept)
