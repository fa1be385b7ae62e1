"""Is there a sign of life of a node besides its answers to the question how it is?

Pure. Over a line that an answer fills, no other one gets through in time; but the bytes of that answer come from there.
"""

from __future__ import annotations

from collections.abc import Mapping


class AnswersHeard:
    """How much of each answer has come from each node, as it was when that was asked last."""

    def __init__(self) -> None:
        self._before: dict[str, Mapping[int, int]] = {}

    def grow(self, node: str, answers: Mapping[int, int]) -> bool:
        """Return whether any answer of a node has grown since this was asked last of it.

        `answers` has the bytes that have come of each, by the number of its request.
        """
        before, self._before[node] = self._before.get(node, {}), dict(answers)
        return any(count > before.get(number, 0) for number, count in answers.items())
