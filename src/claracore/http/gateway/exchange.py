"""What happens to one client's request for a model, from its head to the last byte of its answer?

It goes the way of every `ModelRequest`, to another machine if it has to (`MovableRequest`): a `RequestWriter` writes
it to the model server, an `AnswerWriter` writes the answer to the client. A WebSocket that its model ignores is not
counted: the supervisor does not know of it and may stop the model.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from claracore.errors import BadRequest, ClaraCoreError, Conflict
from claracore.host.activity.record import Record
from claracore.http.access.admitted import check_model
from claracore.http.access.limits import begin
from claracore.http.gateway.answer import AnswerWriter
from claracore.http.gateway.asked import asked_in_query
from claracore.http.gateway.elsewhere import MovableRequest
from claracore.http.gateway.explained import broken_off
from claracore.http.gateway.heads import switching_bytes
from claracore.http.gateway.inflight import ANSWERING, COLLECTING, CONNECTING, OVER, SENT, WAITING
from claracore.http.gateway.loading import LoadingStream
from claracore.http.gateway.loops import FIELD, check_loop, was_sent_on
from claracore.http.gateway.sending import RequestWriter
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.asked import Asked
    from claracore.http.gateway.contract import Channel, OwnAnswer
    from claracore.http.gateway.relay import Relay
    from claracore.http.gateway.targets import Target
    from claracore.http.gateway.upstream import Destination, UpstreamConnection
    from claracore.http.wire.head import ResponseHead

NOT_THERE = (ModelState.STOPPED, ModelState.STOPPING)
_IDEMPOTENT_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))


class Exchange(MovableRequest):
    """One request of a client and its answer: a handler of its connection."""

    # What most requests never change stands here, not in the constructor.
    _loading: LoadingStream | None = None
    _own_answer: OwnAnswer | None = None
    """What it gets as soon as its model is ready, which is all that it has asked for."""

    def __init__(self, channel: Channel, admission: Admission, relay: Relay) -> None:
        record = Record(admission.method, admission.path_text, channel.peer.text, relay.now(), channel.request_id)
        meter = admission.meter
        if meter is not None:
            begin(meter, record, record.arrived_at)
        super().__init__(relay, record)
        self.channel = channel
        self.admission = admission
        self.head = head = admission.head
        self.is_head = head.method == b"HEAD"
        self.answer = AnswerWriter(channel, admission, record, relay.now)
        self._request = request = RequestWriter(channel, admission, relay, record)
        self._body = request.body
        record.header_lines, record.id_is_chosen = head.lines, channel.id_is_chosen
        if admission.grant is not None:
            record.key = admission.grant.name

    @property
    def started(self) -> bool:
        """Whether a byte of the answer was written."""
        return self.answer.started

    # The client's request.

    def body(self, data: bytes, *, last: bool) -> None:
        """Take a piece of the request's body."""
        request = self._request
        self.record.request_bytes += len(data)
        if request.capture is not None:
            request.capture.add(data)
        if self.phase is SENT or self.phase is ANSWERING:
            if self.upstream is not None:
                self.request_sent = last
                request.send_piece(self.upstream, data, last=last)
            return
        try:
            self._body.add(data, last=last)
            if self.phase is COLLECTING:
                self._decide()
            else:
                request.read_no_further()
        except ClaraCoreError as error:
            self.fail(error)

    def _decide(self) -> None:
        """Find out which model the request is for, if it can be known yet, and go there."""
        route = self.admission.route
        if self.target is not None:
            self.go(self.target)
        elif route is not None and route.source == "query":
            self._choose(asked_in_query(self.head.query))
        elif self._body.complete:
            self._choose(self.admission.asked(self._body.joined()))
        else:
            limit = self.relay.limits.max_collected_bytes
            asked = self._body.asked_early(self.head.noted.get(b"content-type", b""), limit)
            if asked is not None:
                self._choose(asked)

    def _choose(self, asked: Asked) -> None:
        record, request = self.record, self._request
        record.requested = asked.model
        record.stream = asked.stream
        target = self.relay.resolver.find(asked.model, self.admission.grant)
        if target.shared and was_sent_on(self.head.noted.get(FIELD, b"")):
            target = self.relay.resolver.near(target)
        if not self._body.complete and request.waits_for_all(target):
            return  # what it asks for is looked up again then
        self.target, route = target, self.admission.route
        self._own_answer = request.settle(target, record)
        if request.call is not None:
            self.answer.edit = request.call.answer_edit
        elif route is not None and route.answer_edit is not None:
            self.answer.edit = route.answer_edit(record, self.relay.about)
        self.go(target)

    def go(self, target: Target) -> None:
        """Go to a model. Raises `ClaraCoreError`."""
        grant = self.admission.grant
        if grant is not None and not self.admission.unlimited:
            check_model(grant, target.model_id)
        if not self.admission.loads and self.relay.state(target.model_id) in NOT_THERE:
            raise BadRequest(f"model {target.model_id!r} is not loaded, and 'autoload' says not to", param="autoload")
        if target.own_lines is not None:
            check_loop(self.head.noted.get(FIELD, b""), target.model_id)
        self.record.model, self.record.node = target.model_id, target.peer
        self.record.selector, self.record.priority = target.selector, target.priority
        if target.ignore_websockets and self.head.upgrade == b"websocket":
            if not self.go_uncounted(target):
                self._turn_away_websocket(target)
            return
        if self._own_answer is not None and not self._own_answer.loads:
            self._answer_alone(self._own_answer)
            return
        self.arrive(target)
        if self._cannot_go_on():
            self._body.keep()
            self._request.read_no_further()

    def _turn_away_websocket(self, target: Target) -> None:
        """Refuse a WebSocket that does not load its model; not counted, so no record: pages try again every second."""
        self.phase = OVER
        self.release()
        error = Conflict(f"model {target.model_id!r} is not loaded, and its WebSockets do not load it")
        self.channel.refuse(error, self.admission.origin)

    def _cannot_go_on(self) -> bool:
        return self.phase is WAITING or self.phase is CONNECTING

    # The wait.

    def waits(self) -> None:
        """Keep a client that asked for a stream company, if the options allow it."""
        limits, target, route = self.relay.limits, self.target, self.admission.route
        if not self.record.stream or target is None or route is None or (self.answer.edit and not route.keeps_events):
            return
        loading = self._loading = LoadingStream(self.answer, self.record, self.relay.supervisor)
        if target.send_loading_state and route.shows_loading:
            loading.show_loading(limits.loading_tick_seconds)
        elif limits.stream_keep_alive_seconds is not None:
            loading.keep_alive(limits.stream_keep_alive_seconds)

    def served(self) -> bool:
        """End the wait; answer a request that wants no more than that the model is ready."""
        if self._loading is not None:
            self._loading.stop()
        call, own = self._request.call, self._own_answer
        if call is not None and call.keep_seconds is not None:
            self.relay.supervisor.keep(self.record.model, call.keep_seconds)
        if own is not None:
            self._answer_alone(own)
        return own is None

    def _answer_alone(self, own: OwnAnswer) -> None:
        """Give the answer for which no model server is asked."""
        if own.keep_seconds is not None:
            self.relay.supervisor.keep(self.record.model, own.keep_seconds)
        self.phase = ANSWERING
        self.answer.write_whole(own.body())
        self.over()
        self.channel.completed()

    # To the model server.

    def send(self, upstream: UpstreamConnection, target: Target, destination: Destination) -> None:
        """Write the head for the model server, and what there is of the body."""
        self.wants_payload = self.answer.wants_payload
        self.request_sent = self._request.send(upstream, target, destination)

    def upstream_writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Read the upload no faster than the model server takes it."""
        if writable:
            if self._body.dropped:
                self._body.give_back()  # what was kept is on its way
            self.channel.resume_body()
        elif not self.request_sent or self.record.status == 101:
            self.channel.hold_body()

    def may_be_repeated(self) -> bool:
        """Whether it may be sent twice, and all of it is still here."""
        repeatable = self.admission.route is not None or self.head.method in _IDEMPOTENT_METHODS
        return repeatable and not self._body.dropped

    # The answer.

    def interim(self, head: ResponseHead) -> None:
        """Pass on a 1xx."""
        self.answer.interim(head)

    def response_head(self, head: ResponseHead, length: int | None, body: bytes, *, last: bool) -> None:
        """Pass on the head of the answer with what has come of its body."""
        if self.turned_down(head):
            return
        self.phase = ANSWERING
        self._request.forget_body()
        self.answer.begin(head, length, body, bodiless=self.is_head, unframed=self.wants_payload)
        if last:
            self._complete()

    def response_body(self, body: bytes, *, last: bool) -> None:
        """Pass on a piece of the answer."""
        self.answer.piece(body)
        if last:
            self._complete()

    def _complete(self) -> None:
        """End the answer, which is there as a whole; its connection is already free for others."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None and self.client_stalled:
            upstream.transport.resume_reading()
        self.answer.finish()
        self.over()
        self.channel.completed()

    def upstream_lost(self, reason: str) -> None:
        """Try again on a fresh connection if nothing is lost by it; otherwise give the client an error."""
        upstream, self.upstream = self.upstream, None
        if self.sent_again(upstream):
            return
        if self.record.status == 101:
            self.over()
            self.channel.completed()
        elif self.phase is ANSWERING and not self.answer.joined:
            at_boundary = upstream is not None and upstream.between_chunks
            if self.target is not None and self.target.is_spread:
                breaks_off = partial(self._break_off, at_boundary=at_boundary)
                self.relay.tasks.run(broken_off(self, reason, breaks_off), name="explain a broken answer")
            else:
                self._break_off(reason, at_boundary=at_boundary)
        else:
            self.failed(f"broke off its answer: {reason}" if self.answer.started else f"did not answer: {reason}")

    def _break_off(self, reason: str, *, at_boundary: bool) -> None:
        """End an answer that has begun and cannot be completed."""
        self.record.error = f"the model server broke off its answer: {reason}"
        error = self.failure(f"broke off its answer: {reason}")
        is_ended = self.answer.break_off(error, at_boundary=at_boundary, unframed=self.wants_payload)
        self.over()
        if is_ended:
            self.channel.completed()
        else:
            self.channel.abort()

    def fail(self, error: ClaraCoreError) -> None:
        """Answer with an error, as a status or, if the stream has begun, as its last event."""
        self.record.error = self.record.error or error.message
        begun = self.answer.started
        if not begun:
            self.record.status = error.status
            self.answer.started = True
        self.over()
        if begun:
            self.answer.end_with(error)
            self.channel.completed()
        else:
            self.channel.refuse(error, self.admission.origin)

    def cancel(self, reason: ClaraCoreError) -> None:
        """End the request from outside."""
        if self.phase is ANSWERING and not self.answer.joined:
            upstream, boundary = self.upstream, self.upstream is not None and self.upstream.between_chunks
            self.drop_upstream()
            if upstream is not None:
                self._break_off(reason.message, at_boundary=boundary)
        else:
            self.drop_upstream()
            self.fail(reason)

    # A switched protocol.

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Pass on that the protocol was switched, and every byte after it, both ways."""
        if self.head.upgrade != b"websocket" or self.answer.started:
            self.drop_upstream()
            self.failed("switched the protocol without being asked")
            return
        self.phase = ANSWERING
        self.answer.started = True
        self.record.status = 101
        self.record.first_byte_at = self.relay.now()
        self.channel.transport.write(switching_bytes(head, self.record.request_id) + rest)
        self.channel.must_close()
        self.channel.tunnel(self)

    def tunnelled(self, data: bytes) -> None:
        """Pass the client's bytes of the switched protocol to the model server."""
        if self.upstream is not None:
            self.upstream.transport.write(data)

    # The client.

    def writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Read the answer no faster than the client takes it."""
        self.client_stalled = not writable
        if self.upstream is not None:
            if writable:
                self.upstream.transport.resume_reading()
            else:
                self.upstream.transport.pause_reading()

    def left(self) -> None:
        """End: the client is gone, and the model server need not go on."""
        if self.phase is OVER:
            return
        self.record.client_left = True
        self.drop_upstream()
        self.over()

    def ended(self) -> bool:
        """Return False: for a model, a client that sends no more is one that left."""
        return False

    def release(self) -> None:
        """Let go of the body, of what was captured of it, and of the timer."""
        if self._loading is not None:
            self._loading.stop()
        self._request.forget_body()
        if self._request.capture is not None:
            self._request.capture.give_back()
        meter = self.admission.meter
        if meter is not None:
            meter.ended(self.record)
