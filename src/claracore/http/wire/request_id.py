"""By which id do a client, we and other machines know the same request?

Pure. It stands in `X-Request-Id`, another one in every request. Heads are remembered as a whole, so its line is taken
out of them before they are read, and put back when they are written.
"""

from __future__ import annotations

import re
from typing import Final

FIELD: Final = b"x-request-id"
LINE: Final = b"X-Request-Id: "
THEIRS: Final = b"X-Upstream-Request-Id:"
"""Where a client finds the id that a model server has given by itself."""

_BEFORE: Final = b"\r\n" + LINE.lower()
_VALUE: Final = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")
_USUAL_LINE: Final = re.compile(rb"\n[Xx]-[Rr]equest-[Ii][Dd]: ([A-Za-z0-9._:\-]{1,128})\r(?=\n)")


def id_line(request_id: bytes) -> bytes:
    """Return the header line, without a line end."""
    return LINE + request_id


def taken_out(head: bytes) -> tuple[bytes, bytes]:
    """Return a request's head without the line of its id, and the id; as it is and nothing where that is not usual."""
    found = _USUAL_LINE.search(head)
    if found is None:
        return head, b""
    return head[: found.start()] + head[found.end() :], found[1]


def chosen(taken: bytes, also: bytes | None) -> bytes:
    """Return the client's id, empty when it has none that may be used.

    `taken`: as `taken_out` has found it. `also`: what the header says in the rest of the head; None for nothing.
    """
    if also is None:
        return taken
    # Two of them are no answer to the question which one it is.
    return also if not taken and _VALUE.fullmatch(also) else b""


def without_echo(head: bytes, request_id: bytes) -> bytes:
    """Return an answer's head without the line that only repeats the request's id, however its name is written."""
    start = head.find(request_id)
    while start >= 0:
        begin, end = start - len(_BEFORE), start + len(request_id)
        if begin > 0 and head[end : end + 2] == b"\r\n" and head[begin:start].lower() == _BEFORE:
            return head[:begin] + head[end:]
        start = head.find(request_id, start + 1)
    return head


def as_theirs(line: bytes) -> bytes:
    """Return a header line with another id than the request's under the name that a client gets it by."""
    return THEIRS + line.partition(b":")[2]
