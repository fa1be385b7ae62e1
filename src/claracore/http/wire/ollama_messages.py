"""How does a conversation in Ollama's shape become one in OpenAI's?

Pure. Pictures are base64 without a label in Ollama's, data URIs in OpenAI's. A call of a tool has an object as its
arguments in Ollama's and text in OpenAI's, where it needs an id, by which its result names it; in Ollama's a result
says the name of the tool, or nothing, and comes in the order of the calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from claracore.http.wire.ollama_wishes import OllamaMessage, OllamaToolCall

_KINDS: Final = (("/9j/", "jpeg"), ("iVBORw0K", "png"), ("R0lGOD", "gif"), ("UklGR", "webp"), ("Qk", "bmp"))
"""How the base64 of a picture begins, by what it is."""


def openai_messages(messages: Iterable[OllamaMessage]) -> list[dict[str, Any]]:
    """Return the messages as OpenAI's chat completions have them."""
    calls = _Calls()
    return [_tool_result(message, calls) if message.role == "tool" else _plain(message, calls) for message in messages]


def content_of(text: str, images: Sequence[str] | None) -> str | list[dict[str, Any]]:
    """Return the content of a message: its text, or parts where there are pictures."""
    if not images:
        return text
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    return [*parts, *({"type": "image_url", "image_url": {"url": data_uri(image)}} for image in images)]


def data_uri(image: str) -> str:
    """Return a picture, in base64, as a data URI; as it is if it is one already."""
    if image.startswith("data:"):
        return image
    kind = next((kind for beginning, kind in _KINDS if image.startswith(beginning)), "png")
    return f"data:image/{kind};base64,{image}"


def _plain(message: OllamaMessage, calls: _Calls) -> dict[str, Any]:
    result: dict[str, Any] = {"role": message.role, "content": content_of(message.content or "", message.images)}
    if message.thinking:
        result["reasoning_content"] = message.thinking
    if message.tool_calls:
        result["tool_calls"] = [calls.made(call) for call in message.tool_calls]
    return result


def _tool_result(message: OllamaMessage, calls: _Calls) -> dict[str, Any]:
    name = message.tool_name or message.name or ""
    result: dict[str, Any] = {"role": "tool", "content": content_of(message.content or "", message.images)}
    if id_ := message.tool_call_id or calls.answered(name):
        result["tool_call_id"] = id_
    if name:
        result["name"] = name
    return result


def _text_of(arguments: bytes) -> str:
    """Return arguments as text; some clients have them as text already."""
    if arguments.startswith(b'"'):
        return msgspec.json.decode(arguments, type=str)
    return arguments.decode() if arguments.startswith(b"{") else "{}"


class _Calls:
    """The calls of tools so far that have no result yet, oldest first: ids and names."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []

    def made(self, call: OllamaToolCall) -> dict[str, Any]:
        """Return a call in OpenAI's shape, and remember it."""
        id_ = call.id or f"call_{self._count}"
        self._count += 1
        self._open.append((id_, call.function.name))
        function = {"name": call.function.name, "arguments": _text_of(bytes(call.function.arguments))}
        return {"id": id_, "type": "function", "function": function}

    def answered(self, name: str) -> str:
        """Return the id of the oldest open call of a tool (of any, if none has this name); empty without one."""
        found = next((each for each in self._open if each[1] == name), self._open[0] if self._open else None)
        if found is None:
            return ""
        self._open.remove(found)
        return found[0]
