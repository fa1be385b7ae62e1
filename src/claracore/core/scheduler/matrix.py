"""Who must go so that this model fits, when a matrix says which models may run together?

A set of the matrix permits every subset of each of its expansions. The target starts within the expansion that costs
least: the sum of what it costs to stop the running models that are not in it. Among equals the set that is read first
wins (included sets before those that include them), then the expansion that is written first. A model in no set runs
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from claracore.core.config.expansions import masks_of
from claracore.core.config.matrix import Expression
from claracore.core.scheduler.policy import Situation

DEFAULT_COST = 1


@dataclass(frozen=True, slots=True)
class Matrix:
    """The eviction rule of a matrix; `sets` in the order that decides between equals, `costs` by model id."""

    sets: tuple[Expression, ...]
    costs: Mapping[str, int] = field(default_factory=dict)

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return which of the running models must stop before the target starts."""
        target, running = situation.target, situation.running
        if target in running or not running:
            return frozenset()
        bits = {model: 1 << number for number, model in enumerate([target, *sorted(running)])}
        known: dict[int, list[int]] = {}
        masks = [mask for part in self.sets for mask in masks_of(part, bits, known) if mask & 1]
        best = min(masks, key=lambda mask: self._cost(running, bits, mask), default=0)
        return frozenset(model for model in running if not bits[model] & best)

    def _cost(self, running: frozenset[str], bits: Mapping[str, int], mask: int) -> int:
        return sum(self.costs.get(model, DEFAULT_COST) for model in running if not bits[model] & mask)
