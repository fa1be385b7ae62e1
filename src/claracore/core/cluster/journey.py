"""Where has one request been, and may it go somewhere else?

Pure. A request goes to each place once at most, and nowhere else once a byte of its answer has come: nobody may get the
beginnings of two answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from claracore.core.cluster.place import ModelPlace


class Journey:
    """The way of one request over the places of its model."""

    __slots__ = ("been", "began")

    def __init__(self) -> None:
        self.been: list[str] = []
        """The ids of the models, one a place, in the order in which it went there."""
        self.began = False
        """Whether a byte of its answer has come."""

    def next(self, places: Iterable[ModelPlace]) -> ModelPlace | None:
        """Return the best place where it has not been, and go there; None when it has to end where it is."""
        if self.began:
            return None
        found = next((place for place in places if place.model_id not in self.been), None)
        if found is not None:
            self.been.append(found.model_id)
        return found
