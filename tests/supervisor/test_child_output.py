"""Lines, the ring, and followers (supervisor/output.py)."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from claracore.host.logs.output import CUT_MARK, LineSplitter, OutputRing


def split(*chunks: bytes, limit: int = 100) -> list[str]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.flush()


def test_lines_are_put_together_from_chunks() -> None:
    assert split(b"one\ntw", b"o\n", b"\nlast") == ["one", "two", "", "last"]


def test_windows_line_ends_are_line_ends_even_when_torn_apart() -> None:
    assert split(b"one\r", b"\ntwo\r\n") == ["one", "two"]


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    assert split(b"10%\r20", b"%\r100%\ndone\n") == ["100%", "done"]


def test_long_lines_are_cut_and_say_so() -> None:
    assert split(b"x" * 250 + b"\nnext\n", limit=10) == ["x" * 10 + CUT_MARK, "next"]


def test_a_long_progress_bar_that_starts_again_is_not_cut() -> None:
    assert split(b"x" * 250 + b"\rshort\n", limit=10) == ["short"]


def test_bytes_that_are_not_text_are_replaced() -> None:
    assert split(b"caf\xe9 \xe2\x82", b"\xac\n") == ["caf\N{REPLACEMENT CHARACTER} \N{EURO SIGN}"]


@given(st.lists(st.binary(max_size=40)))
def test_memory_is_bounded_whatever_comes(chunks: list[bytes]) -> None:
    lines = split(*chunks, limit=8)
    assert all(len(line) <= 8 + len(CUT_MARK) for line in lines)


@given(st.lists(st.text(alphabet="ab\u20ac", max_size=9)), st.integers(1, 7))
def test_how_the_bytes_are_torn_apart_does_not_matter(lines: list[str], size: int) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    assert split(*(data[at : at + size] for at in range(0, len(data), size))) == lines


def test_the_ring_keeps_the_last_lines() -> None:
    ring = OutputRing(max_lines=3)
    for number in range(5):
        ring.append(str(number))
    assert ring.tail(10) == ("2", "3", "4")
    assert ring.tail(2) == ("3", "4")
    assert ring.tail(0) == ()


@given(st.lists(st.text(max_size=30), min_size=1))
def test_the_ring_is_bounded_by_size_but_never_loses_the_newest(lines: list[str]) -> None:
    ring = OutputRing(max_bytes=50)
    for line in lines:
        ring.append(line)
    kept = ring.tail(1_000)
    assert sum(len(line) + 1 for line in kept) <= 50
    assert kept == tuple(lines[-len(kept) :])


def test_a_follower_sees_history_and_news() -> None:
    async def story() -> None:
        ring = OutputRing()
        ring.append("past")
        with ring.subscribe(history=10) as follower:
            ring.append("now")
            lines = aiter(follower)
            assert [await anext(lines), await anext(lines)] == ["past", "now"]
            asyncio.get_running_loop().call_soon(ring.append, "later")
            assert await anext(lines) == "later"

    asyncio.run(story())


def test_a_slow_follower_loses_the_oldest_lines_and_knows_it() -> None:
    async def story() -> None:
        ring = OutputRing()
        follower = ring.subscribe(limit=2)
        for line in "abcd":
            ring.append(line)
        lines = aiter(follower)
        assert [await anext(lines), await anext(lines), follower.dropped] == ["c", "d", 2]
        follower.close()
        ring.append("unheard")
        follower.close()

    asyncio.run(story())
