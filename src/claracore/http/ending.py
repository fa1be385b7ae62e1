"""How does ClaraCore end: with patience, at once, and never not at all?"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claracore.http.gateway.tasks import Tasks
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.host.supervisor.loop import Supervisor
    from claracore.http.gateway.server import Gateway

logger = logging.getLogger("claracore")

GRACE_SECONDS = 30.0
"""Answers under way have this long when ClaraCore is asked to end; a second signal ends them at once."""
MODELS_GRACE_SECONDS = 10.0
"""What runs of the model servers so long after that is killed, whatever their `unloadTimeout`."""
LAST_SECONDS = 5.0
"""What is still there so long after it was killed is left behind: ClaraCore itself always ends."""


@dataclass(slots=True)
class Ending:
    """The order to end, and what follows from it."""

    supervisor: Supervisor
    gateway: Gateway
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _now: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a second signal."""
    _signals: int = 0
    _tasks: Tasks = field(default_factory=Tasks)

    def signalled(self) -> None:
        """End; with the second signal at once."""
        self._signals += 1
        if self._signals == 1:
            logger.info("ending: answers under way may take up to %g s; once more ends them now", GRACE_SECONDS)
            self.stop.set()
        elif self._signals == 2:
            self._now.set()
            self._tasks.run(self.supervisor.shut_down(0.0), name="shut down now")
            self.supervisor.kill()
            self._tasks.run(self.gateway.drain(0.0), name="drain now")

    async def ordered(self, serving: asyncio.Task[None], given_away: asyncio.Event) -> None:
        """Wait for the order to stop, or until another process serves.

        Raises what the gateway ends with if it ends without one.
        """
        waits = {asyncio.ensure_future(self.stop.wait()), asyncio.ensure_future(given_away.wait())}
        await asyncio.wait({serving, *waits}, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if serving.done():
            serving.result()

    async def ended(self, *tasks: asyncio.Task[None]) -> None:
        """Wait until everything has ended; not for ever. Raises what a task ends with."""
        hurry = asyncio.ensure_future(self._now.wait())
        ends = asyncio.gather(*tasks)
        both: set[asyncio.Future[Any]] = {ends, hurry}
        try:
            await asyncio.wait(both, timeout=GRACE_SECONDS + MODELS_GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ends.done():
                self.supervisor.kill()
                await asyncio.wait({ends}, timeout=LAST_SECONDS)
        finally:
            hurry.cancel()
        if ends.done():
            ends.result()
        else:
            left = [name for name, slot in self.supervisor.slots.items() if slot.state is not ModelState.STOPPED]
            logger.error("ending without waiting any longer for what does not end: %s", ", ".join(left) or "an answer")
            ends.cancel()
            await asyncio.wait(tasks)
