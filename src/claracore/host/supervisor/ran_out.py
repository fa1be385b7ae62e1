"""What of a server's log is kept until it is ready, to tell why it failed; how does one fail that ran out of memory?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claracore.core.loading.failure_kinds import TELLING, TELLING_LINES, FailureKind, plain_line
from claracore.core.memory.allocation_errors import AGAIN, HINT, AllocationError, allocation_error
from claracore.core.memory.engine_log import MARK, EngineBuffers, engine_buffers
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint
from claracore.errors import Explained, ModelFailed
from claracore.host.hardware.oom_kills import oom_kills
from claracore.host.supervisor.child import Exit

if TYPE_CHECKING:
    from claracore.core.fit.step_down import Lesser

MOST_LINES: Final = 1000
SIGKILL: Final = 9


class RanOutOfMemory(ModelFailed):
    """The model's server did not become ready because memory was short; 503."""

    status = 503
    code = "insufficient_memory"
    cause = "The model's server ran out of memory while it started."
    way_out = (
        "The message says of what, who has it, and what would do; `PUT /api/models/lesser/{id}` keeps a lesser command."
    )

    def __init__(self, model: str, reason: str, last_lines: Sequence[str], shown: StartShown) -> None:
        super().__init__(model, reason, last_lines)
        self.shown = shown
        self.ways: tuple[Lesser, ...] = ()
        """Other commands with which it may fit, the best first."""
        self.explained = Explained(FailureKind.MEMORY, "it ran out of memory", shown.error.line, "")

    def told(self, seen: SeenShortage) -> RanOutOfMemory:
        """Return the error with what is known of the device."""
        known = RanOutOfMemory(self.model, f"{seen.words} ({self.reason})", self.last_lines, self.shown)
        cause, _, way_out = seen.words.partition("; ")
        evidence = plain_line(self.shown.error.line)
        known.explained = Explained(FailureKind.MEMORY, cause, evidence, f"{way_out[:1].upper()}{way_out[1:]}")
        known.ways = seen.ways
        return known


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
    """What happened, and behind a semicolon the ways out."""
    ways: tuple[Lesser, ...] = ()
    """Other commands with which it may fit, the best first."""


class StartLog:
    """The lines of a server's log that tell why it is not ready."""

    def __init__(self, kills: Callable[[], int | None] = oom_kills) -> None:
        """`kills` counts the processes that the kernel has ended for want of memory."""
        self._lines: list[str] = []
        self._telling: deque[str] = deque(maxlen=TELLING_LINES)
        self._count_kills = kills
        self._kills = kills()

    def push(self, line: str) -> None:
        """Take a line."""
        if len(self._lines) < MOST_LINES and (MARK in line or HINT.search(line) or AGAIN.search(line)):
            self._lines.append(line)
        if TELLING.search(line):
            self._telling.append(line)

    def explained(self, ended: Exit | None) -> Explained | None:
        """Return what it means that a server was not ready when it ended; None where nothing is known of that."""
        from claracore.core.loading.explain import explain  # noqa: PLC0415 - compiles a table of expressions

        return explain(self._telling, str(ended) if ended is not None else "")

    def why(self, ended: Exit) -> StartShown | None:
        """Return what a server that ended before it was ready could not get; None where it ended for another reason.

        One that was killed was so for want of memory where the kernel has ended a process for that since it began.
        """
        kills = self._count_kills() if ended.signal == SIGKILL else None
        killed = kills is not None and self._kills is not None and kills > self._kills
        error = allocation_error(self._lines, out_of_ram=killed)
        return StartShown(error, engine_buffers(self._lines)) if error is not None else None
