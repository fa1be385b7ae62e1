"""How does a start fail for which memory was not enough, and what of its log is kept to tell so?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from claracore.core.memory.allocation_errors import AGAIN, HINT, AllocationError, allocation_error
from claracore.core.memory.engine_log import MARK, EngineBuffers, engine_buffers
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint
from claracore.errors import ModelFailed
from claracore.host.hardware.oom_kills import oom_kills
from claracore.host.supervisor.child import Exit

MOST_LINES: Final = 1000
SIGKILL: Final = 9


class RanOutOfMemory(ModelFailed):
    """The model's server did not become ready because memory was short; 503."""

    status = 503
    code = "insufficient_memory"

    def __init__(self, model: str, reason: str, last_lines: Sequence[str], shown: StartShown) -> None:
        super().__init__(model, reason, last_lines)
        self.shown = shown

    def explained(self, words: str) -> RanOutOfMemory:
        """Return the error with what is known of the device."""
        return RanOutOfMemory(self.model, f"{words} ({self.reason})", self.last_lines, self.shown)


@dataclass(frozen=True, slots=True)
class StartShown:
    """What a server that ran out of memory has shown."""

    error: AllocationError
    buffers: EngineBuffers


@dataclass(frozen=True, slots=True)
class SeenShortage:
    """What follows from a start for which memory was not enough."""

    footprint: Footprint = UNKNOWN_FOOTPRINT
    """What the model is taken to need from now on."""
    less: Footprint = UNKNOWN_FOOTPRINT
    """What it takes when it is started with less; of source `unknown` where it cannot be."""
    limited: bool = False
    """Whether a limit of its own process was in the way, so that it is of no use that others go."""
    words: str = ""
    """What happened, and the ways out."""


class StartLog:
    """The lines of a server's log that tell of memory, until it is ready."""

    def __init__(self, kills: Callable[[], int | None] = oom_kills) -> None:
        """`kills` counts the processes that the kernel has ended for want of memory."""
        self._lines: list[str] = []
        self._count_kills = kills
        self._kills = kills()

    def push(self, line: str) -> None:
        """Take a line."""
        if len(self._lines) < MOST_LINES and (MARK in line or HINT.search(line) or AGAIN.search(line)):
            self._lines.append(line)

    def why(self, ended: Exit) -> StartShown | None:
        """Return what a server that ended before it was ready could not get; None where it ended for another reason.

        One that was killed was so for want of memory where the kernel has ended a process for that since it began.
        """
        kills = self._count_kills() if ended.signal == SIGKILL else None
        killed = kills is not None and self._kills is not None and kills > self._kills
        error = allocation_error(self._lines, out_of_ram=killed)
        return StartShown(error, engine_buffers(self._lines)) if error is not None else None
