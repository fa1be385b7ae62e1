from __future__ import annotations

import pytest

from claracore.core.key_limits import (
    DAY_SECONDS,
    KeyLimits,
    KeyMeter,
    KeyMeters,
    LimitName,
    ReachedLimit,
    day_began,
    day_seconds_left,
)

NOON = 20_000 * DAY_SECONDS + DAY_SECONDS / 2


def test_requests_count_in_a_minute_that_slides() -> None:
    meter = KeyMeter("ann", KeyLimits(requests_per_minute=2))
    assert meter.begin("r1", 100.0, NOON) is None
    assert meter.begin("r2", 130.0, NOON) is None
    assert meter.begin("r3", 150.0, NOON) == ReachedLimit(LimitName.REQUESTS, 2, 10.0)
    assert (meter.requests(150.0), meter.requests_reset_seconds(150.0)) == (2, 40.0)
    assert meter.begin("r3", 160.0, NOON) is None, "the first one is a minute old"
    assert meter.begin("r4", 161.0, NOON) == ReachedLimit(LimitName.REQUESTS, 2, 29.0)
    assert (meter.requests(500.0), meter.requests_reset_seconds(500.0)) == (0, 0.0)
    assert meter.refused == {LimitName.REQUESTS: 2}


def test_a_lower_limit_counts_at_once_and_says_when_few_enough_are_left() -> None:
    meter = KeyMeter("ann", KeyLimits(requests_per_minute=3))
    for second in (0.0, 10.0, 20.0):
        assert meter.begin(second, second, NOON) is None
    meter.limits = KeyLimits(requests_per_minute=1)
    assert meter.begin("x", 30.0, NOON) == ReachedLimit(LimitName.REQUESTS, 1, 50.0)


def test_tokens_count_by_days_of_utc() -> None:
    meter = KeyMeter("ann", KeyLimits(tokens_per_day=100))
    meter.used(60, NOON)
    assert meter.begin("r1", 0.0, NOON) is None
    meter.used(60, NOON + 60)
    assert meter.begin("r2", 1.0, NOON + 60) == ReachedLimit(LimitName.TOKENS, 100, DAY_SECONDS / 2 - 60)
    midnight = NOON + DAY_SECONDS / 2
    assert meter.begin("r2", 2.0, midnight) is None
    assert meter.tokens(midnight) == 0
    assert (day_began(NOON), day_seconds_left(NOON)) == (NOON - DAY_SECONDS / 2, DAY_SECONDS / 2)


def test_as_many_at_a_time_as_are_not_over() -> None:
    meter = KeyMeter("ann", KeyLimits(concurrency=1))
    assert meter.begin("r1", 0.0, NOON) is None
    assert meter.begin("r2", 0.0, NOON) == ReachedLimit(LimitName.CONCURRENCY, 1, 1.0)
    meter.ended("r1")
    meter.ended("r1")
    assert meter.begin("r2", 0.0, NOON) is None
    assert meter.running == {"r2"}


def test_what_is_refused_takes_nothing() -> None:
    meter = KeyMeter("ann", KeyLimits(requests_per_minute=5, concurrency=1))
    assert meter.begin("r1", 0.0, NOON) is None
    for second in range(10):
        assert meter.begin("r2", float(second), NOON) is not None
    assert (meter.requests(10.0), meter.running) == (1, {"r1"})


def test_other_limits_forget_no_use_and_a_key_that_is_gone_is_forgotten() -> None:
    meters = KeyMeters()
    meters.use([("ann", KeyLimits()), ("bob", KeyLimits(concurrency=1))])
    meters.used("ann", 7, NOON)
    meters.used("nobody", 7, NOON)
    meters.use([("ann", KeyLimits(tokens_per_day=5))])
    assert [meter.name for meter in meters.all()] == ["ann"]
    ann = meters.get("ann")
    assert ann is not None
    assert ann.begin("r1", 0.0, NOON) == ReachedLimit(LimitName.TOKENS, 5, DAY_SECONDS / 2)
    assert meters.get("bob") is None


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "3", 10**15])
@pytest.mark.parametrize("name", list(LimitName))
def test_a_limit_is_a_positive_number(name: LimitName, number: object) -> None:
    with pytest.raises(ValueError, match=name.value):
        KeyLimits(**{name.value: number})  # type: ignore[arg-type]
