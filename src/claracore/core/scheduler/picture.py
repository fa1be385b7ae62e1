"""What does a rule that counts bytes look at, and what does it find wanting?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint


@dataclass(frozen=True, slots=True)
class MemoryPicture:
    """Devices and models in bytes at one moment, and what it would cost to let a model go."""

    usable: Mapping[str, int]
    """Bytes that our models may take together, by device, with what has still to come back of those that ended."""
    footprints: Mapping[str, Footprint]
    costs: Mapping[str, float]
    """Of each model whose server runs: the seconds that it takes to load again, by how likely that will be."""
    busy: frozenset[str]
    """Those that answer, or load for somebody who waits."""
    pinned: frozenset[str]
    """Also those that somebody waits for."""
    awake: Mapping[str, Footprint] = field(default_factory=dict)
    """What each model takes when it wakes whose server sleeps; in `footprints` is what that takes asleep."""

    def footprint(self, model: str) -> Footprint:
        """Return what a model takes."""
        return self.footprints.get(model, UNKNOWN_FOOTPRINT)

    def with_awake(self, model: str) -> MemoryPicture:
        """Return the same with a model awake: the very same where it does not sleep."""
        if model not in self.awake:
            return self
        awake = {other: footprint for other, footprint in self.awake.items() if other != model}
        return replace(self, footprints={**self.footprints, model: self.awake[model]}, awake=awake)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A device that has not as much as a model takes, in bytes."""

    device: str
    """Empty where it is not known how much the model takes, so that it has to be alone."""
    needed: int
    available: int
    """Below zero where other programs have taken what models have already."""


@dataclass(frozen=True, slots=True)
class Eviction:
    """Who a model had to go for, and which memory that one was short of; nothing for rules that count no bytes."""

    by: str
    shortages: tuple[Shortage, ...] = ()
