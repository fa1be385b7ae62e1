from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.http.wire.sse import EventReader, ServerEvent, comment, event

# The examples of the HTML standard, section 9.2.6, and what else its rules say.
STREAMS: list[tuple[str, bytes, list[ServerEvent]]] = [
    ("nothing", b"", []),
    ("one", b"data: x\n\n", [ServerEvent("message", "x", "")]),
    (
        "several lines",
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [ServerEvent("message", "YHOO\n+2\n10", "")],
    ),
    (
        "comments, ids, and an end without an empty line",
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
        [ServerEvent("message", "first event", "1"), ServerEvent("message", "second event", "")],
    ),
    (
        "data that is empty",
        b"data\n\ndata\ndata\n\ndata:",
        [ServerEvent("message", "", ""), ServerEvent("message", "\n", "")],
    ),
    ("a space is left away, once", b"data:test\n\ndata: test\n\n", [ServerEvent("message", "test", "")] * 2),
    ("no data is no event, and forgets its type", b"event: x\n\ndata: y\n\n", [ServerEvent("message", "y", "")]),
    ("a type", b"event: model\ndata: {}\n\n", [ServerEvent("model", "{}", "")]),
    ("ids stay", b"id: 7\n\ndata: a\n\n", [ServerEvent("message", "a", "7")]),
    ("an id with NUL is none", b"id: 7\nid: 8\0\ndata: a\n\n", [ServerEvent("message", "a", "7")]),
    ("CRLF", b"event: e\r\ndata: a\r\ndata: b\r\n\r\n", [ServerEvent("e", "a\nb", "")]),
    ("CR", b"event: e\rdata: a\rdata: b\r\r", [ServerEvent("e", "a\nb", "")]),
    ("all ends", b"data: a\rdata: b\r\ndata: c\n\n", [ServerEvent("message", "a\nb\nc", "")]),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [ServerEvent("message", "a", "")]),
    ("... only at the beginning", b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [ServerEvent("message", "a", "")]),
    ("other fields", b"retry: 10\nfoo: bar\ndata: a\n\n", [ServerEvent("message", "a", "")]),
    ("colons", b"data: a: b\n\n", [ServerEvent("message", "a: b", "")]),
    ("not UTF-8", b"data: \xff\n\n", [ServerEvent("message", "\ufffd", "")]),
    ("letters of several bytes", "data: åß∂ 🦙\n\n".encode(), [ServerEvent("message", "åß∂ 🦙", "")]),
]
each = pytest.mark.parametrize(("stream", "events"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])


def read(*pieces: bytes) -> list[ServerEvent]:
    reader = EventReader()
    return [each for piece in pieces for each in reader.feed(piece)]


@each
def test_whole(stream: bytes, events: list[ServerEvent]) -> None:
    assert read(stream) == events


@each
def test_byte_by_byte(stream: bytes, events: list[ServerEvent]) -> None:
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


@each
def test_split_at_every_byte(stream: bytes, events: list[ServerEvent]) -> None:
    for at in range(len(stream) + 1):
        assert read(stream[:at], b"", stream[at:]) == events


LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"event: e", b"id: 1", b"id", b": c", b"", b"", b"\xef\xbb\xbf", b"\xc3\xa5", b"x"]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS).map(b"".join)).map(b"".join), st.lists(st.integers(0, 200)))
def test_pieces_do_not_matter(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(stream)]
    assert read(*(stream[one:other] for one, other in pairwise(places))) == read(stream)


@given(st.lists(st.tuples(st.text(), st.sampled_from(["", "message", "model"]), st.integers(0)), max_size=5))
def test_what_is_written_is_read_again(events: list[tuple[str, str, int]]) -> None:
    written = [event(data.encode(), name=name.encode(), id_=id_) for data, name, id_ in events]
    stream = comment("still here").join(written)
    assert read(stream) == [
        ServerEvent(name or "message", data.replace("\r\n", "\n").replace("\r", "\n"), str(id_))
        for data, name, id_ in events
    ]


def test_bytes_on_the_wire() -> None:
    assert event(b"{}") == b"data: {}\n\n"
    assert event(b"{}", name=b"error") == b"event: error\ndata: {}\n\n"
    assert event(b"{}", name=b"model", id_=7) == b"id: 7\nevent: model\ndata: {}\n\n"
    assert event(b"{}", name=b"message", colon=b":") == b"event:message\ndata:{}\n\n"
    assert event(b"a\nb") == b"data: a\ndata: b\n\n"
    assert comment("loading qwen") == b": loading qwen\n\n"


def test_a_long_line_is_not_copied_with_every_piece() -> None:
    reader, piece = EventReader(), b"x" * 1_000
    assert reader.feed(b"data: ") == []
    for _ in range(2_000):
        assert reader.feed(piece) == []
    assert len(reader._line) == 2_001
    assert [len(found.data) for found in reader.feed(b"\n\n")] == [2_000_000]
