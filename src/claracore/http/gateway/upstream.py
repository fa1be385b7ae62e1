"""Where on one connection to a model server does an answer begin and end, and who gets it?

The answer goes to the recipient that the connection works for at the moment. Between two answers a connection is idle,
and its destination keeps it. `pool` opens connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from errno import ECONNRESET, EPIPE
from socket import SO_ERROR, SOL_SOCKET
from typing import TYPE_CHECKING, cast

from claracore.host.sockets.pinned import pinned_context
from claracore.http.gateway.alarm import NEVER, Alarm
from claracore.http.wire.framing import MORE, Chunked, Framing, MalformedBody, Sized, UntilClose
from claracore.http.wire.head import ResponseHead, response_head
from claracore.http.wire.request_id import without_echo

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from socket import socket as Socket  # noqa: N812 - a property has its name

    from claracore.types import Endpoint

MAX_RESPONSE_HEAD_BYTES = 262_144
_HIGH_WATER_BYTES = 65_536


class Recipient(ABC):
    """Who takes the answer that comes on a connection; each method is called from the loop's reading callback.

    A class and no Protocol: compiled code calls it without a look-up of the name, and this is called for every chunk.
    """

    wants_payload = False
    """Whether the chunk framing is to be taken off the body before `response_body`."""
    request_sent = False
    """Whether the request was written to its end; an answer that is complete before that ends the connection."""
    is_head = False
    """Whether the answer has no body whatever its head says: the request was a HEAD."""

    @abstractmethod
    def response_head(self, head: ResponseHead, length: int | None, body: bytes, *, last: bool) -> None:
        """Take the head of the answer, its Content-Length, and what has come of its body."""

    @abstractmethod
    def response_body(self, body: bytes, *, last: bool) -> None:
        """Take a piece of the answer, or of a switched protocol."""

    @abstractmethod
    def interim(self, head: ResponseHead) -> None:
        """Take a 1xx other than 101."""

    @abstractmethod
    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Take a 101 and the first bytes after it."""

    @abstractmethod
    def upstream_lost(self, reason: str) -> None:
        """End: no more of the answer will come. Nothing more is called after this."""

    @abstractmethod
    def upstream_writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Slow down (False): the server takes the request slowly. True: it has caught up."""


class IdleRules:
    """How many connections without a request are kept for each destination, and for how long."""

    def __init__(self, most: int, seconds: float, alarm: Alarm) -> None:
        self.most = most
        self.seconds = seconds
        self.alarm = alarm
        self.now: Callable[[], float] = asyncio.get_running_loop().time


class Destination:
    """To where connections are opened, and all that are open; those that are idle are interchangeable."""

    def __init__(self, endpoint: Endpoint, tls_host: str, rules: IdleRules, fingerprint: str = "") -> None:
        """`fingerprint` is that of the server's certificate; empty: an authority must have signed it."""
        self.endpoint = endpoint
        self._fingerprint = fingerprint
        self.tls_host = tls_host
        """Name on the server's certificate; empty for plain TCP or a Unix socket."""
        self.host = endpoint.authority.encode()
        """Host header for requests to the endpoint itself."""
        self.connections: set[UpstreamConnection] = set()
        self.idle: list[UpstreamConnection] = []
        """The most recently used one last."""
        self._rules = rules

    async def trusted(self) -> ssl.SSLContext | bool:
        """Return whose certificate is trusted. Raises `OSError` and `TimeoutError`."""
        if not self._fingerprint:
            return True
        return await pinned_context(self.endpoint.host, self.endpoint.port, self._fingerprint)

    def take(self) -> UpstreamConnection | None:
        """Return an idle connection, the most recently used one, or None."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                connection.reused = True
                return connection
        return None

    def put_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request, or close it when there are enough."""
        idle, rules = self.idle, self._rules
        if len(idle) >= rules.most:
            connection.close()
            return
        connection.idle_since = now = rules.now()
        idle.append(connection)
        if now + rules.seconds < rules.alarm.at:
            rules.alarm.set(now + rules.seconds)

    def forget(self, connection: UpstreamConnection) -> None:
        """Drop a connection that is closed."""
        self.connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def close(self, reason: str) -> None:
        """Close every connection now, busy ones too; `reason` is what their recipients hear."""
        for connection in list(self.connections):
            recipient = connection.recipient
            connection.note_reset()
            connection.close()
            if recipient is not None:
                recipient.upstream_lost(reason)

    def close_idle(self, now: float) -> float:
        """Close connections that have been idle for too long; return when the next one will have been (loop time)."""
        for connection in [each for each in self.idle if now - each.idle_since >= self._rules.seconds]:
            connection.close()
        return self.idle[0].idle_since + self._rules.seconds if self.idle else NEVER


