"""Bytes that come from a machine are a sign of its life."""

from __future__ import annotations

import pytest

from claracore.core.cluster.signs import AnswersHeard


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
    heard.grow("desk", before)
    assert heard.grow("lap", {}) is False
    assert heard.grow("desk", after) is grows
