"""How does a model server's answer become the client's?

Bytes are passed on in the call that brings them, and looked at afterwards. An answer that breaks off ends with an SSE
error event, if it is a stream, or with a broken connection, so that nobody takes it for complete. What is to change an
answer on its way is an `AnswerEdit`; without one nothing is changed and nothing is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.errors import ClaraCoreError, UpstreamFailed
from claracore.host.activity.answer_ends import AnswerEnds, has_token, tokens_begun
from claracore.http.access.limits import limit_lines
from claracore.http.access.origins import cors_lines
from claracore.http.gateway.heads import (
    WITHOUT_BODY,
    edited_response_bytes,
    response_bytes,
    stream_bytes,
    with_headers,
    with_lines,
)
from claracore.http.wire import sse
from claracore.http.wire.answers import answer
from claracore.http.wire.error_shapes import NDJSON, encoded, last_words, said_again, translated
from claracore.http.wire.framing import LAST_CHUNK, Chunked, chunk
from claracore.http.wire.request_id import id_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.host.activity.record import Record
    from claracore.http.gateway.admission import Admission
    from claracore.http.gateway.contract import AnswerEdit, Channel
    from claracore.http.wire.error_shapes import ErrorShape
    from claracore.http.wire.head import ResponseHead

_ERROR_BODY_BYTES = 65_536
_JSON = "application/json"


def look_at(record: Record, piece: bytes, now: Callable[[], float]) -> None:
    """Note in the record what a piece of an answer's body says; `now` tells the event loop's time."""
    record.response_bytes += len(piece)
    if record.stream:
        if record.first_token_at is not None:
            record.events += piece.count(b"data:")
        elif has_token(piece):
            record.first_token_at = now()
            record.events = tokens_begun(piece)
    if record.answer_ends is None:
        # Not the head: llama-server sends it at once, and reads the prompt after that.
        record.first_byte_at = now()
        record.answer_ends = AnswerEnds(piece)
    else:
        record.answer_ends.see(piece)


class AnswerWriter:
    """Writes one answer to its client, and notes in the record what was passed on."""

    # What most answers never change stands here, not in the constructor.
    started = False
    """Whether a byte of it was written."""
    joined = False
    """Whether the stream's head was sent while the client waited, before the model server's answer began."""
    _chunks = False
    """Whether what is written is put into chunks of our own."""
    _edited_type = ""
    """The media type that the edit has given the answer."""
    _written = b""
    """What was written last of an edited answer."""

    def __init__(self, channel: Channel, admission: Admission, record: Record, now: Callable[[], float]) -> None:
        self._channel = channel
        self._request = admission.head
        self._record = record
        self._origin = admission.origin
        self._errors = admission.errors
        self._now = now
        self._meter = admission.meter
        self.edit: AnswerEdit | None = None

    @property
    def wants_payload(self) -> bool:
        """Whether the model server's chunk framing is to be taken off: what follows has none, or chunks of our own."""
        return self._request.minor == 0 or self.started or self.edit is not None

    # The model server's answer.

    def interim(self, head: ResponseHead) -> None:
        """Pass on a 1xx, except `100 Continue`, which was the gateway's own business."""
        if head.status != 100 and self._request.minor and not self.started and not head.sized:
            self._channel.transport.write(response_bytes(head, None, b"", self._record.request_id, chunked=False))

    def begin(self, head: ResponseHead, length: int | None, body: bytes, *, bodiless: bool, unframed: bool) -> None:
        """Pass on the head of the answer, its Content-Length, and what has come of its body.

        `bodiless`: the request was a HEAD. `unframed`: the chunk framing is taken off already.
        """
        record = self._record
        record.content_type = head.content_type
        if head.status >= 400 and self._errors != "openai" and not self.started:
            self.edit = _Translated(self._errors, in_chunks=head.chunked and not unframed)
        if self.started or self.edit is not None:
            self._begin_edited(head, body, bodiless=bodiless or head.status in WITHOUT_BODY)
            return
        channel, minor = self._channel, self._request.minor
        self.started = True
        record.status = head.status
        self._capture_head(head, in_chunks=head.chunked and not unframed)
        if not head.sized and not bodiless and head.status not in WITHOUT_BODY and (not head.chunked or minor == 0):
            channel.must_close()  # the end of the connection is the end of the body
        keep_chunks = head.chunked and minor == 1
        how, id_ = channel.connection_header(), record.request_id
        out = response_bytes(head, length, how, id_, chunked=keep_chunks, origin=self._origin)
        if self._meter is not None:
            out = with_lines(out, self._limit_lines())
        channel.transport.write(out + body if body else out)
        if body:
            self._passed(body, body)

    def piece(self, body: bytes) -> None:
        """Pass on a piece of the body, then look at it."""
        if not body:
            return
        if self.edit is not None:
            self._edited_piece(self.edit, body)
            return
        self._channel.transport.write(body)
        self._passed(body, body)

    def finish(self) -> None:
        """Write what is still to come: the model server's answer is complete."""
        if self.edit is not None:
            end = self.edit.end()
            self._write(end)
            self._write_last_chunk()
            if self._record.capture is not None:
                self._record.capture.response.add(end)

    def _capture_head(self, head: ResponseHead, *, in_chunks: bool) -> None:
        record = self._record
        if record.capture is not None:
            lines = [*head.lines, id_line(record.request_id)]
            record.capture.answered(head.status, lines, in_chunks=in_chunks)

    def _passed(self, body: bytes, written: bytes) -> None:
        """Look at a piece as the model server sent it; keep it as it was written to the client."""
        record = self._record
        if record.capture is not None:
            record.capture.response.add(written)
        look_at(record, body, self._now)

    # An answer that is changed.

    def _begin_edited(self, head: ResponseHead, body: bytes, *, bodiless: bool) -> None:
        if self.started:
            self.joined = True
            self.edit = edit = _Joined(self._record, self._errors, self.edit)
            edited = edit.head(head)
        else:
            edited = self._write_edited_head(head, bodiless=bodiless)
        self._capture_head(edited, in_chunks=False)
        self.piece(body)

    def _write_edited_head(self, head: ResponseHead, *, bodiless: bool) -> ResponseHead:
        edit, channel = self.edit, self._channel
        edited = head if edit is None else edit.head(head)
        self.started = True
        self._record.status = edited.status
        self._edited_type = edited.content_type
        self._chunks = self._request.minor == 1 and not bodiless
        if bodiless:
            self.edit = None
        elif not self._chunks:
            channel.must_close()
        how = channel.connection_header()
        id_ = self._record.request_id
        out = edited_response_bytes(edited, how, id_, chunked=self._chunks, origin=self._origin)
        channel.transport.write(with_lines(out, self._limit_lines()))
        return edited

    def _limit_lines(self) -> list[bytes]:
        return [] if self._meter is None else limit_lines(self._meter, self._now())

    def _edited_piece(self, edit: AnswerEdit, body: bytes) -> None:
        written = edit.piece(body)
        self._write(written)
        if written or not self.joined:
            self._passed(body, written)

    def _write(self, data: bytes) -> None:
        if data:
            self._written = data
            self._channel.transport.write(chunk(data) if self._chunks else data)

    def _write_last_chunk(self) -> None:
        if self._chunks:
            self._channel.transport.write(LAST_CHUNK)

    # Answers without a model server, streams that begin before its answer, and answers that end before their time.

    def write_whole(self, body: bytes) -> None:
        """Send an answer of our own, which is JSON."""
        record, channel = self._record, self._channel
        self.started = True
        record.status = 200
        record.content_type = _JSON
        record.response_bytes = len(body)
        also = [*cors_lines(self._origin), *self._limit_lines(), id_line(record.request_id)]
        headers = [b"Content-Type: " + _JSON.encode(), *also]
        if record.capture is not None:
            record.capture.answered(200, headers, in_chunks=False)
            record.capture.response.add(body)
        channel.transport.write(answer(200, headers, body, connection=channel.connection_header()))

    def begin_stream(self) -> None:
        """Send the head of an event stream to a client that still waits for its model."""
        self.started = True
        self._chunks = self._request.minor == 1
        self._record.status = 200
        self._record.content_type = sse.MEDIA_TYPE
        if not self._chunks:
            self._channel.must_close()
        how = self._channel.connection_header()
        out = stream_bytes(how, self._record.request_id, chunked=self._chunks, origin=self._origin)
        self._channel.transport.write(with_lines(out, self._limit_lines()))

    def write_event(self, event: bytes) -> None:
        """Send an event of our own, in a stream that `begin_stream` began."""
        self._write(event)

    def end_with(self, error: ClaraCoreError) -> None:
        """End a stream that `begin_stream` began with an error event."""
        self._write(self._separator() + last_words(encoded(error, self._errors), sse.MEDIA_TYPE))
        self._write_last_chunk()

    def break_off(self, error: ClaraCoreError, *, at_boundary: bool, unframed: bool) -> bool:
        """End an answer that cannot be completed: a stream by an error event, and the connection closes after it.

        Return False for one that can only be ended by breaking the connection: it is no stream, or it broke off inside
        a chunk (not `at_boundary`) that is passed on as it is.
        """
        is_edited = self.edit is not None
        media_type = self._edited_type if is_edited else self._record.content_type
        event = last_words(encoded(error, self._errors), media_type)
        if not event or not (at_boundary or is_edited):
            return False
        event = self._separator() + event
        in_chunks = self._chunks if is_edited else self._request.minor == 1 and not unframed
        self._channel.transport.write(chunk(event) + LAST_CHUNK if in_chunks else event)
        self._channel.must_close()
        return True

    def _separator(self) -> bytes:
        """Return what ends an event that was broken off; for an edited stream, what ends its line."""
        if self.edit is not None:
            end = b"\n" if self._edited_type.startswith(NDJSON) else b"\n\n"
            return end if self._written and not self._written.endswith(end) else b""
        ends = self._record.answer_ends
        return b"\n\n" if ends is not None and not ends.ends_with(b"\n\n") else b""


