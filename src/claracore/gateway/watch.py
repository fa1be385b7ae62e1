"""What did the model server say about tokens and time?

It looks at bytes that were already passed on, keeps only the beginning and the last few pieces of an answer, and reads
them when the answer is over: `usage` (OpenAI, Anthropic) and `timings` (llama-server) stand at one of the two ends.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import msgspec

_PIECES = 8
_PIECE_BYTES = 16_384
_BEGINNING_BYTES = 4_096
_OBJECT = re.compile(rb'"(usage|timings)"\s*:\s*\{')
# Chunk framing may stand between two events, but never inside an object that was written in one piece.
_CLOSERS = re.compile(rb'[{}]|"(?:[^"\\]|\\.)*"')


class Watch:
    """The two ends of one answer."""

    __slots__ = ("_beginning", "_tail")

    def __init__(self) -> None:
        self._beginning = b""
        self._tail: deque[bytes] = deque(maxlen=_PIECES)

    def see(self, data: bytes) -> None:
        """Note a piece that was passed on."""
        if len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += data[: _BEGINNING_BYTES - len(self._beginning)]
        self._tail.append(data if len(data) <= _PIECE_BYTES else data[-_PIECE_BYTES:])

    def ends_with(self, end: bytes) -> bool:
        """Whether the answer so far, chunk framing aside, ends so."""
        return not self._tail or self._tail[-1].removesuffix(b"\r\n").endswith(end)

    def found(self) -> dict[str, dict[str, Any]]:
        """Return the last `usage` and `timings` objects that can be read, merged key by key with earlier ones.

        Anthropic's stream gives the input tokens at its beginning and the output tokens at its end.
        """
        objects: dict[str, dict[str, Any]] = {}
        for text in (self._beginning, b"".join(self._tail)):
            for start in _OBJECT.finditer(text):
                value = _object_at(text, start.end() - 1)
                if value is not None:
                    objects.setdefault(start[1].decode(), {}).update(value)
        return objects


def _object_at(text: bytes, start: int) -> dict[str, Any] | None:
    depth = 0
    for found in _CLOSERS.finditer(text, start):
        depth += {b"{": 1, b"}": -1}.get(found[0], 0)
        if depth == 0:
            try:
                return msgspec.json.decode(text[start : found.end()], type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError):
                return None
    return None
