"""Pure decisions: what fits a server, what is worth saving, and what goes."""

from __future__ import annotations

import pytest

from claracore.core.conversations.fingerprint import fingerprint
from claracore.core.conversations.kept import (
    LEAST_DISK_LEFT,
    KeptConversation,
    expired,
    fitting,
    most_in_memory,
    most_on_disk,
    too_many,
)
from claracore.core.conversations.worth import (
    LEAST_PATIENCE_SECONDS,
    MOST_PATIENCE_SECONDS,
    KeepingSpeeds,
    is_worth_saving,
    patience_seconds,
)

COMMAND = ["llama-server", "-m", "m.gguf", "--port", "1", "-c", "4096", "--parallel", "4", "--threads", "2"]
GIB = 1 << 30


def kept(saved_at: float, *, size: int = 10, mark: str = "f") -> KeptConversation:
    return KeptConversation("m", f"{saved_at}.state", mark, 500, size, saved_at)


def mark(words: list[str], files: object = "files", engine: str = "b1") -> str:
    return fingerprint(words, ("A=1",), str(files), engine)


@pytest.mark.parametrize(
    "change", ["--port 2", "--threads 8", "--reuse-port", "--alias x", "--cache-ram 5", "--seed 3"]
)
def test_what_changes_nothing_of_a_cache_keeps_the_fingerprint(change: str) -> None:
    assert mark([*COMMAND, *change.split()]) == mark(COMMAND)


@pytest.mark.parametrize(
    "change",
    ["-c 8192", "--parallel 2", "--cache-type-k q8_0", "--flash-attn on", "--lora x", "--rope-scale 2", "--new"],
)
def test_what_may_change_a_cache_changes_it(change: str) -> None:
    assert mark([*COMMAND, *change.split()]) != mark(COMMAND)


def test_another_file_or_engine_is_another_fingerprint() -> None:
    assert len({mark(COMMAND), mark(COMMAND, "newer"), mark(COMMAND, engine="b2")}) == 3


def test_the_newest_go_into_the_slots_and_what_fits_no_more_is_stale() -> None:
    old, new, other, ancient = kept(1000), kept(1001), kept(1002, mark="g"), kept(10)
    found = fitting([old, new, other, ancient], [0, 1, 2], fingerprint="f", now=1003, ttl_seconds=100)
    assert found.into == ((0, new), (1, old))
    assert set(found.stale) == {other, ancient}


def test_more_conversations_than_slots_leave_the_oldest_where_they_are() -> None:
    found = fitting([kept(1), kept(2), kept(3)], [0, 1], fingerprint="f", now=4, ttl_seconds=100)
    assert found.into == ((0, kept(3)), (1, kept(2)))
    assert found.stale == ()


def test_the_oldest_go_when_there_are_too_many_bytes() -> None:
    assert too_many([kept(1), kept(3), kept(2)], 20) == [kept(1)]
    assert too_many([kept(1), kept(2)], 20) == []
    assert too_many([kept(1), kept(2, size=30)], 20) == [kept(2, size=30)]


def test_what_is_older_than_its_time_is_expired() -> None:
    assert expired([kept(1), kept(50)], now=100, ttl_seconds=60) == [kept(1)]


def test_memory_is_never_more_than_a_quarter_of_what_is_free() -> None:
    assert most_in_memory(8 * GIB, available=100 * GIB, held=0) == 8 * GIB
    assert most_in_memory(8 * GIB, available=6 * GIB, held=2 * GIB) == 2 * GIB


def test_a_disk_keeps_some_bytes_free() -> None:
    assert most_on_disk(8 * GIB, free=LEAST_DISK_LEFT + GIB, held=2 * GIB) == 3 * GIB
    assert most_on_disk(8 * GIB, free=GIB, held=0) == 0


SLOW_MODEL = KeepingSpeeds(tokens_per_second=50.0, bytes_per_token=25_000.0, bytes_per_second=1e9)


def test_what_takes_longer_to_write_than_to_read_is_not_saved() -> None:
    assert is_worth_saving(4000, 256, SLOW_MODEL, GIB)
    fast_model = KeepingSpeeds(tokens_per_second=10_000.0, bytes_per_token=300_000.0, bytes_per_second=1e9)
    assert not is_worth_saving(4000, 256, fast_model, 2 * GIB)


def test_a_place_that_was_too_slow_is_not_tried_again_with_as_much() -> None:
    new = KeepingSpeeds(tokens_per_second=1000.0)
    assert is_worth_saving(4000, 256, new, GIB), "it is tried once"
    assert not is_worth_saving(4000, 256, new.too_slow(4000, patience_seconds(4000, new)), GIB)


def test_short_conversations_and_those_without_room_are_not_saved() -> None:
    assert not is_worth_saving(255, 256, SLOW_MODEL, GIB)
    assert not is_worth_saving(4000, 256, SLOW_MODEL, 4000 * 25_000 - 1)


def test_saving_is_waited_for_no_longer_than_reading_takes() -> None:
    assert patience_seconds(100, SLOW_MODEL) == 2.0
    assert patience_seconds(1, SLOW_MODEL) == LEAST_PATIENCE_SECONDS
    assert patience_seconds(10**6, SLOW_MODEL) == MOST_PATIENCE_SECONDS
