"""What we accept as a request, h11 accepts too and reads the same way; where we refuse more, the reason is here."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claracore.errors import ClaraCoreError
from claracore.http.wire.head import RequestHead, parse_request, request_head
from conformance.http.corpus import ALL

HEADS = sorted({conversation.client.split(b"\r\n\r\n")[0].lstrip(b"\r\n") + b"\r\n\r\n" for conversation in ALL})

# Heads that h11 takes and we do not. Each is stricter on purpose.
STRICTER = {
    b"Content-Length: 4\r\nTransfer-Encoding: chunked": "RFC 9112 6.3 lets a server refuse both together",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4": "same",
    b"Content-Length: 5\r\nContent-Length: 5": "equal lengths are read differently by others",
    b"Content-Length: 5, 5": "same",
    b"X: a\r\n b": "folded lines are obsolete and a way to smuggle",
    b"Transfer-Encoding:\r\n chunked": "same",
    b"HTTP/1.2": "there is no such version",
    b"Host: a/b": "not a host",
    b"Host: a@b": "same",
    b"/a#b": "a fragment never goes to a server",
    b"GET a HTTP": "neither a path nor a URL",
    b"GET * HTTP": "only OPTIONS has *",
    b"CONNECT": "not a forward proxy",
    b"http://user@h": "no users in URLs (RFC 9110, 4.2.4)",
    b"ftp://": "not http",
    b"HTTP/1.0\r\nHost: h\r\nTransfer-Encoding": "HTTP/1.0 has no transfer codings",
    b"Expect: a-miracle": "417",
    b"\nHost: h\n\n": "bare LF",
    b"Host: h\nX": "same",
    b"X-Request-Id: a\nX": "same",
    b"X-A: a\nX": "same",
    b"X-Request-Id: a\r\n b": "folded",
    b"X: a\x7fb": "DEL is a control character (RFC 9110, 5.5)",
    b"HTTP/2.0": "not spoken here",
    b"18446744073709551616": "more than a 64-bit length",
}


def ours(head: bytes) -> tuple[RequestHead, int | None] | None:
    try:
        return parse_request(head)
    except ClaraCoreError:
        return None


def theirs(head: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def agree(head: bytes) -> None:
    read, reference = ours(head), theirs(head)
    if read is None:
        if reference is not None:
            assert any(part in head for part in STRICTER), "h11 accepts this"
        return
    mine, length = read
    assert request_head(head)[1] == length, "remembering changes nothing"
    assert reference is not None, "h11 refuses this"
    assert (mine.method, mine.minor) == (reference.method, int(reference.http_version[-1:]))
    assert reference.target.endswith(mine.target) or mine.target == b"/"
    values = [(name, line.partition(b":")[2].strip(b" \t")) for name, line in zip(mine.names, mine.lines, strict=True)]
    assert values == [(name, value) for name, value in reference.headers]
    lengths = [int(value) for name, value in reference.headers if name == b"content-length"]
    assert length == (lengths[0] if lengths else None)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head[:60].decode("latin-1"))
def test_h11_agrees(head: bytes) -> None:
    agree(head)


METHODS = [b"GET ", b"POST ", b"/", b"/v1/completions", b" HTTP/1.1", b" HTTP/1.0"]
NAMES = [
    b"Host",
    b"Host: h\r\n",
    b"Content-Length",
    b"Transfer-Encoding: chunked",
    b"X",
    b"Connection: close",
    b"chunked",
]
MARKS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b": 5", b": +5", b"\x00", b"\x7f", b"\xe9", b", ", b"(", b"0"]
PIECES = st.sampled_from(METHODS + NAMES + MARKS)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14))
def test_what_we_accept_of_noise_h11_accepts(pieces: list[bytes]) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(pieces).replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    if head.find(b"\r\n\r\n") == len(head) - 4 and ours(head) is not None:
        agree(head)
