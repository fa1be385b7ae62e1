"""How does a request get to a model server and to its end, whoever asks?

It waits for the model, gets a connection, is sent, and is answered; `phase` says where it is. When the model is ready
all of this happens in one call from the event loop, without a task. The promise to the supervisor: one `finish()` for
every `arrive()` that was not refused, whatever client, model server or network do. How the
request is written, and what whoever asks gets, differs: `exchange` (a client) and `inside` (our own code).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.errors import ClaraCoreError
from claracore.http.gateway.alarm import NEVER
from claracore.http.gateway.connect import TurnedAway, Unreachable, connect
from claracore.http.gateway.inflight import ANSWERING, CONNECTING, OVER, SENT, WAITING, InFlight
from claracore.http.gateway.liveness import NODE_LOST_SECONDS
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.gateway.relay import Relay
    from claracore.http.gateway.targets import Target
    from claracore.http.gateway.upstream import Destination, UpstreamConnection
    from claracore.types import Endpoint

logger = logging.getLogger("claracore.gateway")

_MOST_RETURNS = 3


class ModelRequest(InFlight):
    """One request to a model server: what waits for the supervisor's word and takes the answer."""

    # What most requests never change stands here, not in the constructor.
    upstream: UpstreamConnection | None = None
    """Where it was sent, as long as the answer is not complete."""
    _destination: Destination | None = None
    _sent_again = 0
    """How often it was sent to a server that had not begun to work on it when it went."""
    _was_refused = False
    _returns = 0
    """How often its model's server was not there when it was to be sent."""
    noted = True
    """Whether the observer gets its record."""

    def __init__(self, relay: Relay, record: Record) -> None:
        self.relay = relay
        self.record = record
        self.targets = relay.resolver.targets

    # What differs with who asks.

    @abstractmethod
    def send(self, upstream: UpstreamConnection, target: Target, destination: Destination) -> None:
        """Write the request, as far as it is there, over a connection that works for it."""

    @abstractmethod
    def fail(self, error: ClaraCoreError) -> None:
        """End it, and give whoever asks an error instead of an answer, or instead of its rest."""

    @abstractmethod
    def may_be_repeated(self) -> bool:
        """Whether it may be sent twice, and all of it is still here."""

    @abstractmethod
    def release(self) -> None:
        """Let go of what it has taken: it is over."""

    def waits(self) -> None:
        """Begin to wait for the model."""

    def served(self) -> bool:
        """End the wait: the model is ready. Return whether its server is to be asked, and not that was all."""
        return True

    # From the supervisor and back.

    def arrive(self, target: Target) -> None:
        """Stand in line for a model. Raises `ClaraCoreError`."""
        self.phase = WAITING
        supervisor = self.relay.supervisor
        request_id = supervisor.arrive(target.model_id, self)
        self.record.ticket = request_id
        phase = self.phase
        if phase is OVER:
            if not self._was_refused:
                supervisor.finish(request_id)
            return
        self.relay.in_flight[request_id] = self
        if phase is WAITING:
            self.record.waited_for_load = supervisor.state(target.model_id) is not ModelState.READY
            self.waits()

    def go_uncounted(self, target: Target) -> bool:
        """Go to the model's server if it is ready, without having it started or kept; return whether it is."""
        endpoint = self.relay.supervisor.ready_endpoint(target.model_id)
        if endpoint is None:
            return False
        self.relay.uncounted.add(self)
        self.phase = WAITING
        self.serve(endpoint)
        return True

    def serve(self, endpoint: Endpoint) -> None:
        """Go on: the model is ready."""
        if self.phase is not WAITING or self.target is None:
            return
        relay = self.relay
        target = self.target
        if self.targets is not relay.resolver.targets:
            # The configuration changed while it waited: where to and with whose key is as it is now; its body has
            # the name that it was given before, and so must its query.
            self.targets = relay.resolver.targets
            present = self.targets.by_name.get(target.model_id, target)
            if present.use_model_name != target.use_model_name:
                present = replace(present, use_model_name=target.use_model_name)
            target = self.target = present
        self.record.served_at = now = relay.now()
        if not self.served():
            return
        seconds = target.response_head_timeout_seconds
        if seconds is None:
            seconds = relay.limits.silence_seconds
        if seconds:
            self.deadline = deadline = now + seconds
            if deadline < relay.alarm.at:
                relay.alarm.set(deadline)
        destination = target.destination
        if destination is None or destination.endpoint is not endpoint:
            destination = target.destination = relay.pool.destination(endpoint, target.tls_host, target.fingerprint)
        self._destination = destination
        upstream = destination.take()
        if upstream is not None:
            self._begin(upstream)
        else:
            self._connect(destination, target.connect_timeout_seconds)

    def refuse(self, error: ClaraCoreError) -> None:
        """Give up: the supervisor has said no, and expects no `finish()`."""
        self._was_refused = True
        if self.phase is not OVER:
            self.fail(error)

    # To the model server.

    def _connect(self, destination: Destination, timeout_seconds: float) -> None:
        self.phase = CONNECTING
        self.relay.tasks.run(self._connected(destination, timeout_seconds), name=f"connect {destination.endpoint}")

    async def _connected(self, destination: Destination, timeout_seconds: float) -> None:
        relay, endpoint = self.relay, destination.endpoint
        try:
            try:
                upstream = await connect(relay.pool, relay.supervisor, self.record.model, destination, timeout_seconds)
            except TurnedAway as turned_away:
                self._turned_away(endpoint, str(turned_away))
            except Unreachable as unreachable:
                self._unreachable(str(unreachable))
            else:
                self._begin_or_return(upstream)
        except Exception as bug:
            # A bug of ours must not leave a client without an answer.
            logger.exception("request %s: no connection to %s", self.record.request_id.decode(), endpoint)
            self._unreachable(f"{endpoint}: unexpected {type(bug).__name__}")

    def _begin_or_return(self, upstream: UpstreamConnection) -> None:
        if self.phase is CONNECTING:
            self._begin(upstream)
        else:
            upstream.destination.put_back(upstream)

    def _unreachable(self, reason: str) -> None:
        if self.phase is CONNECTING:
            self.failed(f"could not be reached: {reason}")

    def _turned_away(self, endpoint: Endpoint, reason: str) -> None:
        """Wait for the model's server once more: nobody, or nobody verified, is there to be sent to."""
        if self.phase is not CONNECTING:
            return
        self.phase, self.deadline = WAITING, NEVER
        self._returns += 1
        request_id, supervisor, model = self.record.ticket, self.relay.supervisor, self.record.model
        # Without an id it is not counted, and waits for nobody.
        gives_up = self._returns > _MOST_RETURNS
        if gives_up or request_id is None or not supervisor.take_back(request_id, model, endpoint, self):
            self.failed(f"could not be reached: {reason}")
            return
        self.record.waited_for_load = True
        if self._is_waiting():
            self.waits()

    def _is_waiting(self) -> bool:
        return self.phase is WAITING

    def _begin(self, upstream: UpstreamConnection) -> None:
        target, destination = self.target, self._destination
        if target is None or destination is None:
            return
        upstream.begin(self, self.record.request_id)
        self.upstream = upstream
        self.phase = SENT
        self.send(upstream, target, destination)

    def sent_again(self, upstream: UpstreamConnection | None) -> bool:
        """Send it again after its connection was lost, if nothing is lost by that; return whether it is."""
        target, destination = self.target, self._destination
        if target is None or destination is None or not self._has_not_begun(upstream) or not self.may_be_repeated():
            return False
        self._sent_again += 1
        self._connect(destination, target.connect_timeout_seconds)
        return True

    def _has_not_begun(self, upstream: UpstreamConnection | None) -> bool:
        """Whether the server has not begun to answer and, as far as can be known, not begun to work.

        It closed a connection on which it had answered before, or left the request unread: it has died meanwhile.
        """
        if upstream is None or upstream.started:
            return False
        if upstream.reset:
            return self._sent_again < _MOST_RETURNS
        return upstream.reused and not self._sent_again

    def leave_place(self) -> None:
        """Let go of the model that it went to, without an end: it goes to another one. Followed by `arrive`."""
        self.drop_upstream()
        request_id = self.record.ticket
        if request_id is not None:
            self.relay.in_flight.pop(request_id, None)
            if not self._was_refused:
                self.relay.supervisor.finish(request_id)
        self.record.ticket = None
        self.phase, self.deadline, self.node_lost = WAITING, NEVER, ""
        self._was_refused, self._returns, self._sent_again = False, 0, 0

    def machine_lost(self, reason: str) -> None:
        """Fail now if nothing of the answer has come; a stream that has begun has `NODE_LOST_SECONDS` to go on."""
        if self.phase is SENT or self.phase is CONNECTING:
            self.drop_upstream()
            self.failed(f"was lost: {reason}")
        elif self.phase is ANSWERING:
            self.node_lost, self.bytes_at_last_look = reason, self.record.response_bytes
            self.deadline = deadline = self.relay.now() + NODE_LOST_SECONDS
            self.relay.alarm.set(deadline)

    # Endings.

    def failed(self, what: str) -> None:
        """End it with an error that says what the model server did."""
        self.fail(self.failure(what))

    def drop_upstream(self) -> None:
        """Close the connection, without waiting for the rest of an answer."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.close()

    def over(self) -> None:
        """End it: tell the observer and the supervisor, once."""
        self.phase = OVER
        self.release()
        record = self.record
        record.finished_at = self.relay.now()
        if record.ticket is not None:
            self.relay.in_flight.pop(record.ticket, None)
        else:
            self.relay.uncounted.discard(self)
        # First: what the supervisor may do now (stop the model, which waited for this) is explained by it.
        if self.noted:
            self.relay.observer.finished(record)
        if record.ticket is not None and not self._was_refused:
            self.relay.supervisor.finish(record.ticket)
