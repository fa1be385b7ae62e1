"""How is Ray kept running beside ClaraCore, so that its end is nobody else's?

`ray start` is run by a child of ours (`ray_keeper.py`), in a session of its own. When it ends, for whatever reason, it
is started again; no answer of a model depends on it. It is ended with all that came of it, by descent, session and
mark, never by `ray stop`, which would end every Ray of the machine. When we are killed, it sees that itself and ends in
the same way; only what is left when both are killed at once has to wait for our next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from claracore.host.cluster import ray_keeper
from claracore.host.disk import keep_private
from claracore.host.sockets.orphans import end_orphans
from claracore.host.supervisor import kin
from claracore.host.supervisor.child import Child, StillRuns
from claracore.host.supervisor.program import SpawnFailed

logger = logging.getLogger("claracore.cluster")

AGAIN_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Between an end and the next start, longer each time it ends soon."""
BLOCKED_SECONDS: Final = 2.0
"""Between two looks at what is in the way of a start."""
STUCK_TRIES: Final = 3
LASTED_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 5.0
LAST_LINES: Final = 8


class KeptProcess:
    """One command that runs for as long as this is not closed."""

    def __init__(
        self,
        what: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        mark: Path,
        on_line: Callable[[str], None] | None = None,
        blocked: Callable[[], str] = lambda: "",
    ) -> None:
        """Take what it is for people, and in `mark` a file by which the next run knows what this one left behind.

        `blocked` says, in a thread, what it has to wait for before each start; nothing when it may start.
        """
        self._what = what
        self._argv = argv
        self._env = env
        self._mark = mark
        self._on_line = on_line
        self._blocked = blocked
        self.waits = ""
        """What it waits for; empty while it runs, or is about to."""
        self._lines: list[str] = []
        self.child: Child | None = None
        self.ended: Callable[[], None] = lambda: None
        """Called when it has ended, for whatever reason."""
        self.stuck: Callable[[], None] = lambda: None
        """Called, in a thread, when it has ended soon after its start for the third time."""
        self._task = asyncio.create_task(self._keep(), name=f"keep {what}")

    async def close(self) -> None:
        """End it, with all that came of it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def write(self, line: str) -> bool:
        """Put a short line into its stdin; False while it does not run."""
        return self.child is not None and self.child.write(f"{line}\n".encode())

    async def _keep(self) -> None:
        await asyncio.to_thread(end_leftovers, self._mark)
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            await self._while_blocked()
            begun = loop.time()
            try:
                how = await self._once()
            except (SpawnFailed, OSError) as error:
                how = str(error)
            self.ended()
            tries = 0 if loop.time() - begun > LASTED_SECONDS else tries + 1
            if tries == STUCK_TRIES:
                await asyncio.to_thread(self.stuck)
            pause = AGAIN_SECONDS[min(max(tries - 1, 0), len(AGAIN_SECONDS) - 1)]
            logger.warning("%s has ended (%s); again in %g s\n%s", self._what, how, pause, "\n".join(self._lines))
            await asyncio.sleep(pause)

    async def _while_blocked(self) -> None:
        """Return when nothing is in the way; each thing that is, is said once."""
        while found := await asyncio.to_thread(self._blocked):
            if found != self.waits:
                logger.warning("%s", found)
            self.waits = found
            await asyncio.sleep(BLOCKED_SECONDS)
        self.waits = ""

    async def _once(self) -> str:
        mark = f"ray-{secrets.token_hex(8)}"
        await asyncio.to_thread(keep_private, self._mark, mark.encode())
        self._lines.clear()
        self.child = child = await Child.spawn(
            self._argv, env={**self._env, kin.MARK: mark}, on_line=self._printed, on_stdout=self._on_line
        )
        try:
            return str(await asyncio.shield(child.exited))
        finally:
            self.child = None
            await _stopped(child)

    def _printed(self, line: str) -> None:
        self._lines = [*self._lines, line][-LAST_LINES:]


async def _stopped(child: Child) -> None:
    """Stop it, with all that came of it, also when nobody waits for that any more."""
    stop = asyncio.create_task(child.stop(GRACE_SECONDS))
    with contextlib.suppress(StillRuns):
        try:
            await asyncio.shield(stop)
        except asyncio.CancelledError:
            await stop
            raise


def end_leftovers(mark: Path) -> None:
    """End what a run of ours has left that was killed, as its mark knows it, and all that descends from that."""
    with contextlib.suppress(OSError):
        if token := mark.read_text(encoding="ascii", errors="replace").strip():
            end_orphans((), token=token)
        mark.unlink()


def ray_argv(words: Sequence[str]) -> list[str]:
    """Return the command that keeps a Ray which belongs to the Python that runs us."""
    return [sys.executable, "-I", "-S", ray_keeper.__file__, sys.executable, "-m", "ray.scripts.scripts", *words]
