"""Which conversations are saved while their model is idle, and when?"""

from __future__ import annotations

import pytest

from claracore.core.conversations.ahead import (
    IDLE_SECONDS,
    MEMORY_BYTES_PER_SECOND,
    MOST_SECONDS,
    is_due,
    is_saved_ahead,
)
from claracore.core.conversations.worth import KeepingSpeeds

GIB = 1 << 30


@pytest.mark.parametrize(
    ("idle_since", "looked_since", "due"),
    [
        (100.0 - IDLE_SECONDS, None, True),
        (100.0 - IDLE_SECONDS, 50.0, True),
        (100.0 - IDLE_SECONDS, 100.0 - IDLE_SECONDS, False),
        (100.5 - IDLE_SECONDS, None, False),
        (None, None, False),
        (None, 50.0, False),
    ],
)
def test_it_is_looked_once_in_each_pause_that_is_long_enough(
    idle_since: float | None, looked_since: float | None, due: object
) -> None:
    assert is_due(idle_since, looked_since, 100.0) is due


@pytest.mark.parametrize(
    ("tokens", "speeds", "saved"),
    [
        (4000, KeepingSpeeds(100.0, 23_000.0, 1.7e9), True),
        (4000, KeepingSpeeds(100.0, 23_000.0, 4000 * 23_000 / MOST_SECONDS), True),
        (4001, KeepingSpeeds(100.0, 23_000.0, 4000 * 23_000 / MOST_SECONDS), False),
        (30_000, KeepingSpeeds(100.0, 131_072.0, 1.7e9), False),
        (255, KeepingSpeeds(100.0, 23_000.0, 1.7e9), False),
        (1000, KeepingSpeeds(1e9, 23_000.0, 1.7e9), False),
        (4000, KeepingSpeeds(100.0, 23_000.0), True),
        (4000, KeepingSpeeds(100.0, 1.01 * MEMORY_BYTES_PER_SECOND * MOST_SECONDS / 4000), False),
    ],
)
def test_what_is_worth_it_and_takes_a_moment_is_saved(tokens: int, speeds: KeepingSpeeds, saved: object) -> None:
    assert is_saved_ahead(tokens, 256, speeds, GIB) is saved


def test_what_has_no_room_is_not_saved() -> None:
    speeds = KeepingSpeeds(100.0, 1000.0, 1e9)
    assert is_saved_ahead(1000, 256, speeds, 1_000_000)
    assert not is_saved_ahead(1000, 256, speeds, 999_999)
