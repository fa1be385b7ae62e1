"""How do a model's answers look to clients of LM Studio's own API?

Like OpenAI's, with what it says besides: `stats` (seconds, tokens a second), `model_info` and `runtime`. In a stream
they are in the last chunk. Facts: lmstudio.ai/docs/developer/rest/endpoints; `LLMPredictionStopReason` of lmstudio.js.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from claracore.http.wire import sse

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.host.footprints.summary import AboutModel
    from claracore.http.wire.head import ResponseHead

_STOP_REASONS = {
    "stop": "eosFound",
    "length": "maxPredictedTokensReached",
    "tool_calls": "toolCalls",
    "function_call": "toolCalls",
}
_END = b"\n\n"
_MOST_EXACT = 2**53
"""Beyond that a whole number of a server's is nonsense, and some cannot be divided."""
_DATA = b"data: "
_DONE = b"data: [DONE]"
_Object = dict[str, Any]


class WithStats:
    """The `AnswerEdit` of one answer."""

    def __init__(self, record: Record, about: AboutModel) -> None:
        self._record = record
        self._about = about
        self._is_stream = False
        self._held = b""
        """All of an answer that is no stream; of a stream, an event that is not complete yet."""
        self._finished = ""
        """Why the model has stopped, in OpenAI's word."""
        self._is_told = False

    def head(self, head: ResponseHead) -> ResponseHead:
        """Look whether it is a stream."""
        self._is_stream = head.content_type.startswith(sse.MEDIA_TYPE)
        return head

    def piece(self, data: bytes) -> bytes:
        """Return the events that are complete, or nothing of what is no stream."""
        self._held += data
        if not self._is_stream:
            return b""
        end = self._held.rfind(_END) + len(_END)
        if end < len(_END):
            return b""
        events, self._held = self._held[:end], self._held[end:]
        if b'"finish_reason":"' not in events and b'"timings"' not in events and _DONE not in events:
            return events
        return b"".join(self._event(event) + _END for event in events.removesuffix(_END).split(_END))

    def end(self) -> bytes:
        """Return the rest; the whole answer, if it is no stream."""
        if self._is_stream:
            return self._held
        answer = _decoded(self._held)
        if answer is None or "choices" not in answer:
            return self._held
        self._note_finish(answer)
        return msgspec.json.encode(answer | self._said(answer))

    def _event(self, event: bytes) -> bytes:
        """Return one event without its end: the last with a choice, or with timings, tells what is to tell."""
        if event.startswith(_DONE):
            last = {"object": "chat.completion.chunk", "choices": []}
            more = _DATA + msgspec.json.encode(last | self._said(last)) + _END if not self._is_told else b""
            return more + event
        chunk = _decoded(event.removeprefix(_DATA)) if event.startswith(_DATA) else None
        if chunk is None:
            return event
        self._note_finish(chunk)
        if not self._finished or "timings" not in chunk or self._is_told:
            return event
        return _DATA + msgspec.json.encode(chunk | self._said(chunk))

    def _note_finish(self, answer: _Object) -> None:
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and isinstance(found := choice.get("finish_reason"), str):
                self._finished = found

    def _said(self, answer: _Object) -> _Object:
        self._is_told = True
        build, summary = answer.get("system_fingerprint"), self._about(self._record.model)
        return {
            "stats": self._stats(answer),
            "model_info": {
                "arch": summary.architecture,
                "quant": summary.quantization,
                "format": "gguf" if summary.architecture else "",
                "context_length": summary.context,
            },
            "runtime": {
                "name": "llama.cpp" if "timings" in answer else "",
                "version": build if isinstance(build, str) else "",
                "supported_formats": ["gguf"] if "timings" in answer else [],
            },
        }

    def _stats(self, answer: _Object) -> _Object:
        """Return llama-server's times, or those that were seen here where a server tells none."""
        timings, usage, record = _object(answer, "timings"), _object(answer, "usage"), self._record
        begun = record.served_at or record.arrived_at
        first = record.first_token_at or record.first_byte_at or begun
        prompt_ms, predicted_ms = _number(timings, "prompt_ms"), _number(timings, "predicted_ms")
        per_second = _number(timings, "predicted_per_second")
        generation = predicted_ms / 1000 if predicted_ms is not None else None
        if per_second is None and generation:
            per_second = (_number(usage, "completion_tokens") or 0) / generation
        return {
            "tokens_per_second": per_second,
            "time_to_first_token": prompt_ms / 1000 if prompt_ms is not None else first - begun,
            "generation_time": generation,
            "stop_reason": _STOP_REASONS.get(self._finished, self._finished or "eosFound"),
        }


def _decoded(data: bytes) -> _Object | None:
    try:
        return msgspec.json.decode(data, type=_Object)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _object(answer: _Object, key: str) -> _Object:
    found = answer.get(key)
    return found if isinstance(found, dict) else {}


def _number(values: _Object, key: str) -> float | None:
    found = values.get(key)
    if isinstance(found, float):
        return found
    return found if type(found) is int and abs(found) <= _MOST_EXACT else None