class UpstreamConnection(asyncio.Protocol):
    """One connection to a model server."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.transport: asyncio.Transport
        self.recipient: Recipient | None = None
        self.reused = False
        self.idle_since = 0.0
        """Event loop time."""
        self.started = False
        """Whether a byte of the present answer has arrived."""
        self.reset = False
        """Whether the server's end was closed with unread bytes: it has not read the request as a whole."""
        self._request_id = b""
        self._buffer = b""
        self._framing: Framing | None = None
        self._reusable = True
        self._tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self.destination.connections.add(self)

    def begin(self, recipient: Recipient, request_id: bytes) -> None:
        """Work for `recipient`, whose request has this id, until its answer is complete."""
        self.recipient = recipient
        self._request_id = request_id
        self.started = False
        self._framing = None
        self._reusable = True

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to the answer, in this very call."""
        recipient, framing = self.recipient, self._framing
        if recipient is None:
            self.close()  # An idle model server has nothing to say; whatever this is, it must not meet a later request.
        elif framing is not None:
            self._body(recipient, framing, data)
        elif self._tunnel:
            recipient.response_body(data, last=False)
        else:
            self.started = True
            self._head(recipient, self._buffer + data if self._buffer else data)

    def _head(self, recipient: Recipient, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._buffer = data
                if len(data) > MAX_RESPONSE_HEAD_BYTES:
                    self._fail("the head of its answer is too long")
                return
            try:
                head, length = response_head(without_echo(data[:end], self._request_id))
            except ValueError as error:
                self._fail(str(error))
                return
            if head.status >= 200 or head.status == 101:
                break
            data = data[end:]
            recipient.interim(head)
        self._buffer = b""
        if head.status == 101:
            self._tunnel = True
            recipient.switched(head, data[end:])
            return
        self._reusable = head.keep_alive
        self._begin_body(recipient, head, length, data, end)

    def _begin_body(
        self, recipient: Recipient, head: ResponseHead, length: int | None, data: bytes, start: int
    ) -> None:
        if recipient.is_head or head.status in (204, 304) or length == 0:
            self._done(left_over=len(data) > start)
            recipient.response_head(head, length, b"", last=True)
            return
        if length is not None and len(data) - start == length and not recipient.wants_payload:
            self._done(left_over=False)
            recipient.response_head(head, length, data[start:], last=True)
            return
        framing: Framing
        if head.chunked:
            framing = Chunked()
        elif length is None:
            framing = UntilClose()
        else:
            framing = Sized(length)
        self._framing = framing
        pieces: list[bytes] | None = [] if recipient.wants_payload else None
        try:
            end = framing.feed(data, start, pieces)
        except MalformedBody as error:
            self._fail(str(error))
            return
        if end == MORE:
            recipient.response_head(head, length, data[start:] if pieces is None else b"".join(pieces), last=False)
            return
        self._done(left_over=len(data) > end)
        recipient.response_head(head, length, data[start:end] if pieces is None else b"".join(pieces), last=True)

    def _body(self, recipient: Recipient, framing: Framing, data: bytes) -> None:
        pieces: list[bytes] | None = [] if recipient.wants_payload else None
        try:
            end = framing.feed(data, 0, pieces)
        except MalformedBody as error:
            self._fail(str(error))
            return
        whole = data if end in (MORE, len(data)) else data[:end]
        body = whole if pieces is None else b"".join(pieces)
        if end == MORE:
            recipient.response_body(body, last=False)
            return
        self._done(left_over=len(data) > end)
        recipient.response_body(body, last=True)

    def _done(self, *, left_over: bool) -> None:
        """Let go of the recipient, whose answer is complete: the connection is free, or closed, before it hears."""
        recipient = self.recipient
        self.recipient = self._framing = None
        if left_over or not self._reusable or recipient is None or not recipient.request_sent:
            self.close()
        else:
            self.destination.put_back(self)

    def _fail(self, reason: str) -> None:
        recipient, self.recipient = self.recipient, None
        self.close()
        if recipient is not None:
            recipient.upstream_lost(reason)

    @property
    def socket(self) -> Socket:
        """Its socket, for looking at."""
        return cast("Socket", self.transport.get_extra_info("socket"))

    @property
    def between_chunks(self) -> bool:
        """Whether the answer so far ends at a place where another whole chunk may follow."""
        return self._framing is not None and self._framing.between

    def note_reset(self) -> None:
        """Look whether the kernel knows of a reset of which the loop tells only later: of a server that has died."""
        ours = self.transport.get_extra_info("socket")
        if ours is not None:  # else it is closed, and about to hear of that
            with contextlib.suppress(OSError, ValueError):  # uvloop says ValueError when it is over
                self.reset = ours.getsockopt(SOL_SOCKET, SO_ERROR) in (ECONNRESET, EPIPE)

    def close(self) -> None:
        """Close at once, without a word to the recipient."""
        self.recipient = None
        self.destination.forget(self)
        self.transport.abort()

    def eof_received(self) -> bool:
        """Let the transport close itself: the server sends no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the recipient, unless its answer ends just this way."""
        self.destination.forget(self)
        recipient, self.recipient = self.recipient, None
        if recipient is None:
            return
        self.reset = isinstance(exc, ConnectionResetError | BrokenPipeError)
        if isinstance(self._framing, UntilClose) and exc is None:
            recipient.response_body(b"", last=True)
        else:
            recipient.upstream_lost(str(exc) if exc else "it closed the connection")

    def pause_writing(self) -> None:
        """Slow the recipient down: the server takes the request more slowly than it comes."""
        if self.recipient is not None:
            self.recipient.upstream_writable(False)

    def resume_writing(self) -> None:
        """Let the recipient go on: the server has caught up."""
        if self.recipient is not None:
            self.recipient.upstream_writable(True)
