"""What is to be said of a model's load?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claracore.core.loading.phases import LoadPhase


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    """How a load stands, or the next one is expected to go."""

    left_seconds: float | None = None
    """Until it is ready, from now, or from when it can start; None where that is not known."""
    progress: float | None = None
    """From 0 to 0.99; None unless it is being loaded."""
    phase: LoadPhase | None = None
    """What it is at; None unless it is being loaded, and where that is not known."""
    words: str = ""
    """The same in words: `reading weights 4.1 of 8.2 GiB`."""
    read_bytes: int | None = None
    """Of its weights, while they are read; None where that cannot be seen."""
    total_bytes: int | None = None
    """All its weights; None where they are not known, or nothing is loaded."""


NOTHING_EXPECTED: Final = ExpectedLoad()
