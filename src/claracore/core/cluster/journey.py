"""Where has one request been, and may it go somewhere else?

Pure. A request goes to each place once at most, and nowhere else once a byte of its answer has come: nobody may get the
beginnings of two answers.
"""

from __future__ import annotations

from collections.abc import Iterable


class Journey:
    """The way of one request over the places of its model, each known by the id that the model has there."""

    __slots__ = ("been", "began")

    def __init__(self) -> None:
        self.been: list[str] = []
        """In the order in which it went there."""
        self.began = False
        """Whether a byte of its answer has come."""

    def next(self, model_ids: Iterable[str]) -> str | None:
        """Return the first of these places where it has not been, and go there; None when it ends where it is."""
        if self.began:
            return None
        found = next((model_id for model_id in model_ids if model_id not in self.been), None)
        if found is not None:
            self.been.append(found)
        return found
