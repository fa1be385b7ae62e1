"""What did the model server say about tokens and time?

It looks at bytes that were already passed on, keeps only the beginning and the last few pieces of an answer, and reads
them when the answer is over: `usage` (OpenAI, Anthropic) and `timings` (llama-server) stand at one of the two ends.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

import msgspec

_PIECES = 8
_PIECE_BYTES = 16_384
_BEGINNING_BYTES = 4_096
_OBJECT = re.compile(r'"(usage|timings)"\s*:\s*(?=\{)')
_read_object = json.JSONDecoder().raw_decode


class Found(msgspec.Struct):
    """What an answer says about itself; None when it does not."""

    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None


_decode_whole = msgspec.json.Decoder(Found).decode
_NOTHING = Found()


class Watch:
    """The two ends of one answer."""

    __slots__ = ("_beginning", "_tail")

    def __init__(self) -> None:
        self._beginning = b""
        self._tail: deque[bytes] = deque(maxlen=_PIECES)

    def see(self, data: bytes) -> None:
        """Note a piece that was passed on."""
        tail = self._tail
        if len(tail) == _PIECES and len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += tail[0]
        tail.append(data if len(data) <= _PIECE_BYTES else self._cut(data))

    def _cut(self, data: bytes) -> bytes:
        if len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += b"".join(self._tail) + data[:_BEGINNING_BYTES]
            self._tail.clear()
        return data[-_PIECE_BYTES:]

    def ends_with(self, end: bytes) -> bool:
        """Whether the answer so far, chunk framing aside, ends so."""
        return not self._tail or b"".join(self._tail).removesuffix(b"\r\n").endswith(end)

    def found(self) -> Found:
        """Return the `usage` and `timings` that can be read.

        Of several, later keys win: Anthropic's stream gives the input tokens at its beginning and the output tokens at
        its end, and llama-server can send timings with every token.
        """
        if not self._tail:
            return _NOTHING
        if len(self._tail) == 1 and not self._beginning:
            try:
                return _decode_whole(self._tail[0])
            except (msgspec.MsgspecError, RecursionError):
                pass  # not one JSON object: a stream, or cut
        found = Found()
        # Chunk framing may stand between two events, but hardly inside an object that was written in one piece.
        for part in (self._beginning, b"".join(self._tail)):
            text = part.decode("utf-8", "replace")
            for key in _OBJECT.finditer(text):
                try:
                    value, _ = _read_object(text, key.end())
                except (ValueError, RecursionError):
                    continue
                setattr(found, key[1], {**(getattr(found, key[1]) or {}), **value})
        return found
