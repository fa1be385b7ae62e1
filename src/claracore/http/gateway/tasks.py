"""Which tasks run beside what is called?"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger("claracore")


class Tasks:
    """Owns tasks until they end."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def run(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start a coroutine as a task that is held until it has ended, and return the task."""
        task = self._loop.create_task(coroutine, name=name)
        self.running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended with an unexpected error", task.get_name(), exc_info=error)

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended."""
        for task in list(self.running):
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
