"""Times as people say them."""

from __future__ import annotations

import pytest

from claracore.core.units import lasting


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (1740, "29 min"),
        (7200, "2 h"),
        (86400, "24 h"),
        (3 * 86400, "3 days"),
    ],
)
def test_a_time_in_the_unit_that_people_use(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
