"""Which of these models does a set of the matrix allow at the same time?

Expansions are never listed. Of each part of an expression only those members matter that are asked about: a part is a
few masks of bits, of which those covered by a larger one are dropped, because allowing more costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from typing import assert_never

from claracore.core.config.matrix import Either, Expression, One, Together


def allows(expression: Expression, models: Collection[str]) -> bool:
    """Tell whether one expansion has all of these models."""
    bits = {model: 1 << number for number, model in enumerate(models)}
    return (1 << len(bits)) - 1 in masks_of(expression, bits, {})


def masks_of(part: Expression, bits: Mapping[str, int], known: dict[int, list[int]]) -> list[int]:
    """Return what the expansions of a part have of `bits`; `known` remembers parts that several sets include."""
    found = known.get(id(part))
    if found is None:
        match part:
            case One(model_id):
                found = [bits.get(model_id, 0)]
            case Either(parts):
                found = _largest(mask for inner in parts for mask in masks_of(inner, bits, known))
            case Together(parts):
                found = reduce(
                    lambda left, right: _largest(one | other for one in left for other in right),
                    (masks_of(inner, bits, known) for inner in parts),
                )
            case _:
                assert_never(part)
        known[id(part)] = found
    return found


def _largest(masks: Iterable[int]) -> list[int]:
    """Return the masks that no other covers, in order."""
    distinct = list(dict.fromkeys(masks))
    return [mask for mask in distinct if not any(mask != other and mask & other == mask for other in distinct)]
