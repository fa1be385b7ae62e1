"""How does a model server's answer become Ollama's?

`AnswerEdit`s: `LineStream` makes of each server-sent event, in the call that brings it, a line of JSON; `OneAnswer` and
`VectorAnswer` make of a whole answer a whole one. An error of the model server's that comes as one has been put into
Ollama's shape before (`answer`); one in the middle of a stream becomes its last line.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from claracore.http.gateway.heads import with_headers
from claracore.http.wire.engine_answers import read_answer
from claracore.http.wire.error_shapes import NDJSON, said_again
from claracore.http.wire.ollama_lines import LineWriter, Spent, counted, done, error_line, reason_of
from claracore.http.wire.ollama_tool_calls import GatheredCalls
from claracore.http.wire.sse import MEDIA_TYPE

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.http.wire.engine_answers import EngineAnswer, EngineChoice, EngineTimings, EngineUsage
    from claracore.http.wire.head import ResponseHead

JSON = b"application/json; charset=utf-8"
_DATA = b"data:"
_ERROR = b"error:"
_BROKEN = error_line("the model server wrote what is no answer")
_UNFINISHED = error_line("the model server ended its answer before it was complete")


class Clock:
    """When did one request come, and how long did its answer take?"""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._began = time.monotonic()
        self._first = 0.0

    def now(self) -> float:
        """Return the time, in unix seconds."""
        return time.time()

    def first(self) -> None:
        """Note that the first piece of the text is there."""
        if not self._first:
            self._first = time.monotonic()

    def spent(self, usage: EngineUsage | None, timings: EngineTimings | None) -> Spent:
        """Return what the answer has taken, as the model server counts it; what it does not say is measured here."""
        spent, now, record = Spent(), time.monotonic(), self._record
        waited = 0.0 if record.served_at is None else max(0.0, record.served_at - record.arrived_at)
        spent.total_duration = _nanoseconds(now - self._began)
        spent.load_duration = _nanoseconds(waited)
        if self._first:
            spent.prompt_eval_duration = _nanoseconds(self._first - self._began - waited)
            spent.eval_duration = _nanoseconds(now - self._first)
        counted(spent, usage, timings)
        return spent


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def their_error(body: bytes) -> bytes:
    """Return a model server's error as a line; empty for what is none that can be understood."""
    error = said_again(body, 500, "ollama") or b""
    return error + b"\n" if error.startswith(b'{"error":"') else b""


