r"""What does a request body look like after the filters of its model?

Pure edits of bytes, in the order `useModelName`, `stripParams`, `setParams`, `setParamsByID`. What is not edited keeps
its bytes: order, spaces, number formats. A key with dots is a path (`a.b`, `messages.0.name`); `\.` is a dot in a key.
A value replaces what was there, objects are not merged. In a multipart body only `model` is rewritten, all other parts
stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from claracore.errors import BadRequest
from claracore.gateway.multipart import boundary_of, parts_of


class Edits(Protocol):
    """What there is to do for one model name."""

    @property
    def use_model_name(self) -> str:
        """New value of `model`; empty leaves it."""

    @property
    def strip_params(self) -> tuple[str, ...]:
        """Keys or paths to remove."""

    @property
    def set_params(self) -> Mapping[str, Any]:
        """Keys or paths to set."""


class Span(NamedTuple):
    """Where a member of an object (or an item of an array) lies: its key, if it has one, and its value."""

    key_start: int
    start: int
    end: int


def edited(body: bytes, content_type: bytes, edits: Edits) -> bytes:
    """Return the body after all edits. Raises `BadRequest` for a body that cannot be edited without guessing."""
    kind = content_type.lower()
    if kind.startswith(b"multipart/form-data"):
        return _with_model_part(body, content_type, edits.use_model_name) if edits.use_model_name else body
    if body.lstrip()[:1] != b"{":
        return body
    if edits.use_model_name:
        body = with_value(body, ("model",), edits.use_model_name)
    for path in edits.strip_params:
        body = without(body, keys_of(path))
    for path, value in edits.set_params.items():
        body = with_value(body, keys_of(path), value)
    return body


def keys_of(path: str) -> tuple[str, ...]:
    """Split a dotted path into keys."""
    return tuple(re.sub(r"\\(.)", r"\1", key) for key in re.findall(r"((?:[^.\\]|\\.)+)", path)) or (path,)


def with_value(body: bytes, keys: tuple[str, ...], value: object) -> bytes:
    """Return `body` with the value at a path replaced or, with the objects that lead to it, added."""
    start, end = _outermost(body)
    for depth, key in enumerate(keys):
        spans = _spans(body, start, end)
        span = spans.get(key)
        if span is None:
            return _with_new(body, (start, end), spans, keys[depth:], value)
        if depth == len(keys) - 1 or body[span.start : span.start + 1] not in (b"{", b"["):
            return body[: span.start] + _nested(keys[depth + 1 :], value) + body[span.end :]
        start, end = span.start, span.end
    return body


def without(body: bytes, keys: tuple[str, ...]) -> bytes:
    """Return `body` without the member at a path, and without the comma that separated it."""
    start, end = _outermost(body)
    for depth, key in enumerate(keys):
        spans = _spans(body, start, end)
        span = spans.get(key)
        if span is None:
            return body
        if depth == len(keys) - 1:
            return _cut(body, list(spans.values()), span)
        if body[span.start : span.start + 1] not in (b"{", b"["):
            return body
        start, end = span.start, span.end
    return body


def _with_new(
    body: bytes, outer: tuple[int, int], spans: dict[str, Span], keys: tuple[str, ...], value: object
) -> bytes:
    start, end = outer
    if body[start : start + 1] == b"[":
        if keys[0] != "-1" and keys[0] != str(len(spans)):
            return body  # An index beyond the end, or not an index, names nothing.
        text = _nested(keys[1:], value)
    else:
        text = msgspec.json.encode(keys[0]) + b":" + _nested(keys[1:], value)
    if spans:
        last = max(span.end for span in spans.values())
        return body[:last] + b"," + text + body[last:]
    return body[: start + 1] + text + body[end - 1 :]


def _nested(keys: tuple[str, ...], value: object) -> bytes:
    for key in reversed(keys):
        value = {key: value}
    return msgspec.json.encode(value)


def _cut(body: bytes, spans: list[Span], span: Span) -> bytes:
    place = spans.index(span)
    if place + 1 < len(spans):
        return body[: span.key_start] + body[spans[place + 1].key_start :]
    if place > 0:
        return body[: spans[place - 1].end] + body[span.end :]
    return body[: span.key_start] + body[span.end :]


_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def _outermost(body: bytes) -> tuple[int, int]:
    return len(body) - len(body.lstrip()), len(body.rstrip())


def _spans(body: bytes, start: int, end: int) -> dict[str, Span]:
    """Return where each member of the object (or item of the array) at `body[start:end]` lies, in order.

    msgspec walks over the values and tells their lengths; only keys, colons and spaces are read here, so the cost grows
    with the number of members, not with their size.
    """
    text = memoryview(body)[start:end]
    is_array = body[start : start + 1] == b"["
    sizes: list[tuple[str, int]]
    if is_array:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
        sizes = [(str(index), len(memoryview(raw))) for index, raw in enumerate(items)]
    else:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        sizes = [(key, len(memoryview(raw))) for key, raw in members.items()]
    spans: dict[str, Span] = {}
    position = start + 1
    for key, size in sizes:
        position = key_start = _after_space(body, position)
        if not is_array:
            token = _STRING.match(body, position)
            if token is None or msgspec.json.decode(token[0]) != key:
                raise _twice()
            position = _after_space(body, _after_space(body, token.end()) + 1)
        spans[key] = Span(key_start, position, position + size)
        position = _after_space(body, position + size)
        if body[position : position + 1] not in (b",", b"}", b"]"):
            raise _twice()
        position += 1
    if sizes and position != end:
        raise _twice()
    return spans


def _after_space(body: bytes, position: int) -> int:
    found = _SPACE.match(body, position)
    return found.end() if found else position


def _twice() -> BadRequest:
    # The decoder keeps the last of two equal keys, so what it reports and what is written differ.
    return BadRequest("an object that has to be edited for this model has the same key twice")


def _with_model_part(body: bytes, content_type: bytes, name: str) -> bytes:
    for part in parts_of(body, boundary_of(content_type)):
        if part.name == "model" and not part.is_file:
            return body[: part.start] + name.encode() + body[part.end :]
    return body
