"""Whose files are read: which model loads, or will start next and cannot yet?

A model that loads from the disk comes first: a server reads its file piece by piece, which leaves most disks idle for
most of the time. Then the first model that somebody waits for while others in its way answer, load, end, or give their
memory back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.slot import Slot
from claracore.types import ModelState

READ_AHEAD: Final = frozenset({"linux", "darwin"})
"""Systems that read files ahead when they are asked to."""
WAITING: Final = frozenset({ModelState.STOPPED, ModelState.STOPPING})


class Waits(Protocol):
    """What is asked of the supervisor."""

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State and requests of each model."""

    def obstacle(self, model_id: str) -> Obstacle | None:
        """Return what the requests that wait for a model wait for."""


class FileReading(Protocol):
    """One model's files being read."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""

    def cancel(self) -> None:
        """End soon."""


class NextUp:
    """Has the files read of whoever is next; asked anew whenever something has become of a model."""

    def __init__(
        self, waits: Waits, read: Callable[[str], FileReading], from_disk: Callable[[], Collection[str]]
    ) -> None:
        """`read` begins to read the files of a model.

        `from_disk` tells the models that are being loaded and whose files may not be in memory; for any thread.
        """
        self._waits = waits
        self._read = read
        self._from_disk = from_disk
        self._model: str | None = None
        self._reading: FileReading | None = None

    def choose(self, *, again: bool = False) -> None:
        """Read for who is next now, and for nobody else; `again`: also what was read already."""
        model = self._next() if sys.platform in READ_AHEAD else None
        over = self._reading is None or self._reading.is_over
        if model == self._model and not (again and over):
            return
        self.cancel()
        if model is not None:
            self._model, self._reading = model, self._read(model)

    def cancel(self) -> None:
        """Read for nobody."""
        if self._reading is not None:
            self._reading.cancel()
        self._model = self._reading = None

    def is_wanted(self, model: str) -> bool:
        """Whether a model loads from the disk, or somebody waits for it and it does not start yet; for any thread."""
        slot = self._waits.slots.get(model)
        return (slot is not None and _waits(slot)) or model in self._from_disk()

    def _next(self) -> str | None:
        if loading := self._from_disk():
            return next(iter(loading))
        for model in [model for model, slot in self._waits.slots.items() if _waits(slot)]:
            obstacle = self._waits.obstacle(model)
            if obstacle is not None and obstacle.cause is not Cause.TURN:
                return model
        return None


def _waits(slot: Slot) -> bool:
    """Whether somebody waits for a model that does not start yet."""
    return bool(slot.waiting) and slot.state in WAITING
