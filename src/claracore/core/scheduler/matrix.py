"""Who must go so that this model fits, when a matrix says which models may run together?

A set of the matrix permits every subset of each of its expansions. The target starts within the expansion that costs
least: the sum of what it costs to stop the running models that are not in it. Among equals the set that is read first
wins (included sets before those that include them), then the expansion that is written first. A model in no set runs
alone.

Expansions are never listed. Of each part of an expression only those members matter that run, or are the target: a part
is a few masks of bits, of which those covered by a larger one are dropped, because keeping more costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import assert_never

from claracore.core.config.matrix import Either, Expression, One, Together
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
        masks = [mask for part in self.sets for mask in _masks(part, bits, known) if mask & 1]
        best = min(masks, key=lambda mask: self._cost(running, bits, mask), default=0)
        return frozenset(model for model in running if not bits[model] & best)

    def _cost(self, running: frozenset[str], bits: Mapping[str, int], mask: int) -> int:
        return sum(self.costs.get(model, DEFAULT_COST) for model in running if not bits[model] & mask)


def _masks(part: Expression, bits: Mapping[str, int], known: dict[int, list[int]]) -> list[int]:
    """Return what the expansions of a part have of `bits`; `known` remembers parts that several sets include."""
    found = known.get(id(part))
    if found is None:
        match part:
            case One(model_id):
                found = [bits.get(model_id, 0)]
            case Either(parts):
                found = _largest(mask for inner in parts for mask in _masks(inner, bits, known))
            case Together(parts):
                found = reduce(
                    lambda left, right: _largest(one | other for one in left for other in right),
                    (_masks(inner, bits, known) for inner in parts),
                )
            case _:
                assert_never(part)
        known[id(part)] = found
    return found


def _largest(masks: Iterable[int]) -> list[int]:
    """Return the masks that no other covers, in order."""
    distinct = list(dict.fromkeys(masks))
    return [mask for mask in distinct if not any(mask != other and mask & other == mask for other in distinct)]
