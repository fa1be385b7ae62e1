"""Where on one connection to a model server does an answer begin and end, and who gets it?

The answer goes to the exchange that owns the connection at the moment; `pool` keeps the connections that nobody owns.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from claracore.http.wire.framing import MORE, Chunked, Framing, MalformedBody, Sized, UntilClose
from claracore.http.wire.head import ResponseHead, response_head

if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812 - a property has its name

    from claracore.http.gateway.pool import Line, Pool

MAX_RESPONSE_HEAD_BYTES = 262_144
_HIGH_WATER_BYTES = 65_536


class Owner(Protocol):
    """The exchange that a connection works for; each method is called from the event loop's reading callback."""

    wants_payload: bool
    """Whether the chunk framing is to be taken off the body before `response_body`."""
    request_sent: bool

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body whatever its head says."""

    def response_head(self, head: ResponseHead, length: int | None, body: bytes, *, last: bool) -> None:
        """Take the head of the answer and what has come of its body."""

    def response_body(self, body: bytes, *, last: bool) -> None:
        """Take a piece of the answer, or of a switched protocol."""

    def interim(self, head: ResponseHead) -> None:
        """Take a 1xx."""

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Take a 101 and the first bytes after it."""

    def upstream_lost(self, reason: str) -> None:
        """Hear that no more of the answer will come. Nothing more is called after this."""

    def upstream_writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Hear that the server takes the request slowly, or has caught up."""


class Upstream(asyncio.Protocol):
    """One connection to a model server."""

    def __init__(self, pool: Pool, line: Line) -> None:
        self.pool = pool
        self.line = line
        self.transport: asyncio.Transport
        self.owner: Owner | None = None
        self.reused = False
        self.idle_since = 0.0
        self.answered = False
        """Whether a byte of the present answer has arrived."""
        self.reset = False
        """Whether the server's end was closed with unread bytes: it has not read the request as a whole."""
        self._buffer = b""
        self._framing: Framing | None = None
        self._reusable = True
        self._tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self.pool.all.add(self)

    def begin(self, owner: Owner) -> None:
        """Work for `owner` until its answer is complete."""
        self.owner = owner
        self.answered = False
        self._framing = None
        self._reusable = True

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to the answer, in this very call."""
        owner, framing = self.owner, self._framing
        if owner is None:
            self.close()  # An idle model server has nothing to say; whatever this is, it must not meet a later request.
        elif framing is not None:
            self._body(owner, framing, data)
        elif self._tunnel:
            owner.response_body(data, last=False)
        else:
            self.answered = True
            self._head(owner, self._buffer + data if self._buffer else data)

    def _head(self, owner: Owner, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._buffer = data
                if len(data) > MAX_RESPONSE_HEAD_BYTES:
                    self._fail("the head of its answer is too long")
                return
            try:
                head, length = response_head(data[:end])
            except ValueError as error:
                self._fail(str(error))
                return
            if head.status >= 200 or head.status == 101:
                break
            data = data[end:]
            owner.interim(head)
        self._buffer = b""
        if head.status == 101:
            self._tunnel = True
            owner.switched(head, data[end:])
            return
        self._reusable = head.keep_alive
        self._begin_body(owner, head, length, data, end)

    def _begin_body(self, owner: Owner, head: ResponseHead, length: int | None, data: bytes, start: int) -> None:
        if owner.is_head or head.status in (204, 304) or length == 0:
            self._done(left_over=len(data) > start)
            owner.response_head(head, length, b"", last=True)
            return
        if length is not None and len(data) - start == length and not owner.wants_payload:
            self._done(left_over=False)
            owner.response_head(head, length, data[start:], last=True)
            return
        framing: Framing
        if head.chunked:
            framing = Chunked()
        elif length is None:
            framing = UntilClose()
        else:
            framing = Sized(length)
        self._framing = framing
        pieces: list[bytes] | None = [] if owner.wants_payload else None
        try:
            end = framing.feed(data, start, pieces)
        except MalformedBody as error:
            self._fail(str(error))
            return
        if end == MORE:
            owner.response_head(head, length, data[start:] if pieces is None else b"".join(pieces), last=False)
            return
        self._done(left_over=len(data) > end)
        owner.response_head(head, length, data[start:end] if pieces is None else b"".join(pieces), last=True)

    def _body(self, owner: Owner, framing: Framing, data: bytes) -> None:
        pieces: list[bytes] | None = [] if owner.wants_payload else None
        try:
            end = framing.feed(data, 0, pieces)
        except MalformedBody as error:
            self._fail(str(error))
            return
        whole = data if end in (MORE, len(data)) else data[:end]
        body = whole if pieces is None else b"".join(pieces)
        if end == MORE:
            owner.response_body(body, last=False)
            return
        self._done(left_over=len(data) > end)
        owner.response_body(body, last=True)

    def _done(self, *, left_over: bool) -> None:
        """Let go of the owner, whose answer is complete: the connection is free, or closed, before it hears."""
        owner = self.owner
        self.owner = self._framing = None
        if left_over or not self._reusable or owner is None or not owner.request_sent:
            self.close()
        else:
            self.pool.put_back(self)

    def _fail(self, reason: str) -> None:
        owner, self.owner = self.owner, None
        self.close()
        if owner is not None:
            owner.upstream_lost(reason)

    @property
    def socket(self) -> Socket:
        """Its socket, for looking at."""
        return cast("Socket", self.transport.get_extra_info("socket"))

    @property
    def between_chunks(self) -> bool:
        """Whether the answer so far ends at a place where another whole chunk may follow."""
        return self._framing is not None and self._framing.between

    def close(self) -> None:
        """Close at once, without a word to the owner."""
        self.owner = None
        self.pool.forget(self)
        self.transport.abort()

    def eof_received(self) -> bool:
        """Hear that the server sends no more; the transport closes itself."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, unless its answer ends just this way."""
        self.pool.forget(self)
        owner, self.owner = self.owner, None
        if owner is None:
            return
        self.reset = isinstance(exc, ConnectionResetError | BrokenPipeError)
        if isinstance(self._framing, UntilClose) and exc is None:
            owner.response_body(b"", last=True)
        else:
            owner.upstream_lost(str(exc) if exc else "it closed the connection")

    def pause_writing(self) -> None:
        """Hear that the server takes the request more slowly than it comes."""
        if self.owner is not None:
            self.owner.upstream_writable(False)

    def resume_writing(self) -> None:
        """Hear that it has caught up."""
        if self.owner is not None:
            self.owner.upstream_writable(True)
