"""What happens to one request that goes to a model server, from its head to the last byte of its answer?

A request is collected (until its model is known), waits for the model, is sent, and is answered; `phase` says where it
is. When the model is ready all of this happens in one call from the event loop, without a task. The promise to the
supervisor: one `finish()` for every `arrive()` that was not refused, whatever client, model server or network do.
A WebSocket that its model ignores goes beside all that: the supervisor does not know of it and may stop the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.errors import BadRequest, ClaraCoreError, Conflict, UpstreamFailed
from claracore.host.activity.record import Record
from claracore.http.access.admitted import check_model
from claracore.http.gateway.alarm import NEVER
from claracore.http.gateway.answering import ANSWERING, COLLECTING, CONNECTING, OVER, SENT, WAITING, Answering
from claracore.http.gateway.budget import PIECE_BYTES
from claracore.http.gateway.collected import NOTHING, Collected
from claracore.http.gateway.filters import edited
from claracore.http.gateway.forward import switching_bytes
from claracore.http.gateway.model import asked_in_query
from claracore.http.gateway.waiting import Waiting, error_event
from claracore.http.wire.framing import LAST_CHUNK, chunk
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.host.activity.captures import Body as CapturedBody
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.budget import Share
    from claracore.http.gateway.connection import Connection
    from claracore.http.gateway.model import Asked
    from claracore.http.gateway.pool import Line
    from claracore.http.gateway.targets import Target, Targets
    from claracore.http.gateway.upstream import Upstream
    from claracore.http.wire.head import ResponseHead
    from claracore.types import Endpoint

NOT_THERE = (ModelState.STOPPED, ModelState.STOPPING)
_JOINED_BYTES = 65_536
_READ_AHEAD_BYTES = 524_288
_KEPT_FOR_RETRY_BYTES = 1 << 20
_MOST_RETURNS = 3
_SAFE_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))


def not_loaded(target: Target) -> Conflict:
    """Return the error for a WebSocket that does not load its model."""
    return Conflict(f"model {target.model_id!r} is not loaded, and its WebSockets do not load it")


class Exchange(Answering):
    """One request to a model server and its answer: a handler, a waiter and an owner of an upstream connection."""

    # What most requests never change stands here, not in the constructor.
    target: Target | None = None
    waiting: Waiting | None = None
    deadline = NEVER
    """When to give up on a model server that has not begun to answer (event loop time)."""
    _line: Line | None = None
    _captured: Share | None = None
    _replayable = True
    _sent_again = 0
    """How often it was sent to a server that had not begun to work on it when it went."""
    _was_refused = False
    _returns = 0
    """How often its model's server was not there when it was to be sent."""
    heard_before = -1
    """How much had come from the model server when its silence was last looked at."""

    def __init__(self, connection: Connection, admission: Admission, targets: Targets) -> None:
        self.connection = connection
        self.gateway = gateway = connection.gateway
        self.admission = admission
        self.head = admission.head
        self.targets = targets
        self.length = connection.length
        """Of the body as it is sent on; None when it goes on in chunks, or when there is none."""
        self.record = Record(admission.method, admission.said_path, connection.peer.said, gateway.now())

    # The client's request.

    def body(self, data: bytes, *, last: bool) -> None:
        """Take a piece of the request's body."""
        self.record.request_bytes += len(data)
        if self.capture is not None:
            self._capture_piece(self.capture.request, data)
        if self.phase is SENT or self.phase is ANSWERING:
            self._send_piece(data, last=last)
            return
        try:
            if self._body is NOTHING:
                self._body = Collected(data, last=last, length=self.length)
                if not last:
                    self._keep(len(data))
            else:
                self._keep(len(data))
                self._body.add(data, last=last)
            if self.phase is not COLLECTING:
                self._read_no_further()
                return
            self._decide()
        except ClaraCoreError as error:
            self._refused(error)

    def _keep(self, size: int) -> None:
        """Take memory for a piece of the body that cannot be sent on now. Raises `ClaraCoreError` when there is none.

        A body that comes in one piece and goes on in the same call has no share.
        """
        if self._share is None:
            self._share = self.gateway.budget.share()
        self._share.take(size + PIECE_BYTES)

    def _capture_piece(self, capture: CapturedBody, data: bytes) -> None:
        """Keep a piece for a person to look at, as long as there is plenty of memory for what must be kept."""
        if self._captured is None:
            self._captured = self.gateway.budget.share()
        if capture.kept < capture.limit and data and not self._captured.take_if_idle(len(data) + PIECE_BYTES):
            capture.limit = capture.kept
        capture.add(data)

    def _decide(self) -> None:
        """Find out which model the request is for, if it can be known yet, and stand in line for it."""
        if self.target is not None:
            self._arrive(self.target)
        elif self.admission.route is not None and self.admission.route.source == "query":
            self._choose(asked_in_query(self.head.query))
        elif self._body.complete:
            self._choose(self.admission.asked(self._body.joined()))
        else:
            limit = self.gateway.settings.max_collected_bytes
            asked = self._body.asked_early(self.head.noted.get(b"content-type", b""), limit)
            if asked is not None:
                self._choose(asked)

    def _choose(self, asked: Asked) -> None:
        self.record.requested = asked.model
        self.record.stream = asked.stream
        target, body = self.gateway.target(self.targets, asked.model, self.admission.grant), self._body
        if not body.complete and target.edits:
            return  # The whole body is needed; what it asks for is looked up again then.
        self.target = target
        if body.complete and (self.head.chunked or self.length is not None):
            if target.edits:
                body.replace(edited(body.taken_out(), self.head.noted.get(b"content-type", b""), target))
            self.length = body.size
        self._arrive(target)

    def _arrive(self, target: Target) -> None:
        grant = self.admission.grant
        if grant is not None and not self.admission.unlimited:
            check_model(grant, target.model_id)
        if not self.admission.loads and self.gateway.supervisor.state(target.model_id) in NOT_THERE:
            raise BadRequest(f"model {target.model_id!r} is not loaded, and 'autoload' says not to", param="autoload")
        self.record.model = target.model_id
        if target.ignore_websockets and self.head.upgrade == b"websocket":
            self._go_beside(target)
            return
        self.phase = WAITING
        request_id = self.gateway.supervisor.arrive(target.model_id, self)
        self.record.request_id = request_id
        phase = self.phase
        if phase is OVER:
            if not self._was_refused:
                self.gateway.supervisor.finish(request_id)
            return
        self.gateway.in_flight[request_id] = self
        if phase is WAITING:
            self.record.waited_for_load = self.gateway.supervisor.state(target.model_id) is not ModelState.READY
            self.waiting = Waiting.begin(self)
        if phase is WAITING or phase is CONNECTING:
            if self._share is None:
                self._keep(self._body.size)
            self._read_no_further()

    def _go_beside(self, target: Target) -> None:
        """Go to the model server if it is there, without having it started or kept."""
        endpoint = self.gateway.supervisor.beside(target.model_id)
        if endpoint is None:
            raise not_loaded(target)
        self.gateway.beside.add(self)
        self.phase = WAITING
        self.serve(endpoint)

    def _read_no_further(self) -> None:
        """Leave the rest of a long upload to the kernel until the model server takes it.

        The first part is read all the same: a client that leaves in the middle of it is seen at once.
        """
        if not self._body.complete and self._body.size >= _READ_AHEAD_BYTES:
            self.connection.hold_body()
            self.connection.watch_departure()

    # The supervisor's word.

    def serve(self, endpoint: Endpoint) -> None:
        """Go on: the model is ready."""
        if self.phase is not WAITING or self.target is None:
            return
        gateway = self.gateway
        target = self.target
        if self.targets is not gateway.targets:
            # The configuration changed while it waited: where to and with whose key is as it is now.
            self.targets = gateway.targets
            target = self.target = gateway.targets.by_name.get(target.model_id, target)
        self.record.served_at = now = gateway.now()
        seconds = target.response_head_timeout_seconds
        if seconds is None:
            seconds = gateway.settings.patience_seconds
        if seconds:
            self.deadline = deadline = now + seconds
            if deadline < gateway.alarm.at:
                gateway.alarm.set(deadline)
        if self.waiting is not None:
            self.waiting.stop()
        line = target.line
        if line is None or line.endpoint is not endpoint:
            line = target.line = gateway.pool.line(endpoint, target.tls_host)
        self._line = line
        upstream = gateway.pool.take(line)
        if upstream is not None:
            self._send(upstream)
        else:
            self.phase = CONNECTING
            gateway.connect(self, line, target.connect_timeout_seconds)

    def refuse(self, error: ClaraCoreError) -> None:
        """Give up: the supervisor has said no, and expects no `finish()`."""
        self._was_refused = True
        if self.phase is not OVER:
            self._refused(error)

    # The model server.

    def connected(self, upstream: Upstream) -> None:
        """Send the request over a new connection."""
        if self.phase is CONNECTING:
            self._send(upstream)
        else:
            self.gateway.pool.put_back(upstream)

    def unreachable(self, reason: str) -> None:
        """Hear that no connection could be opened."""
        if self.phase is CONNECTING:
            self._failed(f"could not be reached: {reason}")

    def turned_away(self, endpoint: Endpoint, reason: str) -> None:
        """Hear that nobody, or nobody verified, is there to be sent to: wait for the model's server once more."""
        if self.phase is not CONNECTING:
            return
        self.phase, self.deadline = WAITING, NEVER
        self._returns += 1
        request_id, supervisor, model = self.record.request_id, self.gateway.supervisor, self.record.model
        # Without an id it goes beside the supervisor, and waits for nobody.
        gives_up = self._returns > _MOST_RETURNS
        if gives_up or request_id is None or not supervisor.take_back(request_id, model, endpoint, self):
            self._failed(f"could not be reached: {reason}")
            return
        self.record.waited_for_load = True
        if self._is_waiting():
            self.waiting = Waiting.begin(self)

    def _is_waiting(self) -> bool:
        return self.phase is WAITING

    def _send(self, upstream: Upstream) -> None:
        target, line = self.target, self._line
        if target is None or line is None:
            return
        upstream.begin(self)
        self.upstream = upstream
        self.phase = SENT
        head = self.admission.request_bytes(target, line, self.connection.peer, self.length)
        self.wants_payload = self.head.minor == 0 or self.answering
        body = self._body
        self.request_sent = body.complete
        if self.head.chunked and self.length is None:
            pieces = [chunk(bytes(piece)) for piece in body.pieces]
            upstream.transport.writelines([head, *pieces, *([LAST_CHUNK] if body.complete else [])])
        elif body.size < _JOINED_BYTES:
            upstream.transport.write(head + body.joined())
        else:
            upstream.transport.writelines([head, *body.pieces])
        if not body.complete or body.size > _KEPT_FOR_RETRY_BYTES:
            self._body = NOTHING
            self._replayable = False
            if not upstream.transport.get_write_buffer_size():
                self._give_back()
        if not body.complete:
            self.connection.resume_body()

    def _send_piece(self, data: bytes, *, last: bool) -> None:
        upstream = self.upstream
        if upstream is None:
            return
        if self.head.chunked:
            data = (chunk(data) if data else b"") + (LAST_CHUNK if last else b"")
        self.request_sent = last
        if data:
            upstream.transport.write(data)

    def upstream_writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Read the upload no faster than the model server takes it."""
        if writable:
            if self._body is NOTHING:
                self._give_back()  # what was kept is on its way
            self.connection.resume_body()
        elif not self.request_sent or self.record.status == 101:
            self.connection.hold_body()

    def upstream_lost(self, reason: str) -> None:
        """Try again on a fresh connection if nothing is lost by it; otherwise tell the client."""
        upstream, self.upstream = self.upstream, None
        if self._may_be_sent_again(upstream) and self.target and self._line:
            self._sent_again += 1
            self.phase = CONNECTING
            self.gateway.connect(self, self._line, self.target.connect_timeout_seconds)
            return
        if self.record.status == 101:
            self._over()
            self.connection.answered()
        elif self.phase is ANSWERING and not self._rechunks:
            self._broke_off(reason, at_boundary=upstream is not None and upstream.between_chunks)
        else:
            self._failed(f"broke off its answer: {reason}" if self.answering else f"did not answer: {reason}")

    def _may_be_sent_again(self, upstream: Upstream | None) -> bool:
        """Whether the server has not begun to answer and, as far as can be known, not begun to work.

        It closed a connection on which it had answered before, or left the request unread: it has died meanwhile.
        """
        if upstream is None or upstream.answered or not self._replayable:
            return False
        safe = self.admission.route is not None or self.head.method in _SAFE_METHODS
        if upstream.reset:
            return safe and self._sent_again < _MOST_RETURNS
        return safe and upstream.reused and not self._sent_again

    def _failed(self, what: str) -> None:
        self._refused(UpstreamFailed(self.sentence(what)))

    # WebSocket.

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Pass on that the protocol was switched, and every byte after it, both ways."""
        if self.head.upgrade != b"websocket" or self.answering:
            self._drop_upstream()
            self._failed("switched the protocol without being asked")
            return
        self.phase = ANSWERING
        self.answering = True
        self.record.status = 101
        self.record.first_byte_at = self.gateway.now()
        self.connection.transport.write(switching_bytes(head) + rest)
        self.connection.must_close()
        self.connection.tunnel(self)

    def tunnelled(self, data: bytes) -> None:
        """Pass the client's bytes of the switched protocol to the model server."""
        if self.upstream is not None:
            self.upstream.transport.write(data)

    # Flow control and endings.

    def writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Read the answer no faster than the client takes it."""
        self.client_stalled = not writable
        if self.upstream is not None:
            if writable:
                self.upstream.transport.resume_reading()
            else:
                self.upstream.transport.pause_reading()

    def left(self) -> None:
        """Hear that the client is gone: the model server need not go on."""
        if self.phase is OVER:
            return
        self.record.client_left = True
        self._drop_upstream()
        self._over()

    def ended(self) -> bool:
        """Hear that the client sends no more: for a model, that is a client that left."""
        return False

    def check(self, now: float) -> None:
        """Hear the time: the model server may have been silent for too long."""
        if now >= self.deadline:
            self.deadline = NEVER
            self.gateway.patience.look_at(self)

    def cancel(self, reason: ClaraCoreError) -> None:
        """End the request from outside."""
        if self.phase is ANSWERING and not self._rechunks:
            upstream, boundary = self.upstream, self.upstream is not None and self.upstream.between_chunks
            self._drop_upstream()
            if upstream is not None:
                self._broke_off(reason.message, at_boundary=boundary)
        else:
            self._drop_upstream()
            self._refused(reason)

    def _drop_upstream(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.close()

    def _refused(self, error: ClaraCoreError) -> None:
        """Answer with an error, as a status or, if the stream has begun, as its last event."""
        self.record.error = self.record.error or error.message
        begun = self.answering
        if not begun:
            self.record.status = error.status
            self.answering = True
        self._over()
        if begun:
            self._write_event(error_event(error))
            if self.head.minor:
                self.connection.transport.write(LAST_CHUNK)
            self.connection.answered()
        else:
            self.connection.refuse(error, self.admission.origin)

    def _over(self) -> None:
        """End it: tell the observer and the supervisor, once."""
        self.phase = OVER
        if self.waiting is not None:
            self.waiting.stop()
        self._forget_body()
        if self._captured is not None:
            self._captured.give_back()  # to those that were answered, which have a bound of their own
        record = self.record
        record.finished_at = self.gateway.now()
        if record.request_id is not None:
            self.gateway.in_flight.pop(record.request_id, None)
        else:
            self.gateway.beside.discard(self)
        # First: what the supervisor may do now (stop the model, which waited for this) is explained by it.
        self.gateway.observer.finished(record)
        if record.request_id is not None and not self._was_refused:
            self.gateway.supervisor.finish(record.request_id)
