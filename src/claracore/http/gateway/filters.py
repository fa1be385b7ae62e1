r"""What does a request body look like after the filters of its model?

Pure edits of bytes, in the order `useModelName`, `stripParams`, `setParams`, `setParamsByID`. What is not edited keeps
its bytes: order, spaces, number formats. A key with dots is a path (`a.b`, `messages.0.name`); `\.` is a dot in a key.
A value replaces what was there, objects are not merged. In a multipart body only `model` is rewritten, all other parts
stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from claracore.http.gateway.asked import with_model_in_query
from claracore.http.wire.json_spans import DuplicateKey, outermost, span_of, spans_of
from claracore.http.wire.multipart import boundary_of, fields_of


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
        is_form = kind.startswith(b"application/x-www-form-urlencoded") and bool(edits.use_model_name)
        return with_model_in_query(b"?" + body, edits.use_model_name)[1:] if is_form else body
    try:
        members = Members(body)
    except DuplicateKey:
        if edits.strip_params or edits.set_params:
            raise
        return _with_model_alone(body, edits.use_model_name)
    if edits.use_model_name:
        members.put(("model",), edits.use_model_name)
    for path in edits.strip_params:
        members.drop(keys_of(path))
    for path, value in edits.set_params.items():
        members.put(keys_of(path), value)
    return members.text()


@lru_cache(maxsize=1024)
def keys_of(path: str) -> tuple[str, ...]:
    """Split a dotted path into keys."""
    return tuple(re.sub(r"\\(.)", r"\1", key) for key in re.findall(r"((?:[^.\\]|\\.)+)", path)) or (path,)


def with_value(body: bytes, keys: tuple[str, ...], value: object) -> bytes:
    """Return `body` with the value at a path replaced or, with the objects that lead to it, added."""
    members = Members(body)
    members.put(keys, value)
    return members.text()


def without(body: bytes, keys: tuple[str, ...]) -> bytes:
    """Return `body` without the member at a path, and without the comma that separated it."""
    members = Members(body)
    members.drop(keys)
    return members.text()


class Members:
    """The members of a JSON object, or the items of an array, each with its own bytes. Raises `BadRequest`."""

    def __init__(self, body: bytes) -> None:
        start, end = outermost(body)
        spans = spans_of(body, start, end)
        self._is_array = body[start : start + 1] == b"["
        self._open, self._lead, self._tail, self._close = body[: start + 1], b"", b"", body[end - 1 :]
        self._members: dict[str, _Member] = {}
        previous: _Member | None = None
        behind = start + 1
        for key, span in spans.items():
            gap = body[behind : span.key_start]
            if previous is None:
                self._lead = gap
            else:
                previous.behind = gap
            previous = self._members[key] = _Member(body[span.key_start : span.start], body[span.start : span.end])
            behind = span.end
        self._tail = body[behind : end - 1]

    def text(self) -> bytes:
        """Return the whole text."""
        parts = [self._open, self._lead]
        for member in self._members.values():
            parts += (member.name, member.value, member.behind)
        return b"".join((*parts, self._tail, self._close))

    def put(self, keys: tuple[str, ...], value: object) -> None:
        """Replace the value at a path or, with the objects that lead to it, add it."""
        key, *rest = keys
        member = self._members.get(key)
        if member is None:
            self._add(key, _nested(rest, value))
        elif rest and member.value[:1] in (b"{", b"["):
            member.value = with_value(member.value, tuple(rest), value)
        else:
            member.value = _nested(rest, value)

    def drop(self, keys: tuple[str, ...]) -> None:
        """Remove the member at a path, and the comma that separated it."""
        key, *rest = keys
        member = self._members.get(key)
        if member is None:
            return
        if not rest:
            last = next(reversed(self._members)) == key
            del self._members[key]
            if last and self._members:
                self._members[next(reversed(self._members))].behind = b""
        elif member.value[:1] in (b"{", b"["):
            member.value = without(member.value, tuple(rest))

    def _add(self, key: str, value: bytes) -> None:
        if self._is_array and key not in ("-1", str(len(self._members))):
            return  # An index beyond the end, or not an index, names nothing.
        if self._members:
            self._members[next(reversed(self._members))].behind = b","
        else:
            self._lead = self._tail = b""
        self._members[key] = _Member(b"" if self._is_array else msgspec.json.encode(key) + b":", value)


@dataclass(slots=True)
class _Member:
    """One member: its key with the colon, its value, and what separates it from the next one."""

    name: bytes
    value: bytes
    behind: bytes = b""


def _nested(keys: Iterable[str], value: object) -> bytes:
    for key in reversed(list(keys)):
        value = {key: value}
    return msgspec.json.encode(value)


def _with_model_alone(body: bytes, name: str) -> bytes:
    """Return a body in which another key than `model` is there twice, with another `model`."""
    value = msgspec.json.encode(name)
    span = span_of(body, "model")
    if span is not None:
        return body[: span.start] + value + body[span.end :]
    opened = body.index(b"{") + 1
    return body[:opened] + b'"model":' + value + b"," + body[opened:]


def _with_model_part(body: bytes, content_type: bytes, name: str) -> bytes:
    for part in fields_of(body, boundary_of(content_type)):
        if part.name == "model" and not part.is_file:
            return body[: part.start] + name.encode() + body[part.end :]
    return body
