"""How is one client's connection read, request by request?

Requests are answered one at a time, in order: while one is being answered, the bytes of the next wait here, and when
there are too many of them nothing more is read. Each request goes to a handler (`dispatch` says which), which gets the
body as it comes and says when its answer is complete.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from claracore.errors import ClaraCoreError
from claracore.http.gateway.contract import Channel
from claracore.http.gateway.departure import Reading
from claracore.http.gateway.heads import peer_of
from claracore.http.gateway.incoming import IncomingBody, IncomingHead, body_of, request_in, too_large
from claracore.http.gateway.local import refusal
from claracore.http.wire.answers import RequestTimeout, TooManyConnections
from claracore.http.wire.framing import MORE
from claracore.http.wire.head import RequestHead, without_empty_lines

if TYPE_CHECKING:
    from claracore.http.gateway.clients import Clients
    from claracore.http.gateway.contract import Handler
    from claracore.http.gateway.dispatch import Dispatcher

_HIGH_WATER_BYTES = 65_536
_MAX_WAITING_BYTES = 65_536
_LINGER_SECONDS = 2.0

# What the next bytes are taken for. Numbers, not the methods themselves: a connection that refers to a method of its
# own is a cycle, and stays in memory until a garbage collection, which may be hours away.
_HEAD: Final = 0
_BODY: Final = 1
_LATER: Final = 2
_NOTHING: Final = 3
_TUNNELLED: Final = 4


class Connection(Channel, asyncio.Protocol):
    """The server side of one connection."""

    def __init__(self, clients: Clients, dispatcher: Dispatcher) -> None:
        self.handler: Handler | None = None
        self.head: RequestHead | None = None
        self._clients = clients
        self._limits = clients.limits
        self._dispatcher = dispatcher
        self._reading: Reading
        self._awaits = _HEAD
        self._buffer = b""
        self._incoming = IncomingHead(clients.limits.max_head_bytes)
        self._body: IncomingBody | None = None
        """The rest of a body that did not come with its head."""
        self._reader_is_slow = False
        self._close_after_answer = False

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self._reading = Reading(self.transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        secure = transport.get_extra_info("sslcontext") is not None
        self.peer = peer_of(transport.get_extra_info("peername"), secure=secure)
        self._wait_for(self._limits.head_timeout_seconds)
        if not self._clients.enter(self):
            limit = self._limits.max_connections_per_client
            refusal = TooManyConnections(f"more than {limit} connections at once from one client")
            self._awaits = _NOTHING
            self._close_after_answer = True
            self._write_error(refusal)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read on, in whichever state the connection is."""
        awaits = self._awaits
        if awaits == _HEAD:
            self._read_head(data)
        elif awaits == _BODY:
            self._read_body(data)
        elif awaits == _LATER:
            self._hold(data)
        elif awaits == _TUNNELLED and self.handler is not None:
            self.handler.tunnelled(data)

    def eof_received(self) -> bool:
        """End the present request; return whether it is answered all the same. The client sends no more.

        A closed connection and a half-closed one look the same from here. As nginx and Go do, an exchange with a model
        ends; answers of our own application are still sent. What is already written goes out in both cases.
        """
        handler = self.handler
        if handler is not None and self._body is None and handler.ended():
            self._close_after_answer = True
            return True
        self._left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End whatever is under way: the connection is gone."""
        self._reading.stop_watching()
        self._buffer = b""  # requests that wait for the answer to an earlier one: nobody would read theirs
        self._left()
        self._clients.leave(self)

    def pause_writing(self) -> None:
        """Slow the handler down: the client reads slowly."""
        self._reader_is_slow = True
        self._wait_for(self._limits.stalled_reader_seconds)
        if self.handler is not None:
            self.handler.writable(False)

    def resume_writing(self) -> None:
        """Let the handler, or the next request, go on: the client has caught up."""
        self._reader_is_slow = False
        self.deadline = None
        if self.handler is not None:
            self.handler.writable(True)
        elif self._awaits == _LATER:
            self.go_on()

    # The handler's side.

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed after the present answer."""
        return self._close_after_answer or self._body is not None or self._clients.stopping

    def connection_header(self) -> bytes:
        """Return the Connection header of the answer that begins now; empty for none."""
        if self.closing:
            self._close_after_answer = True
            return b"close"
        return b"keep-alive" if self.head is not None and self.head.minor == 0 else b""

    def completed(self) -> None:
        """Go on to the next request, or close: the handler's answer is complete and written."""
        self.handler = None
        if self._body is not None:
            self._linger()
        elif self.closing and (self._close_after_answer or not self._clients.hand_on_soon(self)):
            self.transport.close()
        elif self._reader_is_slow or self.closing:
            self._awaits = _LATER  # An answer to a further request would pile up behind this one.
        else:
            self.go_on()

    @property
    def has_more(self) -> bool:
        """Whether bytes of the next request have come."""
        return bool(self._buffer)

    def go_on(self) -> None:
        """Read the next request."""
        self._awaits = _HEAD
        self._wait_for(self._limits.idle_timeout_seconds)
        if self._reading.paused:
            self.resume_body()
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._read_waiting)

    def refuse(self, error: ClaraCoreError, origin: bytes = b"") -> None:
        """Answer with an error, for pages of `origin` to read; the connection goes on if the request was read."""
        self._write_error(error, origin)
        self.completed()

    def abort(self) -> None:
        """Break off: the client must not take what it got for a complete answer."""
        self.handler = None
        self.transport.abort()

    def hold_body(self) -> None:
        """Read nothing more until `resume_body`."""
        self.deadline = None
        self._reading.pause()

    def watch_departure(self) -> None:
        """While nothing is read, notice a client that leaves all the same."""
        self._reading.watch_departure()

    def resume_body(self) -> None:
        """Read the rest of the request's body, and expect it in time (`body_timeout_seconds`)."""
        self._wait_for_body()
        self._reading.resume()

    def must_close(self) -> None:
        """Close after the present answer, whatever the client would like."""
        self._close_after_answer = True

    def tunnel(self, handler: Handler) -> None:
        """Give every byte from now on to the handler: the protocol was switched."""
        self._awaits = _TUNNELLED
        self.resume_body()
        if self._buffer:
            data, self._buffer = self._buffer, b""
            handler.tunnelled(data)

    def expire(self) -> None:
        """Give up on the client: its time is up."""
        self.deadline = None
        handler = self.handler
        if handler is None and self._awaits == _HEAD and self._buffer:
            self._refuse_and_close(RequestTimeout("the request's head did not come to its end in time"))
        elif handler is None and not self._reader_is_slow and not self.transport.is_closing():
            self.transport.close()
        else:
            self.transport.abort()  # `connection_lost` ends the handler, if there is one.

    # Reading.

    def _read_waiting(self) -> None:
        if self._buffer and self.handler is None and not self.transport.is_closing():
            self.data_received(b"")

    def _read_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        elif not data:
            return
        incoming = self._incoming
        if data[:2] == b"\r\n":
            data = without_empty_lines(data)
            incoming.scanned = 0
        is_new = incoming.scanned == 0
        self.head, self.request_id = None, b""
        try:
            end = incoming.end_in(data)
            if end == MORE:
                self._await_rest(data, is_new=is_new)
                return
            head, self.length, self.request_id, self.id_is_chosen = request_in(data[:end])
            self.head = head
        except ClaraCoreError as error:
            self._refuse_and_close(error)
            return
        self._close_after_answer = not head.keep_alive
        self.deadline = None
        self._begin(head, data, end)

    def _await_rest(self, data: bytes, *, is_new: bool) -> None:
        """Keep the beginning of a head; the time for all of it runs from its first byte."""
        self._buffer = data
        if data and (self.deadline is None or is_new):
            self._wait_for(self._limits.head_timeout_seconds)

    def _begin(self, head: RequestHead, data: bytes, end: int) -> None:
        """Find a handler for a request whose head is there, and give it what has come of the body."""
        self._buffer = data[end:] if len(data) > end else b""
        length = self.length
        self._body = body_of(head, length, len(self._buffer), self._limits.max_body_bytes)
        try:
            if length is not None and length > self._limits.max_body_bytes:
                raise too_large(self._limits.max_body_bytes)
            handler = self.handler = self._dispatcher.handler_for(self, head)
        except ClaraCoreError as error:
            # Whether the body is already there must not change the answer, so a body that nobody reads always closes.
            self._close_after_answer = self._close_after_answer or head.chunked or bool(length)
            self.refuse(error, self._dispatcher.reader(self, head))
            return
        if self._body is None:
            self._awaits = _LATER
            body = b""
            if length:
                body, self._buffer = self._buffer, b""
            handler.body(body, last=True)
            return
        self._awaits = _BODY
        if self._buffer:
            body, self._buffer = self._buffer, b""
            self._read_body(body)
        elif b"expect" in head.noted and head.minor:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._wait_for_body()

    def _read_body(self, data: bytes) -> None:
        incoming, handler = self._body, self.handler
        if incoming is None or handler is None:
            return
        try:
            body, end = incoming.feed(data)
        except ClaraCoreError as error:
            self._break_off_body(handler, error)
            return
        if end == MORE:
            self._wait_for(self._limits.body_timeout_seconds)
            if body:
                handler.body(body, last=False)
            return
        self._buffer = data[end:] if len(data) > end else b""
        self._body = None
        self._awaits = _LATER
        self.deadline = None
        handler.body(body, last=True)

    def _break_off_body(self, handler: Handler, error: ClaraCoreError) -> None:
        self.handler = None
        handler.left()
        if handler.started:
            self.transport.abort()
        else:
            self._refuse_and_close(error)

    def _hold(self, data: bytes) -> None:
        """Keep bytes of later requests until the present one is answered."""
        self._buffer += data
        if len(self._buffer) > _MAX_WAITING_BYTES:
            self.hold_body()

    def _wait_for_body(self) -> None:
        if self._body is not None:
            self._wait_for(self._limits.body_timeout_seconds)

    def _wait_for(self, seconds: float) -> None:
        """Give up on the client after so long."""
        self.deadline = self._clients.deadline_in(seconds)

    # Ending.

    def _refuse_and_close(self, error: ClaraCoreError) -> None:
        self._close_after_answer = True
        self._write_error(error)
        self._linger()

    def _write_error(self, error: ClaraCoreError, origin: bytes = b"") -> None:
        self.transport.write(refusal(error, self.head, self.connection_header(), origin, self.request_id))

    def _linger(self) -> None:
        """Close, but let the client read the answer first.

        Closing a socket that still holds unread bytes makes the kernel send a reset, which destroys what the client has
        not read yet (RFC 9112, section 9.6). So: end our side, and read on for a moment.
        """
        self.handler = None
        self._buffer = b""
        self._body = None
        self._awaits = _NOTHING
        self.resume_body()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
            self._wait_for(_LINGER_SECONDS)
        else:
            self.transport.close()

    def _left(self) -> None:
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.left()
