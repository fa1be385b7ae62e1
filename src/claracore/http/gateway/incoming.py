"""Where do a request's head and body end that come in pieces, and do they become too long?

Positions in the bytes of one connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.errors import PayloadTooLarge
from claracore.http.gateway.request_ids import new_id
from claracore.http.wire.answers import HeadTooLarge, MalformedRequest
from claracore.http.wire.framing import MORE, Chunked, MalformedBody, Sized
from claracore.http.wire.head import check_incomplete, request_head
from claracore.http.wire.request_id import FIELD, chosen, taken_out

if TYPE_CHECKING:
    from claracore.http.wire.head import RequestHead


class IncomingHead:
    """The search for the end of a head."""

    def __init__(self, max_bytes: int) -> None:
        self.scanned = 0
        """So many bytes of an incomplete head need not be looked at again."""
        self._max_bytes = max_bytes

    def end_in(self, data: bytes) -> int:
        """Return the position after the head with which `data` begins, or `MORE` when it is not there as a whole.

        Raises `HeadTooLarge`, and `MalformedRequest` for bytes that can never become a head.
        """
        end = data.find(b"\r\n\r\n", self.scanned) + 4
        start, self.scanned = self.scanned, 0
        if end > self._max_bytes or (end < 4 and len(data) > self._max_bytes):
            raise HeadTooLarge(f"the request's head is longer than {self._max_bytes} bytes")
        if end < 4:
            self.scanned = max(0, len(data) - 3)
            check_incomplete(data, start)
            return MORE
        return end


class IncomingBody:
    """A body that comes in pieces."""

    def __init__(self, framing: Sized | Chunked, max_bytes: int) -> None:
        self._framing = framing
        self._max_bytes = max_bytes
        self._bytes = 0

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Take the next bytes of the connection; return the payload in them and where the body ends, or `MORE`.

        Raises `MalformedRequest` or `PayloadTooLarge`.
        """
        pieces: list[bytes] = []
        try:
            end = self._framing.feed(data, 0, pieces)
        except MalformedBody as error:
            raise MalformedRequest(f"the chunked body is malformed: {error}") from error
        payload = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._bytes += len(payload)
        if self._bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        return payload, end


def request_in(data: bytes) -> tuple[RequestHead, int | None, bytes, bool]:
    """Read a complete request head, its Content-Length, the request's id, and whether that is the client's choice.

    Raises what `parse_request` raises.
    """
    data, taken = taken_out(data)
    head, length = request_head(data)
    id_ = chosen(taken, head.noted.get(FIELD))
    return head, length, id_ or new_id(), bool(id_)


def body_of(head: RequestHead, length: int | None, there: int, max_bytes: int) -> IncomingBody | None:
    """Return a request's body, of which `there` bytes have come; None when that is all of it, or there is none."""
    if head.chunked:
        return IncomingBody(Chunked(), max_bytes)
    if not length or there == length:
        return None
    return IncomingBody(Sized(length), max_bytes)


def too_large(max_bytes: int) -> PayloadTooLarge:
    """Return the error for a body that is longer than a body may be."""
    return PayloadTooLarge(f"the body is longer than {max_bytes} bytes")
