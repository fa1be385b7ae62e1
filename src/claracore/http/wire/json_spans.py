"""Where does each member of a JSON object lie in its text?

Pure, and by position, so that one member can be replaced while every other byte stays.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import msgspec

from claracore.errors import BadRequest
from claracore.http.wire.buffer import Body


class DuplicateKey(BadRequest):
    """An object has the same key twice: the decoder keeps the last, so what it reports and what is written differ."""

    def __init__(self) -> None:
        super().__init__("an object that has to be edited for this model has the same key twice")


class Span(NamedTuple):
    """Where a member of an object (or an item of an array) lies: its key, if it has one, and its value."""

    key_start: int
    start: int
    end: int


_SPACES = b" \t\r\n"
_SPACE = re.compile(rb"[ \t\r\n]*+")
JSON_STRING = r'"(?:[^"\\]++|\\.)*+"'
"""A regular expression for a string in JSON, its quotes included."""
_STRING = re.compile(JSON_STRING.encode(), re.DOTALL)
_TOKEN = re.compile(rf"({JSON_STRING})(\s*:\s*)?|[\[\]{{}}]".encode(), re.DOTALL)
_SCALAR = re.compile(rf"{JSON_STRING}|[a-z]+|[-+0-9.eE]+".encode(), re.DOTALL)


def outermost(body: Body) -> tuple[int, int]:
    """Return where the value of a whole JSON text begins and ends."""
    end = len(body)
    while end and body[end - 1] in _SPACES:
        end -= 1
    return _after_space(body, 0), end


def spans_of(body: Body, start: int, end: int) -> dict[str, Span]:
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
        try:
            members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except UnicodeError as error:
            raise BadRequest("a key in the body is not valid UTF-8") from error
        sizes = [(key, len(memoryview(raw))) for key, raw in members.items()]
    spans: dict[str, Span] = {}
    position = start + 1
    for key, size in sizes:
        position = key_start = _after_space(body, position)
        if not is_array:
            token = _STRING.match(body, position)
            if token is None or msgspec.json.decode(token[0]) != key:
                raise DuplicateKey
            position = _after_space(body, _after_space(body, token.end()) + 1)
        spans[key] = Span(key_start, position, position + size)
        position = _after_space(body, position + size)
        if body[position : position + 1] not in (b",", b"}", b"]"):
            raise DuplicateKey
        position += 1
    if sizes and position != end:
        raise DuplicateKey
    return spans


def span_of(body: bytes, key: str) -> Span | None:
    """Return where the first member of the outermost object lies that has this key, whatever others are there twice.

    The body is JSON, and the member's value no container; None when there is no such member.
    """
    depth = 0
    for found in _TOKEN.finditer(body):
        if found[1] is None:
            depth += 1 if found[0] in (b"{", b"[") else -1
        elif depth == 1 and found[2] is not None and json.loads(str(found[1], "utf-8", "replace")) == key:
            value = _SCALAR.match(body, found.end())
            return None if value is None else Span(found.start(), value.start(), value.end())
    return None


def _after_space(body: Body, position: int) -> int:
    found = _SPACE.match(body, position)
    return found.end() if found else position
