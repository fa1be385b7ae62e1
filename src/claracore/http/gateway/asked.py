"""Which model does a request ask for, and does it want a stream?

Pure: the body's bytes (or the query) -> `Asked`. JSON is decoded partially: a body of 20 MB is walked over, never
turned into objects. On purpose: a `model` that is no text is an error, a number too, which the model server could read
in another way; `model` given twice is one for the same reason; escapes are decoded. JSON is recognised by its first
byte, because `curl -d` labels it as a form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, quote, unquote_to_bytes

import msgspec

from claracore.errors import BadRequest
from claracore.http.wire.buffer import Body
from claracore.http.wire.json_spans import JSON_STRING, DuplicateKey, Span, outermost, spans_of
from claracore.http.wire.multipart import FormField, boundary_of, fields_of


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for; `stream` is False when it could not be seen."""

    model: str
    """Empty when it names none."""
    stream: bool


class _Members(msgspec.Struct):
    model: str | None = None
    stream: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Members).decode
_POSITION = re.compile(r" \(byte (\d+)\)$")
_MAX_FORM_FIELDS = 1000
_LONG_BYTES = 65_536
_BEGINNING_BYTES = 256


def reader_of(content_type: bytes) -> Callable[[Body], Asked]:
    """Return what finds out what a complete body of this type asks for.

    It raises `BadRequest`: invalid JSON, wrong type.
    """
    kind = content_type.lower()
    if kind.startswith(b"multipart/form-data"):
        return partial(_asked_in_multipart, content_type=content_type)
    if kind.startswith(b"application/x-www-form-urlencoded"):
        return _asked_in_form
    return _asked_in_json


def _asked_in_form(collected: Body) -> Asked:
    body = bytes(collected)
    return _asked_in_json(body) if body.lstrip()[:1] == b"{" else asked_in_query(body)


def asked_in_query(query: bytes) -> Asked:
    """Return what a query string (or an urlencoded form) asks for. Raises `BadRequest`."""
    try:
        fields = parse_qs(query.decode(), max_num_fields=_MAX_FORM_FIELDS)
    except ValueError as error:
        raise BadRequest(f"the query or form cannot be read: {error}") from error
    names = fields.get("model", [])
    if len(names) > 1:
        raise _twice()
    return Asked(names[0] if names else "", fields.get("stream", [""])[0] == "true")


def with_model_in_query(path: bytes, name: str) -> bytes:
    """Return a path with query (or a form after a `?`) whose `model` is another; other bytes stay."""
    before, mark, query = path.partition(b"?")
    value = quote(name, safe="").encode()
    return before + mark + b"&".join(_with_value(field, value) for field in query.split(b"&"))


def _with_value(field: bytes, value: bytes) -> bytes:
    """Return a field of a query, with another value if it is `model`, however its letters are written."""
    key, equals, _ = field.partition(b"=")
    return key + equals + value if equals and unquote_to_bytes(key) == b"model" else field


def asked_early(prefix: bytes, content_type: bytes) -> Asked | None:
    """Return what the beginning of a long body asks for, or None when `model` has not come yet.

    Never raises: what is wrong here is found, and named, when the whole body is there.
    """
    if content_type.lower().startswith(b"multipart/form-data"):
        boundary = boundary_of(content_type)
        for part in fields_of(prefix, boundary) if boundary else ():
            if part.name == "model":
                return Asked(_text_of(part), stream=False)
        return None
    return _asked_early_in_json(prefix)


# A top-level member whose value is a string, number, literal, or a container that was seen to its end.
_KEY = re.compile(rf"[\s{{,]*({JSON_STRING})\s*:\s*".encode())
_SCALAR = re.compile(rf"({JSON_STRING}|-?[0-9][0-9.eE+-]*+|true|false|null)\s*[,}}]".encode(), re.DOTALL)
_INSIDE = re.compile(rf"{JSON_STRING}|[\[\]{{}}]".encode(), re.DOTALL)


def _asked_early_in_json(prefix: bytes) -> Asked | None:
    if prefix.lstrip()[:1] != b"{":
        return None
    seen: dict[str, bytes] = {}
    position = 0
    while (key := _KEY.match(prefix, position)) is not None:
        value = _SCALAR.match(prefix, key.end())
        if value is not None:
            seen[_plain(key[1])] = value[1]
            position = value.end(1)
        elif (end := _end_of_container(prefix, key.end())) is not None:
            position = end
        else:
            break
    if not seen.get("model", b"").startswith(b'"'):
        return None
    name = _plain(seen["model"])
    return Asked(name, seen.get("stream") == b"true") if name else None


