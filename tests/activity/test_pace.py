"""How fast answers were, one by one and over time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from activity.rows import row
from claracore.host.activity.database import Activity
from claracore.host.activity.pace import OF_EACH, pace, recent_speeds


@pytest.fixture
def activity() -> Iterator[Activity]:
    activity = Activity(None)
    yield activity
    activity.close()


def test_the_newest_answers_of_each_model_the_oldest_first(activity: Activity) -> None:
    for number in range(1, OF_EACH + 6):
        activity.add(row(id=number, tokens_per_second=float(number)))
    activity.add(row(id=90, model="phi", tokens_per_second=7.5))
    activity.add(row(id=91, model="phi", tokens_per_second=999.0, completion_tokens=1))
    activity.add(row(id=92, model="embed", tokens_per_second=None, completion_tokens=None))
    activity.flush()
    found = recent_speeds(activity)
    assert found["qwen"] == [float(number) for number in range(6, OF_EACH + 6)]
    assert found["phi"] == [7.5]
    assert "embed" not in found


def test_tokens_are_counted_where_they_were_written(activity: Activity) -> None:
    now = time.time()
    # 60 s ago it came, waited 10 s, was read for 10 s, and wrote 200 tokens in 20 s.
    activity.add(
        row(at=now - 60, queue_seconds=10.0, total_seconds=40.0, completion_tokens=200, tokens_per_second=10.0)
    )
    activity.flush()
    found = pace(activity, 100, 10)
    assert found.step_seconds == 10
    assert sum(found.tokens_per_second) * 10 == pytest.approx(200, rel=0.02)
    assert found.tokens_per_second[6:8] == pytest.approx((10, 10), rel=0.1)
    assert sum(found.waiting) * 10 == pytest.approx(10, rel=0.02)
    assert found.waiting[4] == pytest.approx(1, rel=0.1)
    assert sum(found.serving) * 10 == pytest.approx(30, rel=0.02)


def test_what_began_before_counts_with_its_rest(activity: Activity) -> None:
    now = time.time()
    activity.add(row(at=now - 200, total_seconds=150.0, completion_tokens=1500, tokens_per_second=10.0))
    activity.add(row(id=2, at=now - 500, total_seconds=1.0))
    activity.flush()
    found = pace(activity, 100, 4)
    assert found.tokens_per_second == pytest.approx((10, 10, 0, 0), abs=0.5)
    assert found.serving == pytest.approx((1, 1, 0, 0), abs=0.05)


def test_nothing_is_no_error(activity: Activity) -> None:
    assert recent_speeds(activity) == {}
    assert pace(activity, 3600, 3).tokens_per_second == (0.0, 0.0, 0.0)
