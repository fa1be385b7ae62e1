"""Is a run of a model's server to end, and at once?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class StopOrder:
    """The order to end, which is given once and may become an order to end at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event_at_once = asyncio.Event()
        self.at_once = False
        """Whether there is no time for ending."""

    @property
    def given(self) -> bool:
        """Whether the end was ordered."""
        return self._event.is_set()

    def give(self, *, at_once: bool = False) -> None:
        """Order the end."""
        self.at_once |= at_once
        self._event.set()
        if at_once:
            self._event_at_once.set()

    async def wait(self) -> None:
        """Return when the end is ordered."""
        await self._event.wait()

    async def or_done(self, future: asyncio.Future[Any], timeout_seconds: float | None = None) -> None:
        """Return when the future is done, the end is ordered, or the time is over."""
        stop = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({future, stop}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()

    async def beside(
        self, exited: asyncio.Future[Any], work: Coroutine[Any, Any, None], *, only_at_once: bool = False
    ) -> None:
        """Do something until the process ends or is to end; with `only_at_once`, also while it is to end in peace."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future((self._event_at_once if only_at_once else self._event).wait())
        try:
            await asyncio.wait({task, stop, exited}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()
