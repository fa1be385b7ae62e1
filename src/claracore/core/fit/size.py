"""Does a model fit this machine, and how fast is it, when nothing is known of it but the size of its files?

For a model that is still on the hub. Its weights have to be somewhere, and a tenth of them again is allowed for context
and buffers; the exact sum is made when its header is here (`memory`).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from claracore.core.fit.budget import Budget
from claracore.core.fit.places import RAM
from claracore.core.fit.speed import (
    LAYER_IN_RAM_SECONDS,
    LAYER_ON_GPU_SECONDS,
    TOKEN_SECONDS,
    MachineSpeed,
    read_bandwidth,
)

BESIDE_WEIGHTS: Final = 1.1
LAYERS: Final = 36
"""Of a model of which no more is known: those of 4 to 8 billion parameters have so many."""


class SizeVerdict(StrEnum):
    """Where a model of this size would run."""

    GPU = "gpu"
    MEMORY = "memory"
    """In RAM, or partly there."""
    NOWHERE = "nowhere"


def by_size(size: int, budget: Budget) -> SizeVerdict:
    """Return where so many bytes of weights would run."""
    needed = size * BESIDE_WEIGHTS
    if budget.gpus and needed <= sum(budget.gpus):
        return SizeVerdict.GPU
    return SizeVerdict.MEMORY if needed <= budget.whole else SizeVerdict.NOWHERE


def speed_by_size(size: int, used: float, budget: Budget, machine: MachineSpeed) -> float | None:
    """Return the tokens per second that a model of `size` bytes writes; None when it fits nowhere or nobody can know.

    `used` is the part of its weights that is read for one token: 1, but for mixtures of experts.
    """
    if by_size(size, budget) is SizeVerdict.NOWHERE:
        return None
    shares = dict(_shares(size, budget))
    seconds = TOKEN_SECONDS + LAYERS * (LAYER_IN_RAM_SECONDS if RAM in shares else LAYER_ON_GPU_SECONDS)
    for place, share in shares.items():
        bandwidth = read_bandwidth(machine, place)
        if not bandwidth:
            return None
        seconds += size * used * share / bandwidth
    return 1 / seconds


def _shares(size: int, budget: Budget) -> Iterator[tuple[int, float]]:
    """Give the part of the weights that lies in each place: on the largest card alone, on all, or the rest in RAM."""
    needed, room = size * BESIDE_WEIGHTS, sum(budget.gpus)
    largest = max(range(len(budget.gpus)), key=lambda index: budget.gpus[index], default=None)
    if largest is not None and needed <= budget.gpus[largest]:
        yield largest, 1.0
        return
    for index, limit in enumerate(budget.gpus):
        if limit > 0:
            yield index, limit / max(needed, room)
    if needed > room:
        yield RAM, 1 - room / needed
