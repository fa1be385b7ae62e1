"""Is a start sure to fail? Seen before others go for it: `LookAhead` is carried out, `LookedAhead` handed in.

A model in a container has its image fetched by that, however long it takes; what runs goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from claracore.core.config.model import ModelConfig
from claracore.core.scheduler.events import Event, LookedAhead
from claracore.errors import ClaraCoreError
from claracore.host.supervisor.runs import Runs

logger = logging.getLogger("claracore.supervisor")


class Foresight:
    """The looks that are under way, at most one a model."""

    def __init__(self, runs: Runs, post: Callable[[Event], None]) -> None:
        """`post` takes what was seen; the runs say how it is looked, and remember why a start would fail."""
        self._runs = runs
        self._post = post
        self._looks: dict[str, tuple[ModelConfig, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Those that are cancelled, too: what fetches an image has to be ended."""

    def look(self, model: ModelConfig) -> None:
        """Look at what the model's start needs, unless that is under way, and hand in one `LookedAhead`."""
        known = self._looks.get(model.id)
        if known is not None and known[0] == model:
            return
        self.cancel({model.id})
        task = asyncio.get_running_loop().create_task(self._look(model), name=f"look before {model.id}")
        self._looks[model.id] = (model, task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, model_ids: Iterable[str] | None = None) -> None:
        """Look no more for these models, or for none at all; nothing of them is handed in."""
        for model_id in [*self._looks] if model_ids is None else model_ids:
            if (known := self._looks.pop(model_id, None)) is not None:
                known[1].cancel()

    def keep(self, models: Iterable[ModelConfig]) -> None:
        """Look no more for those that are none of these models, as they are configured now."""
        known = {model.id: model for model in models}
        self.cancel([model_id for model_id, (model, _) in self._looks.items() if known.get(model_id) != model])

    async def close(self) -> None:
        """Look no more; returns when all that was begun for it has ended."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _look(self, model: ModelConfig) -> None:
        error: ClaraCoreError | None = None
        try:
            error = await self._runs.foreseen(model)
        except Exception:  # what cannot be looked at may start all the same
            logger.exception("model %s: what its start needs could not be looked at", model.id)
        self._looks.pop(model.id, None)
        self._post(LookedAhead(model.id, fails=error is not None))
