"""How does Ollama write an answer: the lines of a stream, or the one that is all of it?

Pure: bytes from values. Each line is a JSON object with the name of the model as the client wrote it and the time; the
last one says why the answer ended, how many tokens there were and how long they took, in nanoseconds. Facts:
docs/api.md of github.com/ollama/ollama.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from claracore.http.wire.engine_answers import EngineTimings, EngineUsage

_encode = msgspec.json.encode
NOT_DONE = b'"done":false'
_MOST = 1 << 63
"""What Ollama's clients cannot read any more: a model server that says so many has not counted."""


class Spent:
    """What one answer has taken: times in nanoseconds; None where it is not known."""

    def __init__(self) -> None:
        self.total_duration: int | None = None
        self.load_duration: int | None = None
        self.prompt_eval_count: int | None = None
        self.prompt_eval_duration: int | None = None
        self.eval_count: int | None = None
        self.eval_duration: int | None = None

    def known(self) -> dict[str, int]:
        """Return what is known, by Ollama's names."""
        values = {
            "total_duration": self.total_duration,
            "load_duration": self.load_duration,
            "prompt_eval_count": self.prompt_eval_count,
            "prompt_eval_duration": self.prompt_eval_duration,
            "eval_count": self.eval_count,
            "eval_duration": self.eval_duration,
        }
        return {name: max(0, value) for name, value in values.items() if value is not None and value < _MOST}


def counted(spent: Spent, usage: EngineUsage | None, timings: EngineTimings | None) -> None:
    """Put in what a model server says of tokens and times."""
    if timings is not None:
        if timings.prompt_n is not None:
            spent.prompt_eval_count = timings.prompt_n + (timings.cache_n or 0)
        if timings.prompt_ms is not None:
            spent.prompt_eval_duration = _nanoseconds(timings.prompt_ms)
        spent.eval_count = timings.predicted_n
        if timings.predicted_ms is not None:
            spent.eval_duration = _nanoseconds(timings.predicted_ms)
    if usage is not None:
        if usage.prompt_tokens is not None:
            spent.prompt_eval_count = usage.prompt_tokens
        if usage.completion_tokens is not None:
            spent.eval_count = usage.completion_tokens


def _nanoseconds(milliseconds: float) -> int:
    return int(min(milliseconds * 1e6, float(_MOST)))


def reason_of(finish_reason: str) -> str:
    """Return why an answer ended, by Ollama's word for it: to call a tool is to stop."""
    return "stop" if finish_reason in {"tool_calls", "function_call"} else finish_reason


def done(reason: str, spent: Spent | None = None) -> bytes:
    """Return the end of an answer's last line."""
    end = {"done": True, "done_reason": reason}
    return _encode(end if spent is None else end | spent.known())[1:-1]


class LineWriter:
    """Writes the lines of one answer: of a chat, with a message in each, or of a prompt."""

    def __init__(self, model: str, *, is_chat: bool) -> None:
        self._is_chat = is_chat
        self._model = _encode(model)
        self._second = -1
        self._begun = b""
        """A line up to the fraction of the second at which it is written."""

    def line(
        self, now: float, text: str, thinking: str, *, calls: bytes = b"", logprobs: bytes = b"", end: bytes = NOT_DONE
    ) -> bytes:
        """Return a line; `now` in unix seconds, `calls` and `logprobs` as JSON, `end` what `done` makes."""
        begun, content = self._beginning(now), _encode(text)
        more = b',"thinking":' + _encode(thinking) if thinking else b""
        if calls:
            more += b',"tool_calls":' + calls
        if logprobs:
            end += b',"logprobs":' + logprobs
        if self._is_chat:
            return b'%b,"message":{"role":"assistant","content":%b%b},%b}\n' % (begun, content, more, end)
        return b'%b,"response":%b%b,%b}\n' % (begun, content, more, end)

    def _beginning(self, now: float) -> bytes:
        second = int(now)
        if second != self._second:
            self._second = second
            at = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._begun = b'{"model":%b,"created_at":"%b' % (self._model, at.encode())
        return b'%b.%06dZ"' % (self._begun, int((now - second) * 1_000_000))


def error_line(message: str) -> bytes:
    """Return the line that ends a stream that has failed."""
    return _encode({"error": message}) + b"\n"
