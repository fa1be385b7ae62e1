"""When does somebody have to be looked at, because a time may be up?

One timer for all deadlines. They are set with every request and hardly ever reached, so setting one is a comparison;
only one that is earlier than the alarm moves it. While nothing is due nothing runs: idle connections cost no CPU.
The scheduler's deadlines, few and kept to the millisecond, have `host/supervisor/wake.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_APART_SECONDS = 1.0
"""Least time between two looks: thousands of deadlines one after another must not cost a look each."""

NEVER = float("inf")


class Alarm:
    """Calls `look(now)`, which returns the next deadline (event loop time, `NEVER` for none), when one may be up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[float], float]) -> None:
        self.at = NEVER
        self._loop = loop
        self._look = look
        self._looked_at = -NEVER
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Look when this deadline is up, at the latest a second after it."""
        if deadline < self.at:
            self.cancel()
            self.at = deadline
            self._timer = self._loop.call_at(max(deadline, self._looked_at + _APART_SECONDS), self._ring)

    def cancel(self) -> None:
        """Look no more, until another deadline is set."""
        self.at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self.cancel()
        self._looked_at = self._loop.time()
        self.set(self._look(self._looked_at))
