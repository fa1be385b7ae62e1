"""Is it worth it to save a conversation: does reading it again take longer than writing it down?

How fast a place is, and how large a conversation, is known after the first save; that one is tried, for no longer than
reading takes. A model of which nothing was measured is taken to read fast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FAST_READING: Final = 5_000.0
"""Tokens a second, where nothing was measured."""
LARGE_TOKEN: Final = 128 << 10
"""Bytes, where nothing was measured: what a model of eight billion parameters has."""
LEAST_PATIENCE_SECONDS: Final = 0.25
MOST_PATIENCE_SECONDS: Final = 20.0
"""Somebody waits for the memory of the model that ends."""
RESTORE_SECONDS: Final = 3.0
RESTORE_BYTES_PER_SECOND: Final = 50e6
"""What the slowest place gives back."""


@dataclass(frozen=True, slots=True)
class KeepingSpeeds:
    """What was measured of a model and of the place where its conversations go; None for what was not."""

    tokens_per_second: float | None = None
    """Read of a prompt."""
    bytes_per_token: float | None = None
    bytes_per_second: float | None = None
    """Written to the place."""

    def reading_seconds(self, tokens: int) -> float:
        """Return how long it takes to read so many tokens again."""
        return tokens / (self.tokens_per_second or FAST_READING)

    def size(self, tokens: int) -> int:
        """Return how many bytes so many tokens take."""
        return int(tokens * (self.bytes_per_token or LARGE_TOKEN))

    def writing_seconds(self, tokens: int) -> float:
        """Return how long it takes to write so many tokens down; nothing where that was not measured."""
        return self.size(tokens) / self.bytes_per_second if self.bytes_per_second else 0.0

    def too_slow(self, tokens: int, seconds: float) -> KeepingSpeeds:
        """Return what is known after so many tokens were not written down in so many seconds."""
        return replace(self, bytes_per_second=self.size(tokens) / seconds)


def is_worth_saving(tokens: int, least: int, speeds: KeepingSpeeds, room: int) -> bool:
    """Whether a conversation is to be saved in a place that has room for so many bytes."""
    if tokens < least or speeds.size(tokens) > room:
        return False
    return speeds.writing_seconds(tokens) < speeds.reading_seconds(tokens)


def patience_seconds(tokens: int, speeds: KeepingSpeeds) -> float:
    """Return for how long the saving of a conversation is waited for: no longer than it would be read."""
    return min(MOST_PATIENCE_SECONDS, max(LEAST_PATIENCE_SECONDS, speeds.reading_seconds(tokens)))


def restore_patience_seconds(size: int) -> float:
    """Return for how long a restore of so many bytes is waited for, while requests wait."""
    return RESTORE_SECONDS + size / RESTORE_BYTES_PER_SECOND
