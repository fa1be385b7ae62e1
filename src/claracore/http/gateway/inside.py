"""How does ClaraCore's own code ask a model?

The request goes the way of a client's: through the supervisor, over the pool's verified connections, with the model
loaded for it. It is a request like others (it takes a place, keeps the model loaded, has a row of activity), or it is
not counted: then it reaches only a server that is ready, and leaves no trace.

    async with await inside.ask("qwen", "POST", "/v1/completions", body=b"...") as reply:
        reply.status, reply.headers
        async for piece in reply: ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from claracore.errors import ClaraCoreError, Conflict, ModelNotFound, UpstreamFailed
from claracore.host.activity.record import Record
from claracore.http.gateway.answer import look_at
from claracore.http.gateway.inflight import ANSWERING, OVER
from claracore.http.gateway.request import ModelRequest
from claracore.http.gateway.request_ids import new_id
from claracore.http.wire.head import SAFE_METHODS
from claracore.http.wire.request_id import id_line
from claracore.http.wire.sse import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from claracore.http.gateway.relay import Relay
    from claracore.http.gateway.targets import Target
    from claracore.http.gateway.upstream import Destination, UpstreamConnection
    from claracore.http.wire.head import ResponseHead

MOST_UNREAD_BYTES = 262_144
"""Of an answer that is read more slowly than it comes: then the model server has to wait."""
_GONE = "the reader of the answer has gone"


class Reply:
    """The answer of a model server. A context manager: an answer that is not read to its end is broken off."""

    def __init__(self, request: InsideRequest) -> None:
        self.status = request.record.status
        self.headers = request.headers
        """Names in lower case, in the order in which they came; no chunk framing is left in the body."""
        self._request = request

    async def read(self, max_bytes: int) -> bytes:
        """Return the rest of the body. Raises `ClaraCoreError` when it breaks off, or is longer than `max_bytes`."""
        pieces, size = [], 0
        while piece := await self._request.next_piece():
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise UpstreamFailed(self._request.sentence(f"answered more than {max_bytes} bytes"))
        return b"".join(pieces)

    def __aiter__(self) -> Reply:
        """Iterate over the body's pieces as they come."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece. Raises `ClaraCoreError` when the answer breaks off."""
        piece = await self._request.next_piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def __aenter__(self) -> Self:
        """Return the reply, to be broken off when the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break off what was not read."""
        self._request.close()


