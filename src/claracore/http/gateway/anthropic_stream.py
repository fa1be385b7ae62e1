"""What does llama-server's stream of Anthropic's events lack, and how is it mended?

Every stream of theirs begins with `message_start`, and their SDKs give up on one that does not. llama-server sends it
with its first token, or never: not when the first token is only the beginning of a character or of a stop sequence, and
not when the answer is empty (tools/server/server-task.cpp, `to_json_anthropic`: `n_decoded == 1`). And an error in the
middle of its streams has OpenAI's fields without Anthropic's wrapping. Both are recognised by the name of an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from claracore.http.wire import sse
from claracore.http.wire.error_shapes import translated

if TYPE_CHECKING:
    from claracore.host.activity.record import Record
    from claracore.host.footprints.summary import AboutModel
    from claracore.http.wire.head import ResponseHead

_LATER = frozenset(
    (b"content_block_start", b"content_block_delta", b"content_block_stop", b"message_delta", b"message_stop")
)
"""Events that only come after `message_start`."""
_NAME = b"event: "
_ERROR = b"event: error\ndata: "
_END = b"\n\n"


def mended_stream(record: Record, _about: AboutModel) -> MendedStream | None:
    """Return what mends the answer to a request, which is nothing if it is no stream."""
    return MendedStream(record.requested) if record.stream else None


class MendedStream:
    """The `AnswerEdit` of one stream."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._held = b""
        """What cannot be understood before more has come."""
        self._begun = False
        """Whether the first event was seen."""
        self._is_stream = False

    def head(self, head: ResponseHead) -> ResponseHead:
        """Look whether it is a stream."""
        self._is_stream = head.content_type.startswith(sse.MEDIA_TYPE)
        return head

    def piece(self, data: bytes) -> bytes:
        """Return a piece as it is, but for the first event and an error."""
        if self._begun and not self._held and b"event: error" not in data and not _begun_error(data):
            return data
        if not self._is_stream:
            return data
        self._held += data
        begin = b"" if self._begun else self._beginning()
        return begin + self._without_error() if self._begun else begin

    def end(self) -> bytes:
        """Return what is still held."""
        return self._held

    def _beginning(self) -> bytes:
        """Take comments from what is held, and return them; with `message_start`, if the first event is a later one."""
        out = b""
        while self._held[:1] in (b":", b"\n", b"\r") and (end := self._held.find(b"\n") + 1):
            out, self._held = out + self._held[:end], self._held[end:]
        if self._held[:1] in (b"", b":", b"\r") or _NAME.startswith(self._held):
            return out
        name, line_end, _ = self._held.removeprefix(_NAME).partition(b"\n")
        if self._held.startswith(_NAME) and not line_end:
            return out
        self._begun = True
        is_later = self._held.startswith(_NAME) and name.rstrip(b"\r") in _LATER
        return out + self._message_start() if is_later else out

    def _message_start(self) -> bytes:
        message: dict[str, object] = {
            "id": f"msg_{uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": self._model,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"cache_read_input_tokens": 0, "input_tokens": 0, "output_tokens": 0},
        }
        return sse.event(msgspec.json.encode({"type": "message_start", "message": message}), name=b"message_start")

    def _without_error(self) -> bytes:
        """Return what is held, with an error in Anthropic's shape; the rest of an incomplete error stays held."""
        data, self._held = self._held, b""
        start = data.find(_ERROR)
        if start < 0:
            self._held = _begun_error(data)
            return data.removesuffix(self._held)
        end = data.find(_END, start)
        if end < 0:
            self._held = data[start:]
            return data[:start]
        theirs = data[start + len(_ERROR) : end]
        return data[:start] + _ERROR + translated(theirs, _status_of(theirs), "anthropic") + data[end:]


def _begun_error(data: bytes) -> bytes:
    """Return the end of a piece that may become an error's event; empty when there is none."""
    if data.endswith(_END):
        return b""
    rest = data[data.rfind(_END) + len(_END) :] if _END in data else data
    return rest if _ERROR.startswith(rest) else b""


class _Code(msgspec.Struct):
    code: int = 500


def _status_of(error: bytes) -> int:
    try:
        return msgspec.json.decode(error, type=_Code).code
    except (msgspec.MsgspecError, RecursionError):
        return 500
