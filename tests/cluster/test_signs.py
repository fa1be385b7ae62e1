"""Bytes that come from a machine are a sign of its life."""

from __future__ import annotations

import pytest

from claracore.core.cluster.signs import RECENT_SECONDS, AnswersHeard


@pytest.mark.parametrize(
    ("before", "after", "grows"),
    [
        ({}, {}, False),
        ({}, {1: 0}, False),
        ({}, {1: 5}, True),
        ({1: 5}, {1: 5}, False),
        ({1: 5}, {1: 6}, True),
        ({1: 5, 2: 9}, {2: 9}, False),
        ({1: 5}, {2: 1}, True),
    ],
)
def test_an_answer_that_grows_is_heard(before: dict[int, int], after: dict[int, int], grows: bool) -> None:  # noqa: FBT001 - a column
    heard = AnswersHeard()
    heard.heard("desk", before, 0.0)
    assert heard.heard("lap", {}, 100.0) is False
    assert heard.heard("desk", after, 100.0) is grows


def test_who_asks_twice_at_once_hears_the_same() -> None:
    heard = AnswersHeard()
    times = (10.0, 10.1, 10.0 + RECENT_SECONDS, 10.1 + RECENT_SECONDS)
    assert [heard.heard("desk", {1: 5}, at) for at in times] == [True, True, True, False]
