r"""What does a request body look like after the filters of its model?

Pure edits of bytes, in the order `useModelName`, `stripParams`, `setParams`, `setParamsByID`. What is not edited keeps
its bytes: order, spaces, number formats. A key with dots is a path (`a.b`, `messages.0.name`); `\.` is a dot in a key.
A value replaces what was there, objects are not merged. In a multipart body only `model` is rewritten, all other parts
stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from claracore.gateway.multipart import boundary_of, parts_of
from claracore.gateway.spans import Span, outermost, spans_of


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
    start, end = outermost(body)
    for depth, key in enumerate(keys):
        spans = spans_of(body, start, end)
        span = spans.get(key)
        if span is None:
            return _with_new(body, (start, end), spans, keys[depth:], value)
        if depth == len(keys) - 1 or body[span.start : span.start + 1] not in (b"{", b"["):
            return body[: span.start] + _nested(keys[depth + 1 :], value) + body[span.end :]
        start, end = span.start, span.end
    return body


def without(body: bytes, keys: tuple[str, ...]) -> bytes:
    """Return `body` without the member at a path, and without the comma that separated it."""
    start, end = outermost(body)
    for depth, key in enumerate(keys):
        spans = spans_of(body, start, end)
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


def _with_model_part(body: bytes, content_type: bytes, name: str) -> bytes:
    for part in parts_of(body, boundary_of(content_type)):
        if part.name == "model" and not part.is_file:
            return body[: part.start] + name.encode() + body[part.end :]
    return body
