"""Is the longest context that holds found, in few looks, wherever lines bend?"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.fit.case import FLOOR, STEP, Case, Wishes
from claracore.core.fit.memory import Companions
from fit.llama_cpp import facts
from fit.test_ways import FLAGS, budget

CASE = Case(facts("llama-3.1-8b-Q4_K_M"), budget((24,), 64), Wishes(), FLAGS, Companions())
LIMITS = st.integers(1, 1_100_000)
LINES = st.lists(st.tuples(st.integers(-10, 10**9), st.integers(0, 5000), LIMITS, st.integers(0, 5000)), min_size=1)


def by_halves(left: Sequence[int], limit: int) -> int | None:
    """What halving finds; `left` has what each step leaves, and the limit as the last one."""
    if left[-1] >= 0:
        return limit
    count = bisect_right(left[:-1], False, key=lambda some: some < 0)
    return FLOOR + (count - 1) * STEP if count else None


@given(limit=LIMITS, lines=LINES)
def test_it_is_the_one_that_halving_finds(limit: int, lines: list[tuple[int, int, int, int]]) -> None:
    def left(context: int) -> list[int]:
        # Each falls on a line, and on a steeper one behind a point.
        return [some - each * context - more * max(0, context - bend) for some, each, bend, more in lines]

    steps = [*range(FLOOR, limit, STEP), limit]
    expected = by_halves([min(left(context)) for context in steps], limit)
    assert CASE.longest_that(left, limit) == expected


def test_on_a_straight_line_four_looks_are_enough() -> None:
    looks: list[int] = []

    def left(context: int) -> tuple[int, ...]:
        looks.append(context)
        return (10**10 - 80_000 * context, 7, 10**12 - context)

    assert CASE.longest_that(left, 131_072) == 10**10 // 80_000 // STEP * STEP
    assert len(looks) == 4


@pytest.mark.parametrize("end", [FLOOR, FLOOR + STEP, 70_000, 130_048, 131_071])
def test_a_cliff_is_found_by_halves(end: int) -> None:
    looks: list[int] = []

    def left(context: int) -> tuple[int]:
        looks.append(context)
        return (0 if context <= end else -(10**15),)

    assert CASE.longest_that(left, 131_072) == end // STEP * STEP
    assert len(looks) <= 12
