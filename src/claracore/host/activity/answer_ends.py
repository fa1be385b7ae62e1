"""What did the model server say about tokens and time?

It looks at bytes that were already passed on, keeps only the beginning and the last few pieces of an answer, and reads
them when the answer is over: `usage` (OpenAI, Anthropic), `timings` (llama-server) and `metrics` (vLLM) stand at one of
the two ends.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

from claracore.host.activity.tokens import Tokens, tokens_in, tokens_of

_PIECES = 4
_PIECE_BYTES = 16_384
_BEGINNING_BYTES = 1_024
_SAID = re.compile(r'"(?:message|error|detail)"\s*:\s*(?=")')
_LONGEST_ERROR = 500
_OBJECT = re.compile(r'"(usage|timings|metrics)"\s*:\s*(?=\{)')
# Of OpenAI's chat, completions and responses, and Anthropic's messages. llama-server sends a chunk with the role alone
# before it has read the prompt.
_TOKEN = re.compile(rb'"(?:content|reasoning_content|text|delta|thinking|arguments|partial_json)"\s*:\s*"[^"]')
_read_value = json.JSONDecoder().raw_decode


def has_token(piece: bytes) -> bool:
    """Whether a piece of a stream has something that the model has written, and not only roles and ids."""
    return _TOKEN.search(piece) is not None


def tokens_begun(piece: bytes) -> int:
    """Return how many events with something that the model has written are in the first piece that has any."""
    return len(_TOKEN.findall(piece))


class AnswerEnds:
    """The two ends of one answer; most have only one piece."""

    __slots__ = ("_beginning", "_first", "_tail")

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._beginning = b""
        self._tail: deque[bytes] | None = None

    def see(self, data: bytes) -> None:
        """Note a further piece that was passed on."""
        tail = self._tail
        if tail is None:
            tail = self._tail = deque(maxlen=_PIECES)
            tail.append(self._cut(self._first))
            self._first = b""
        if len(tail) == _PIECES and len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += tail[0]
        tail.append(data if len(data) <= _PIECE_BYTES else self._cut(data))

    def _cut(self, data: bytes) -> bytes:
        if len(data) <= _PIECE_BYTES:
            return data
        if len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += b"".join(self._tail or ()) + data[:_BEGINNING_BYTES]
            if self._tail is not None:
                self._tail.clear()
        return data[-_PIECE_BYTES:]

    def ends_with(self, end: bytes) -> bool:
        """Whether the answer so far, chunk framing aside, ends so."""
        return self._end().removesuffix(b"\r\n").endswith(end)

    def _end(self) -> bytes:
        return self._first if self._tail is None else b"".join(self._tail)

    def idle_events(self) -> int:
        """Return how many events at the end of a stream have nothing that the model has written."""
        events = self._end().split(b"data:")[1:]
        return next((place for place, event in enumerate(reversed(events)) if has_token(event)), len(events))

    def error(self) -> str:
        """Return what an answer that is an error says, in the words of OpenAI, llama-server or FastAPI; or nothing."""
        text = (self._beginning or self._end()).decode("utf-8", "replace")
        key = _SAID.search(text)
        try:
            message = str(_read_value(text, key.end())[0]) if key is not None else ""
        except ValueError:
            return ""
        # What is kept as UTF-8 must be UTF-8: JSON may hold half of a surrogate pair.
        return message[:_LONGEST_ERROR].encode("utf-8", "replace").decode()

    def found(self) -> Tokens:
        """Return what the answer says of its tokens.

        Of several `usage` or `timings`, later keys win: Anthropic's stream gives the input tokens at its beginning and
        the output tokens at its end, and llama-server can send timings with every token.
        """
        if self._tail is None:
            whole = tokens_in(self._first)
            if whole is not None:
                return whole
        found: dict[str, dict[str, Any]] = {"usage": {}, "timings": {}, "metrics": {}}
        # Chunk framing may stand between two events, but hardly inside an object that was written in one piece.
        for part in (self._beginning, self._end()):
            text = part.decode("utf-8", "replace")
            for key in _OBJECT.finditer(text):
                try:
                    value, _ = _read_value(text, key.end())
                except (ValueError, RecursionError):
                    continue
                found[key[1]].update(value)
        return tokens_of(found["usage"], found["timings"], found["metrics"])