class _Joined:
    """The edit that lets an answer go on as the stream that was begun while its client waited.

    The head was sent already. What is no stream is the model server's error, and becomes the stream's last event.
    """

    def __init__(self, record: Record, errors: ErrorShape, edit: AnswerEdit | None) -> None:
        """`edit` changes the stream besides."""
        self._record = record
        self._edit = edit
        self._errors = errors
        self._status = 0
        self._error: list[bytes] | None = None

    def head(self, head: ResponseHead) -> ResponseHead:
        """Look whether it is a stream."""
        if head.status != 200 or not head.content_type.startswith(sse.MEDIA_TYPE):
            self._record.error = f"the model server answered {head.status}"
            self._error = []
            self._status = head.status
        elif self._edit is not None:
            self._edit.head(head)
        return head

    def piece(self, data: bytes) -> bytes:
        """Pass on what belongs to a stream; keep an error."""
        if self._error is None:
            return data if self._edit is None else self._edit.piece(data)
        self._error.append(data)
        return b""

    def end(self) -> bytes:
        """Return the error event, if it was an error."""
        if self._error is None:
            return b"" if self._edit is None else self._edit.end()
        theirs = said_again(b"".join(self._error)[:_ERROR_BODY_BYTES], self._status, self._errors)
        ours = encoded(UpstreamFailed(self._record.error), self._errors)
        return last_words(theirs or ours, sse.MEDIA_TYPE)


class _Translated:
    """The edit that puts a model server's error into the shape that its client reads."""

    def __init__(self, errors: ErrorShape, *, in_chunks: bool) -> None:
        """`in_chunks`: the pieces come with their chunk framing, which has been checked."""
        self._errors = errors
        self._framing = Chunked() if in_chunks else None
        self._status = 0
        self._body = b""
        self._is_long = False

    def head(self, head: ResponseHead) -> ResponseHead:
        """Remember which error it is, and say what it becomes."""
        self._status = head.status
        return with_headers(head, {b"content-type": _JSON.encode()}) if self._errors == "ollama" else head

    def piece(self, data: bytes) -> bytes:
        """Keep it, for an error is understood as a whole; pass on what is too long to be one."""
        if self._framing is not None:
            pieces: list[bytes] = []
            self._framing.feed(data, 0, pieces)
            data = b"".join(pieces)
        self._body += data
        self._is_long = self._is_long or len(self._body) > _ERROR_BODY_BYTES
        if not self._is_long:
            return b""
        body, self._body = self._body, b""
        return body

    def end(self) -> bytes:
        """Return the error."""
        return self._body if self._is_long else translated(self._body, self._status, self._errors)