def _end_of_container(data: bytes, start: int) -> int | None:
    if data[start : start + 1] not in (b"[", b"{"):
        return None
    depth = 0
    for found in _INSIDE.finditer(data, start):
        match found[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth == 0:
                    return found.end()
            case _:
                pass
    return None


def _plain(token: bytes) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return ""


def _asked_in_json(body: Body) -> Asked:
    if not body:
        raise BadRequest("the body is empty: it must be JSON with a model", param="model")
    try:
        if len(body) > _LONG_BYTES:
            members = _members_of_long(body)
        else:
            members = _decode(body)
            # Letters of a second key may be escaped.
            if (short := bytes(body)).count(b'"model"') > 1 or b"\\u006" in short:
                _outer_members(short)
    except msgspec.ValidationError as error:
        text = str(error)
        if "$.model" in text:
            raise BadRequest("'model' must be a string", param="model") from error
        raise BadRequest(f"the body must be a JSON object: {text}") from error
    except msgspec.DecodeError as error:
        raise _invalid_json(body, str(error)) from error
    except UnicodeError as error:
        raise BadRequest("'model' is not valid UTF-8", param="model") from error
    except RecursionError as error:
        raise BadRequest("the JSON body is nested too deeply") from error
    model = members.model
    return Asked(model or "", bytes(members.stream) == b"true")


def _members_of_long(body: Body) -> _Members:
    """Read the members of a long body in one walk: searching it for a second key would cost more than to see every key.

    Raises what `_decode` raises, and `BadRequest` for a second `model`.
    """
    spans = _outer_members(body)
    if spans is None or bytes(body[:_BEGINNING_BYTES]).lstrip()[:1] != b"{":
        return _decode(body)
    found = [bytes(body[span.key_start : span.end]) for key in _Members.__struct_fields__ if (span := spans.get(key))]
    return _decode(b"{%b}" % b",".join(found))


def _invalid_json(body: Body, text: str) -> BadRequest:
    found = _POSITION.search(text)
    where = int(found[1]) if found else len(body)
    before = bytes(body[:where])
    line, column = before.count(b"\n") + 1, where - (before.rfind(b"\n") + 1) + 1
    what = _POSITION.sub("", text.removeprefix("JSON is malformed: ")).lower()
    return BadRequest(f"the body is not valid JSON: {what} at byte {where} (line {line}, column {column})")


def _outer_members(body: Body) -> dict[str, Span] | None:
    """Return where each member of the outermost object lies; None when a key that is not `model` is there twice.

    Raises `BadRequest` when `model` is; it may well be a key or a text further inside.
    """
    try:
        return spans_of(body, *outermost(body))
    except DuplicateKey:
        outer: list[tuple[str, object]] = []

        def note(pairs: list[tuple[str, object]]) -> None:
            outer[:] = pairs  # called for the outermost object last

        # Only keys matter: bytes that are no UTF-8, and numbers of any length, are for the model server to judge.
        json.loads(str(body, "utf-8", "replace"), object_pairs_hook=note, parse_int=str, parse_float=str)
        if [key for key, _ in outer].count("model") > 1:
            raise _twice() from None
        return None


def _asked_in_multipart(collected: Body, content_type: bytes) -> Asked:
    body = bytes(collected)
    boundary = boundary_of(content_type)
    if not boundary:
        raise BadRequest("the multipart body has no boundary in its Content-Type")
    found: dict[str, FormField] = {}
    for part in fields_of(body, boundary):
        if part.name == "model" and "model" in found:
            raise _twice()
        if part.name in ("model", "stream"):
            found[part.name] = part
    model = _text_of(found["model"]) if "model" in found else ""
    stream = _text_of(found["stream"]) if "stream" in found else ""
    return Asked(model or "", stream == "true")


def _text_of(part: FormField) -> str:
    try:
        return part.body.decode().strip()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the field {part.name!r} is not UTF-8", param=part.name) from error


def _twice() -> BadRequest:
    return BadRequest("'model' is given more than once", param="model")
