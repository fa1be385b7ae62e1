from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.http.wire.framing import (
    LAST_CHUNK,
    MAX_CHUNK_LINE_BYTES,
    MORE,
    Chunked,
    Framing,
    MalformedBody,
    Sized,
    UntilClose,
    chunk,
)


def run(framing: Framing, *pieces: bytes) -> tuple[bytes, int]:
    """What the body is, and where it ends in all bytes; MORE when it goes on."""
    payload: list[bytes] = []
    before = 0
    for piece in pieces:
        end = framing.feed(piece, 0, payload)
        if end != MORE:
            return b"".join(payload), before + end
        before += len(piece)
    return b"".join(payload), MORE


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return [data[one:other] for one, other in pairwise(places)]


CUTS = st.lists(st.integers(0, 60), max_size=8)


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=10), CUTS)
def test_a_known_length_ends_after_it(body: bytes, following: bytes, cuts: list[int]) -> None:
    assert run(Sized(len(body)), *cut(body + following, cuts)) == (body, len(body))


@given(st.binary(max_size=40), CUTS)
def test_until_the_connection_closes_everything_is_the_body(body: bytes, cuts: list[int]) -> None:
    assert run(UntilClose(), *cut(body, cuts)) == (body, MORE)


@given(st.lists(st.binary(min_size=1, max_size=10), max_size=5), st.sampled_from([b"", b"X-Sum: 1\r\n"]), CUTS)
def test_chunks_end_wherever_they_are_split(pieces: list[bytes], trailer: bytes, cuts: list[int]) -> None:
    whole = b"".join(map(chunk, pieces)) + LAST_CHUNK[:-2] + trailer + b"\r\n"
    assert run(Chunked(), *cut(whole + b"GET /", cuts)) == (b"".join(pieces), len(whole))


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n",
        b"5\r\nhellooo\r\n",
        b"5\r\nhello\n",
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"11111111111111111\r\n",
        b"5 5\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"5;" + b"x" * MAX_CHUNK_LINE_BYTES + b"\r\n",
        b"5;" + b"x" * MAX_CHUNK_LINE_BYTES,
    ],
)
def test_chunks_are_read_strictly(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        Chunked().feed(body)


@pytest.mark.parametrize(
    ("seen", "between"),
    [(b"", True), (b"5\r\nhel", False), (b"5\r\nhello", False), (b"5\r\nhello\r\n", True), (b"5\r\nhello\r\n1", False)],
)
def test_between_two_chunks_something_may_be_inserted(seen: bytes, *, between: bool) -> None:
    framing = Chunked()
    framing.feed(seen)
    assert framing.between is between
    assert not Sized(1).between
    assert UntilClose().between
