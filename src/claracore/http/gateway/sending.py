"""What does a model server get of a client's request, and when?

The body is collected until its model is known and, where it is to be changed, until it is whole; then it goes on. What
changes it: the `RequestEdit` of its route makes it a request that model servers understand, the filters of its model
edit what they get. A body that nobody changes keeps its bytes, and most of a long one never waits here.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from claracore.errors import ClaraCoreError
from claracore.http.gateway.collected import Collected, UploadCapture
from claracore.http.gateway.contract import OwnAnswer
from claracore.http.gateway.filters import edited
from claracore.http.wire.framing import LAST_CHUNK, chunk
from claracore.http.wire.request_id import id_line

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.contract import Channel, ServerCall
    from claracore.http.gateway.relay import Relay
    from claracore.http.gateway.targets import Target
    from claracore.http.gateway.upstream import Destination, UpstreamConnection
    from claracore.http.wire.buffer import Body

_JOINED_BYTES = 65_536
_READ_AHEAD_BYTES = 524_288
_KEPT_FOR_RETRY_BYTES = 1 << 20
_KEPT_TO_MOVE_ON_BYTES = 32 << 20
_JSON = b"application/json"


class RequestWriter:
    """What has come of one request's body, and how it is sent on."""

    # What most requests never change stands here, not in the constructor.
    call: ServerCall | None = None
    """What the model server is asked instead; None: what the client has asked."""
    capture: UploadCapture | None = None
    """What keeps the body for whoever looks at it later; None when nobody will."""

    def __init__(self, channel: Channel, admission: Admission, relay: Relay, record: Record) -> None:
        self._channel = channel
        self._before_filters: Body | None = None
        """The body as another machine's filters would get it; None where it can go to one only."""
        self.admission = admission
        self._length = channel.length
        """Of the body as it is sent on; None when it goes on in chunks, or when there is none."""
        self.body = Collected(relay.budget, channel.length)
        if relay.captures.enabled:
            lines = [*admission.head.lines, id_line(channel.request_id)]
            record.capture = capture = relay.captures.begin(admission.method, admission.path_text, lines)
            self.capture = UploadCapture(capture.request, relay.budget)

    # From the client.

    def waits_for_all(self, target: Target) -> bool:
        """Whether it cannot go on before the body is whole, because that is to be changed."""
        route = self.admission.route
        if target.shared and (self._length or 0) <= _KEPT_TO_MOVE_ON_BYTES:
            return True  # it may have to move on to another machine
        return target.edits or (route is not None and route.request_edit is not None)

    def settle(self, target: Target, record: Record) -> OwnAnswer | None:
        """Let a body that is whole become what the model server gets; return the answer that does without one.

        Raises `ClaraCoreError`.
        """
        body, admission = self.body, self.admission
        if not body.complete:
            return None
        if self._length is None and not admission.head.chunked:
            self._before_filters = b"" if target.moves else None  # there is none to be kept
            return None
        edit = admission.route.request_edit if admission.route is not None else None
        if edit is not None:
            record.requested = record.requested or target.model_id  # one that names none is answered with a name
            asked = edit(body.taken_out(), record)
            if isinstance(asked, OwnAnswer):
                return asked
            self.call = asked
            body.replace(asked.body)
        if target.moves:
            self._keep_to_move_on()
        self._filter(target)
        return None

    def _keep_to_move_on(self) -> None:
        """Keep the body for another machine, as long as there is memory for it."""
        body = self.body
        if body.size <= _KEPT_TO_MOVE_ON_BYTES:
            with contextlib.suppress(ClaraCoreError):
                if body.size > _JOINED_BYTES:
                    body.take_for_copy()
                self._before_filters = body.joined()

    def _filter(self, target: Target) -> None:
        body = self.body
        if target.edits:
            content_type = self.admission.head.noted.get(b"content-type", b"") if self.call is None else _JSON
            body.replace(edited(body.taken_out(), content_type, target))
        self._length = body.size

    def forget_body(self) -> None:
        """Let go of the body and of its memory: it need not be sent again."""
        self._before_filters = None
        self.body.drop()
        self.body.give_back()

    @property
    def may_move(self) -> bool:
        """Whether all of the body is here to be sent to another machine."""
        return self._before_filters is not None

    def settle_again(self, target: Target) -> None:
        """Let the body become what another machine gets. Raises `ClaraCoreError`."""
        if self._before_filters:
            self.body.put_back(bytes(self._before_filters))
            self._filter(target)

    def read_no_further(self) -> None:
        """Leave the rest of a long upload to the kernel until the model server takes it.

        The first part is read all the same: a client that leaves in the middle of it is seen at once.
        """
        if not self.body.complete and self.body.size >= _READ_AHEAD_BYTES:
            self._channel.hold_body()
            self._channel.watch_departure()

    # To the model server.

    def send(self, upstream: UpstreamConnection, target: Target, destination: Destination) -> bool:
        """Write the head for the model server, and what there is of the body; return whether that is all of it."""
        body, admission, channel = self.body, self.admission, self._channel
        head = admission.request_bytes(target, destination, channel.peer, self._length, self.call, channel.request_id)
        if admission.head.chunked and self._length is None:
            pieces = [chunk(bytes(piece)) for piece in body.pieces]
            upstream.transport.writelines([head, *pieces, *([LAST_CHUNK] if body.complete else [])])
        elif body.size < _JOINED_BYTES:
            upstream.transport.write(head + body.joined())
        else:
            upstream.transport.writelines([head, *body.pieces])
        if not body.complete or (body.size > _KEPT_FOR_RETRY_BYTES and self._before_filters is None):
            body.drop()
            if not upstream.transport.get_write_buffer_size():
                body.give_back()
        if not body.complete:
            self._channel.resume_body()
        return body.complete

    def send_piece(self, upstream: UpstreamConnection, data: bytes, *, last: bool) -> None:
        """Write a further piece of the body."""
        if self.admission.head.chunked:
            data = (chunk(data) if data else b"") + (LAST_CHUNK if last else b"")
        if data:
            upstream.transport.write(data)
