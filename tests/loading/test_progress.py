"""A bar that moves as the time does, and is never over before the load is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.loading.past import Forecast
from claracore.core.loading.progress import MOST, WEIGHTS_SHARE, left_seconds, progress

TEN = Forecast(10.0, 2.0)


def test_it_moves_as_the_time_does_while_the_engine_only_reads() -> None:
    assert [progress(elapsed, TEN, 0.0) for elapsed in (0.0, 2.0, 5.0, 9.0)] == [0.0, 0.2, 0.5, 0.9]
    assert progress(5.0, TEN, None) == 0.5


def test_without_a_forecast_the_weights_are_a_part_of_it() -> None:
    assert progress(5.0, None, 0.5) == pytest.approx(WEIGHTS_SHARE / 2)
    assert progress(5.0, None, 1.0) == WEIGHTS_SHARE
    assert progress(5.0, None, None) is None


def test_a_load_that_is_quicker_than_expected_is_as_far_as_the_engine_says() -> None:
    assert progress(1.0, TEN, 0.5) == pytest.approx(0.4)
    assert left_seconds(1.0, 0.4, TEN) == pytest.approx(1.5)


def test_weights_that_are_being_copied_are_not_all_there_whatever_the_time_says() -> None:
    late = progress(60.0, TEN, 0.5)
    assert late is not None
    assert 0.72 < late <= 0.8


def test_bytes_that_people_are_told_do_not_contradict_the_bar() -> None:
    """Seen: `reading weights 16 of 94 MiB` beside 71 %."""
    small = progress(7.1, TEN, 0.5 * 16 / 94, 16 / 94)
    assert small is not None
    assert small < 0.25
    assert progress(7.1, TEN, 0.5 * 93 / 94, 93 / 94) == pytest.approx(0.71)
    assert progress(1.0, TEN, 0.0, 0.0) == pytest.approx(0.1, abs=0.01)
    assert progress(1.0, TEN, 0.5, 0.5) == pytest.approx(0.4)


def test_it_does_not_stand_while_the_context_is_made() -> None:
    steps = [progress(elapsed, TEN, 1.0) for elapsed in (8.0, 8.5, 9.0, 9.5, 10.0, 11.0)]
    known = [step for step in steps if step is not None]
    assert known == sorted(set(known))
    assert known[0] == 0.8
    assert known[-1] < 1.0


def test_what_is_left_is_what_was_expected_until_it_takes_longer() -> None:
    assert left_seconds(0.0, 0.0, TEN) == 10.0
    assert left_seconds(2.0, 0.2, TEN) == pytest.approx(8.0)
    late = left_seconds(15.0, progress(15.0, TEN, None), TEN)
    assert late is not None
    assert 0.0 < late < 1.0
    assert left_seconds(5.0, 0.5, None) is None


@given(
    st.floats(0, 1e5),
    st.one_of(st.none(), st.builds(Forecast, st.floats(0, 1e5), st.one_of(st.none(), st.floats(0, 1e5)))),
    st.one_of(st.none(), st.floats(-1, 2)),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_it_is_never_over(
    elapsed: float, forecast: Forecast | None, reported: float | None, shown: float | None
) -> None:
    done = progress(elapsed, forecast, reported, shown)
    assert done is None or 0.0 <= done <= MOST
    left = left_seconds(elapsed, done, forecast)
    assert left is None or left >= 0.0


@given(
    st.lists(st.floats(0, 100), min_size=2),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
)
def test_it_never_goes_back_as_time_goes_on(times: list[float], reported: float | None, shown: float | None) -> None:
    bar = [progress(elapsed, TEN, reported, shown) or 0.0 for elapsed in sorted(times)]
    assert bar == sorted(bar)
