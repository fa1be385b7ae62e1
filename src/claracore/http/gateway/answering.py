"""How does a model server's answer become the client's?

Bytes are passed on in the call that brings them, and looked at afterwards. An answer that breaks off ends with an SSE
error event, if it is a stream, or with a broken connection, so that nobody takes it for complete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING

from claracore.errors import UpstreamFailed
from claracore.host.activity.watch import Watch, has_token
from claracore.http.gateway.collected import NOTHING
from claracore.http.gateway.forward import response_bytes, stream_bytes
from claracore.http.gateway.waiting import error_event
from claracore.http.wire.framing import LAST_CHUNK, chunk
from claracore.http.wire.sse import MEDIA_TYPE

if TYPE_CHECKING:
    from claracore.host.activity.captures import Capture
    from claracore.host.activity.record import Record
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.budget import Share
    from claracore.http.gateway.collected import Collected
    from claracore.http.gateway.connection import Connection
    from claracore.http.gateway.server import Gateway
    from claracore.http.gateway.upstream import Upstream
    from claracore.http.wire.head import RequestHead, ResponseHead

_ERROR_BODY_BYTES = 65_536


class Phase(Enum):
    """Where a request is in its life."""

    COLLECTING = auto()
    WAITING = auto()
    CONNECTING = auto()
    SENT = auto()
    """The request, or at least its beginning, is with the model server."""
    ANSWERING = auto()
    OVER = auto()


# Looking up a member of an enumeration takes longer than looking up a name (Python 3.11), and this is done often.
COLLECTING, WAITING, CONNECTING, SENT, ANSWERING, OVER = Phase


class Answering(ABC):
    """The answering half of an exchange; `Exchange` is the other half and owns the life as a whole."""

    # What most requests never change stands here, not in the constructor.
    answering = False
    wants_payload = False
    request_sent = False
    upstream: Upstream | None = None
    phase = COLLECTING
    capture: Capture | None = None
    client_stalled = False
    _error_body: list[bytes] | None = None
    _rechunks = False
    """Whether the stream's head was sent while the client waited, in chunks of our own."""

    connection: Connection
    gateway: Gateway
    admission: Admission
    head: RequestHead
    record: Record
    _body: Collected = NOTHING
    """What has come of the request's body and may be needed again."""
    _share: Share | None = None
    """The memory that it takes, if it had to be kept."""

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body whatever its head says."""
        return self.head.method == b"HEAD"

    @abstractmethod
    def _over(self) -> None:
        """End it: tell the supervisor and the observer, once."""

    def _forget_body(self) -> None:
        """Let go of the request's body: it is needed no more."""
        self._body = NOTHING
        if self._share is not None:
            self._give_back()

    def _give_back(self) -> None:
        if self._share is not None:
            self._share.give_back()

    def interim(self, head: ResponseHead) -> None:
        """Pass on a 1xx, except `100 Continue`, which was the gateway's own business."""
        if head.status != 100 and self.head.minor and not self.answering and not head.sized:
            self.connection.transport.write(response_bytes(head, None, b"", chunked=False))

    def response_head(self, head: ResponseHead, length: int | None, body: bytes, *, last: bool) -> None:
        """Pass on the head of the answer with what has come of its body."""
        record = self.record
        record.content_type = head.content_type
        if self.answering:
            self._join_stream(head, body, last=last)
            return
        self.phase = ANSWERING
        self.answering = True
        self._forget_body()
        record.status = head.status
        if self.capture is not None:
            self.capture.answered(head.status, head.lines, in_chunks=head.chunked and not self.wants_payload)
        if not head.sized and not self.is_head and head.status not in (204, 304):
            ends_with_connection = not head.chunked or self.head.minor == 0
            if ends_with_connection:
                self.connection.must_close()
        keep_chunks = head.chunked and self.head.minor == 1
        how = self.connection.connection_header()
        out = response_bytes(head, length, how, chunked=keep_chunks, origin=self.admission.origin)
        self.connection.transport.write(out + body if body else out)
        if body:
            self._passed(body)
        if last:
            self._answered()

    def response_body(self, body: bytes, *, last: bool) -> None:
        """Pass on a piece of the answer, then look at it."""
        if self._error_body is not None:
            self._error_body.append(body)
        elif body:
            self.connection.transport.write(chunk(body) if self._rechunks else body)
            self._passed(body)
        if last:
            self._answered()

    def _passed(self, body: bytes) -> None:
        record = self.record
        record.response_bytes += len(body)
        if record.first_token_at is None and record.stream and has_token(body):
            record.first_token_at = self.gateway.now()
        if self.capture is not None:
            self.capture.response.add(body)
        if record.watch is None:
            # Not the head: llama-server sends it at once, and reads the prompt after that.
            record.first_byte_at = self.gateway.now()
            record.watch = Watch(body)
        else:
            record.watch.see(body)

    def _join_stream(self, head: ResponseHead, body: bytes, *, last: bool) -> None:
        """Go on with a stream whose head was already sent while the client waited."""
        self.phase = ANSWERING
        self._forget_body()
        self._rechunks = self.head.minor == 1
        if self.capture is not None:
            self.capture.answered(head.status, head.lines, in_chunks=False)
        is_stream = head.status == 200 and head.content_type.startswith(MEDIA_TYPE)
        if not is_stream:
            self.record.error = f"the model server answered {head.status}"
            self._error_body = []
        self.response_body(body, last=last)

    def _answered(self) -> None:
        """Hear that the answer is complete; its connection is already free for others."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None and self.client_stalled:
            upstream.transport.resume_reading()
        if self._error_body is not None:
            body = b"".join(self._error_body)[:_ERROR_BODY_BYTES]
            self._write_event(error_event(UpstreamFailed(self.record.error), said=body))
        if self._rechunks:
            self.connection.transport.write(LAST_CHUNK)
        self._over()
        self.connection.answered()

    def _broke_off(self, reason: str, *, at_boundary: bool) -> None:
        """End an answer that cannot be completed: a stream by an error event, others by a broken connection."""
        self.record.error = f"the model server broke off its answer: {reason}"
        error = UpstreamFailed(self.sentence(f"broke off its answer: {reason}"))
        watch = self.record.watch
        event = error_event(error, separate=watch is not None and not watch.ends_with(b"\n\n"))
        if self.record.content_type.startswith(MEDIA_TYPE) and at_boundary:
            transport = self.connection.transport
            transport.write(chunk(event) + LAST_CHUNK if self.head.minor and not self.wants_payload else event)
            self._over()
            self.connection.must_close()
            self.connection.answered()
        else:
            self._over()
            self.connection.abort()

    def begin_stream(self) -> None:
        """Send the head of an event stream to a client that still waits for its model."""
        self.answering = True
        self.record.status = 200
        self.record.content_type = MEDIA_TYPE
        if not self.head.minor:
            self.connection.must_close()
        head = stream_bytes(
            self.connection.connection_header(), chunked=bool(self.head.minor), origin=self.admission.origin
        )
        self.connection.transport.write(head)

    def _write_event(self, event: bytes) -> None:
        self.connection.transport.write(chunk(event) if self.head.minor else event)

    def sentence(self, what: str) -> str:
        """Return what the model server did, with its name and where to look further."""
        model = self.record.model
        return f"the server of model {model!r} {what}; what it printed: claracore logs {model}"
