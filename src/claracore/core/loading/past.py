"""What was seen of a load that went well, and what is said of one that is to come?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The files that a model's command names, together, at one moment."""

    bytes: int
    missing_bytes: int | None
    """How many of them are not in memory; None where that cannot be seen."""
    disk: str = ""
    """On which file system the largest one is."""


@dataclass(frozen=True, slots=True)
class PastLoad:
    """One load, from the order to start until the model was ready."""

    at: float
    """When it was ready, unix seconds."""
    seconds: float
    file: ModelFile
    """As it was when the load began."""
    weights_seconds: float | None = None
    """After how long the engine said that the weights are there; None where it says nothing."""
    warmup_seconds: float | None = None
    """How long the warm-up and what came after it took; None where it says nothing of that."""

    @property
    def is_warm(self) -> bool:
        """Whether the file was in memory, as far as that counts."""
        return self.file.missing_bytes is not None and self.file.missing_bytes <= WARM * self.file.bytes


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a load will take."""

    seconds: float
    rest_seconds: float | None = None
    """The part of that after the weights are there (context, warm-up); None where it was never seen."""
    warmup_seconds: float | None = None
    """The part of that from the warm-up on; None where it was never seen."""
    guessed: bool = False
    """Taken from loads of other commands: how long this one's program takes until it reads is not known."""


WARM = 0.05
"""A file of which no more than this is missing is in memory."""
