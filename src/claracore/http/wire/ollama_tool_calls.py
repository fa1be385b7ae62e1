"""Which tools does a model call, and with what, in Ollama's shape?

Pure: model servers send a call in pieces, its arguments as text; Ollama's clients get it whole, its arguments as an
object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from claracore.http.wire.engine_answers import ToolCallDelta


class _Gathered:
    """What has come of one call."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class GatheredCalls:
    """The calls of one answer, as far as they have come."""

    def __init__(self) -> None:
        self._calls: dict[int, _Gathered] = {}

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._calls)

    def add(self, pieces: Iterable[ToolCallDelta]) -> None:
        """Take pieces of calls, each with the number of its call."""
        for piece in pieces:
            self._add(piece, piece.index)

    def take(self, calls: Iterable[ToolCallDelta]) -> None:
        """Take calls that are whole, which have no numbers."""
        for call in calls:
            self._add(call, len(self._calls))

    def _add(self, piece: ToolCallDelta, index: int) -> None:
        call = self._calls.setdefault(index, _Gathered())
        call.id = call.id or piece.id or ""
        if piece.function is not None:
            call.name += piece.function.name or ""
            call.arguments.append(piece.function.arguments or "")

    def taken(self) -> tuple[bytes, str]:
        """Return the calls as JSON (empty without one), and forget them; and the text of those that are none.

        A call that the model has not written to its end, or not as an object, is text to its reader.
        """
        calls: list[dict[str, Any]] = []
        lost = ""
        for index, call in enumerate(self._calls.values()):
            text = "".join(call.arguments)
            arguments = _object(text)
            if arguments is None or not call.name:
                lost += text
                continue
            function = {"index": index, "name": call.name, "arguments": arguments}
            calls.append({"id": call.id, "function": function} if call.id else {"function": function})
        self._calls = {}
        return msgspec.json.encode(calls) if calls else b"", lost


def _object(text: str) -> msgspec.Raw | None:
    """Return an object as JSON on one line; None for what is none."""
    if not text.strip():
        return msgspec.Raw(b"{}")
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return msgspec.Raw(msgspec.json.format(text, indent=-1).encode())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
