"""Does a model fit this machine, when nothing is known of it but the size of its files?

For a model that is still on the hub. Its weights have to be somewhere, and a tenth of them again is allowed for context
and buffers; the exact sum is made when its header is here (`memory`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from claracore.core.fit.budget import Budget

BESIDE_WEIGHTS: Final = 1.1


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
