"""When is the loop woken although nothing happens?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class WakeTimer:
    """One timer at the earliest deadline that was asked for. Early does no harm, so it is only ever moved forward.

    The gateway has thousands of deadlines, one for each connection, and looks at them at most once a second:
    `http/gateway/alarm.py`. This one is for the few of the scheduler, and is on time.
    """

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_due = on_due
        self._timer: asyncio.TimerHandle | None = None

    def by(self, deadline: float | None) -> None:
        """Call `on_due` at `deadline` (seconds of the event loop's clock) at the latest; None asks for nothing."""
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        self.cancel()
        self._timer = self._loop.call_at(deadline, self._due)

    def cancel(self) -> None:
        """Forget the deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._on_due()