class LineStream:
    """The `AnswerEdit` of a stream."""

    def __init__(self, record: Record, *, is_chat: bool) -> None:
        self._clock = Clock(record)
        self._writer = LineWriter(record.requested, is_chat=is_chat)
        self._calls = GatheredCalls()
        self._whole: OneAnswer | None = None
        """What makes an answer that is no stream, although it was to be one."""
        self._record = record
        self._is_chat = is_chat
        self._rest = b""
        """A line whose end has not come yet."""
        self._data = b""
        """Of an event whose end has not come yet."""
        self._reason = ""
        self._usage: EngineUsage | None = None
        self._timings: EngineTimings | None = None
        self._over = False

    def head(self, head: ResponseHead) -> ResponseHead:
        """Say that lines follow."""
        if not head.content_type.startswith(MEDIA_TYPE):
            self._whole = OneAnswer(self._record, is_chat=self._is_chat, clock=self._clock)
        return with_headers(head, {b"content-type": NDJSON.encode()})

    def piece(self, data: bytes) -> bytes:
        """Return the lines for the events that are complete."""
        if self._whole is not None:
            return self._whole.piece(data)
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        out = b""
        for line in lines:
            out += self._line(line)
        return out

    def end(self) -> bytes:
        """Return the last line, if it was not written yet."""
        if self._whole is not None:
            return self._whole.end()
        rest, self._rest = self._rest, b""
        return self._line(rest) + self._line(b"") + self._finish()

    def _line(self, line: bytes) -> bytes:
        """Take one line of the stream; return what comes of the event that it ends, if it ends one."""
        if line.endswith(b"\r"):
            line = line[:-1]
        if not line:
            data, self._data = self._data, b""
            return self._event(data) if data else b""
        if line.startswith(_DATA):
            self._data = self._data + b"\n" + line[5:] if self._data else line[5:]
        elif line.startswith(_ERROR):  # llama-server's, before it wrote `data: {"error": ...}`
            self._data = b'{"error":%b}' % line[6:]
        return b""

    def _event(self, data: bytes) -> bytes:
        if self._over:
            return b""
        if data.strip() == b"[DONE]":
            return self._finish()
        try:
            answer = read_answer(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._give_up(_BROKEN)
        if bytes(answer.error):
            return self._give_up(their_error(data) or _BROKEN)
        self._note(answer)
        if answer.choices:
            return self._choice(answer.choices[0])
        return self._piece_of_infill(answer) if answer.content is not None else b""

    def _give_up(self, line: bytes) -> bytes:
        self._over = True
        return line

    def _note(self, answer: EngineAnswer) -> None:
        if answer.usage is not None:
            self._usage = answer.usage
        if answer.timings is not None:
            self._timings = answer.timings

    def _choice(self, choice: EngineChoice) -> bytes:
        text, thinking, delta = choice.text or "", "", choice.delta
        if delta is not None:
            text = delta.content or text
            thinking = delta.reasoning_content or delta.reasoning or ""
            if delta.tool_calls:
                self._calls.add(delta.tool_calls)
        logprobs = b"" if choice.logprobs is None else bytes(choice.logprobs.content)
        out = b""
        if text or thinking or logprobs:
            self._clock.first()
            out = self._writer.line(self._clock.now(), text, thinking, logprobs=logprobs)
        if choice.finish_reason:
            self._reason = choice.finish_reason
            out += self._called()
        return out

    def _called(self) -> bytes:
        """Return the line with the calls of tools, which are whole now."""
        if not self._calls:
            return b""
        self._clock.first()
        calls, lost = self._calls.taken()
        return self._writer.line(self._clock.now(), lost, "", calls=calls)

    def _piece_of_infill(self, answer: EngineAnswer) -> bytes:
        if answer.stop:
            self._reason = "length" if answer.stop_type == "limit" else "stop"
        if not answer.content:
            return b""
        self._clock.first()
        return self._writer.line(self._clock.now(), answer.content, "")

    def _finish(self) -> bytes:
        """Return the last line: the answer is complete."""
        if self._over:
            return b""
        self._over = True
        if not self._reason:
            return _UNFINISHED
        end = done(reason_of(self._reason), self._clock.spent(self._usage, self._timings))
        return self._called() + self._writer.line(self._clock.now(), "", "", end=end)


class OneAnswer:
    """The `AnswerEdit` of an answer that comes as one."""

    def __init__(self, record: Record, *, is_chat: bool, clock: Clock | None = None) -> None:
        self._clock = clock or Clock(record)
        self._writer = LineWriter(record.requested, is_chat=is_chat)
        self._pieces: list[bytes] = []

    def head(self, head: ResponseHead) -> ResponseHead:
        """Say what follows."""
        return with_headers(head, {b"content-type": JSON})

    def piece(self, data: bytes) -> bytes:
        """Keep it: an answer is understood as a whole."""
        self._pieces.append(data)
        return b""

    def end(self) -> bytes:
        """Return the answer."""
        body, self._pieces = b"".join(self._pieces), []
        try:
            answer = read_answer(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return _BROKEN
        if not answer.choices and answer.content is None:
            return their_error(body) or _BROKEN
        return self._whole(answer)

    def _whole(self, answer: EngineAnswer) -> bytes:
        text, thinking, calls, logprobs = answer.content or "", "", b"", b""
        reason = "length" if answer.stop_type == "limit" else "stop"
        if answer.choices:
            choice = answer.choices[0]
            reason, text = choice.finish_reason or reason, choice.text or ""
            logprobs = b"" if choice.logprobs is None else bytes(choice.logprobs.content)
            if (message := choice.message) is not None:
                text, thinking = message.content or text, message.reasoning_content or message.reasoning or ""
                if message.tool_calls:
                    gathered = GatheredCalls()
                    gathered.take(message.tool_calls)
                    calls, lost = gathered.taken()
                    text += lost
        end = done(reason_of(reason), self._clock.spent(answer.usage, answer.timings))
        return self._writer.line(self._clock.now(), text, thinking, calls=calls, logprobs=logprobs, end=end)
