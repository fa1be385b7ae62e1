"""Is there a sign of life of a node besides its answers to the question how it is?

Pure. Over a line that an answer fills, no other one gets through in time; but the bytes of that answer come from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RECENT_SECONDS: Final = 3.0
"""For so long an answer that has grown is a sign of life: over a slow line bytes come in bursts."""


class AnswersHeard:
    """How much of each answer has come from each node, as it was when that was asked last; times are of one clock."""

    def __init__(self) -> None:
        self._before: dict[str, Mapping[int, int]] = {}
        self._grown_at: dict[str, float] = {}

    def heard(self, node: str, answers: Mapping[int, int], now: float) -> bool:
        """Return whether any answer of a node was seen to have grown just now, or when this was asked of late.

        `answers` has the bytes that have come of each, by the number of its request.
        """
        before, self._before[node] = self._before.get(node, {}), dict(answers)
        if any(count > before.get(number, 0) for number, count in answers.items()):
            self._grown_at[node] = now
        return node in self._grown_at and now - self._grown_at[node] <= RECENT_SECONDS