class Inside:
    """Makes requests of our own to models' servers, over the connections that clients' requests use."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def ask(
        self,
        model_id: str,
        method: str,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        counts: bool = True,
    ) -> Reply:
        """Ask a model's server and return its answer as soon as the head is there; `path` is below its `proxy`.

        Without `counts` the model must be ready. Raises `ClaraCoreError`: no such model, not loaded, no answer.
        """
        target = self._relay.resolver.targets.by_name.get(model_id)
        if target is None:
            raise ModelNotFound(model_id, ())
        request = InsideRequest(self._relay, method, path, headers, body, counts=counts)
        try:
            request.go(target)
            await request.begun()
        except BaseException:
            request.close()
            raise
        return Reply(request)


class InsideRequest(ModelRequest):
    """One request of our own code."""

    def __init__(
        self,
        relay: Relay,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        counts: bool,
    ) -> None:
        super().__init__(relay, Record(method, path.partition("?")[0], "", relay.now(), new_id()))
        self.headers: list[tuple[str, str]] = []
        self.noted = counts
        self.is_head = method == "HEAD"
        self.wants_payload = True
        self._counts = counts
        self._method = method
        self._path = _checked(path)
        self._lines = [_checked(f"{name}: {value}") for name, value in headers]
        self._body = body
        self._begun = False
        self._error: ClaraCoreError | None = None
        self._pieces: deque[bytes] = deque()
        self._unread_bytes = 0
        self._news = asyncio.Event()

    def go(self, target: Target) -> None:
        """Have the request sent when its turn comes, or, if it does not count, to a model that is ready.

        Raises `ClaraCoreError`; Conflict where it does not count and the model is not ready.
        """
        self.target = target
        self.record.model = self.record.requested = target.model_id
        self.record.node = target.peer
        self.record.request_bytes = len(self._body)
        if self._counts:
            self.arrive(target)
        elif not self.go_uncounted(target):
            raise Conflict(f"model {target.model_id!r} is not loaded")

    def send(self, upstream: UpstreamConnection, target: Target, destination: Destination) -> None:
        """Write the request."""
        host = target.host or destination.host
        line = f"{self._method} {target.base_path.decode('latin-1')}{self._path} HTTP/1.1"
        lines = [line.encode(), b"Host: " + host, *(each.encode("latin-1") for each in self._lines)]
        if self._body or self._method not in SAFE_METHODS:
            lines.append(b"Content-Length: %d" % len(self._body))
        lines += (*(target.own_lines or ()), id_line(self.record.request_id))
        self.request_sent = True
        upstream.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + self._body)

    def may_be_repeated(self) -> bool:
        """Whether it may be sent twice: as a client's request for inference may, and one that changes nothing."""
        return self._counts or self._method in SAFE_METHODS

    # The answer.

    def response_head(self, head: ResponseHead, length: int | None, body: bytes, *, last: bool) -> None:
        """Let whoever asked go on."""
        self.phase = ANSWERING
        self._begun = True
        record = self.record
        record.status = head.status
        record.content_type = head.content_type
        record.stream = head.content_type.startswith(MEDIA_TYPE)
        for name, line in zip(head.names, head.lines, strict=True):
            # Heads are remembered without the number in this line.
            value = b"%d" % (length or 0) if name == b"content-length" else line[len(name) + 1 :].strip(b" \t")
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))
        self._news.set()
        self.response_body(body, last=last)

    def response_body(self, body: bytes, *, last: bool) -> None:
        """Keep a piece until it is read."""
        if body:
            self._pieces.append(body)
            self._unread_bytes += len(body)
            look_at(self.record, body, self.relay.now)
            if not last and self._unread_bytes > MOST_UNREAD_BYTES:
                self._stall(stalled=True)
        if last:
            self.upstream = None
            self.over()
        self._news.set()

    def _stall(self, *, stalled: bool) -> None:
        self.client_stalled = stalled
        if self.upstream is not None:
            if stalled:
                self.upstream.transport.pause_reading()
            else:
                self.upstream.transport.resume_reading()

    async def begun(self) -> None:
        """Wait for the head of the answer. Raises `ClaraCoreError`."""
        while not self._has_begun():
            self._news.clear()
            await self._news.wait()

    def _has_begun(self) -> bool:
        if self._error is not None and not self._begun:
            raise self._error
        return self._begun

    async def next_piece(self) -> bytes:
        """Return the next piece of the body, nothing at its end. Raises `ClaraCoreError` when it breaks off."""
        while True:
            if self._pieces:
                return self._take_piece()
            if self._is_complete():
                return b""
            self._news.clear()
            await self._news.wait()

    def _take_piece(self) -> bytes:
        piece = self._pieces.popleft()
        self._unread_bytes -= len(piece)
        if self.client_stalled and self._unread_bytes <= MOST_UNREAD_BYTES:
            self._stall(stalled=False)
        return piece

    def _is_complete(self) -> bool:
        if self._error is not None:
            raise self._error
        return self.phase is OVER

    def interim(self, head: ResponseHead) -> None:
        """Pass over a 1xx."""

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Fail: nobody has asked for another protocol."""
        del head, rest
        self.drop_upstream()
        self.failed("switched the protocol without being asked")

    def upstream_writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Do nothing: the body is here as a whole."""

    # Endings.

    def upstream_lost(self, reason: str) -> None:
        """Try again on a fresh connection if nothing is lost by it."""
        upstream, self.upstream = self.upstream, None
        if not self.sent_again(upstream):
            self.failed(f"broke off its answer: {reason}" if self._begun else f"did not answer: {reason}")

    def fail(self, error: ClaraCoreError) -> None:
        """End it; whoever waits gets the error."""
        self.record.error = error.message
        self.record.status = self.record.status or error.status
        self._error = error
        self.over()
        self._news.set()

    def cancel(self, reason: ClaraCoreError) -> None:
        """End it from outside."""
        self.drop_upstream()
        self.fail(reason)

    def close(self) -> None:
        """Break it off, unless it is over: nobody reads on."""
        if self.phase is not OVER:
            self.record.client_left = True
            self._error = Conflict(_GONE)
            self.drop_upstream()
            self.over()

    def release(self) -> None:
        """Do nothing: what has come stays until it is read."""


def _checked(text: str) -> str:
    """Return a part of the head. Raises `ValueError` for one that would end its line."""
    if "\r" in text or "\n" in text:
        raise ValueError(f"{text!r} contains a line end")
    return text
