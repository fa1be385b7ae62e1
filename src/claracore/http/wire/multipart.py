"""Which fields does a multipart/form-data body have, and where do they lie in it?

Pure, and by position, so that one field can be replaced while every other byte stays (RFC 7578, RFC 2046 section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_BOUNDARY = re.compile(rb';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition:[ \t]*form-data(;.*)$", re.IGNORECASE | re.MULTILINE)
_PARAMETER = re.compile(rb';\s*([\w*-]+)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;]+))')


class FormField(NamedTuple):
    """One field of a form, `body[start:end]` in the whole body."""

    name: str
    """Empty for a part that names none."""
    is_file: bool
    start: int
    end: int
    body: bytes
    """Its bytes; empty for a file, whose bytes are of no interest here and may be many."""


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a Content-Type names; empty when there is none."""
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]) if found else b""


def fields_of(body: bytes, boundary: bytes) -> Iterator[FormField]:
    """Yield the fields that are complete in `body`, in order; what comes after a malformed part is not read."""
    delimiter = b"--" + boundary
    position = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter)
    if position > 0:
        position += 2
    while position >= 0:
        position += len(delimiter)
        if body[position : position + 2] == b"--":
            return
        head_start = body.find(b"\r\n", position)
        head_end = body.find(b"\r\n\r\n", max(head_start, 0))
        if head_start < 0 or head_end < 0:
            return
        start = head_end + 4
        end = body.find(b"\r\n" + delimiter, start - 2)
        if end < 0:
            return
        end = max(end, start)
        name, is_file = _name_of(body[head_start:head_end])
        yield FormField(name, is_file, start, end, b"" if is_file else body[start:end])
        position = body.find(delimiter, end)


def _name_of(head: bytes) -> tuple[str, bool]:
    """Return the field's name and whether it is a file, from the header lines of its part."""
    found = _DISPOSITION.search(head.replace(b"\r\n", b"\n"))
    if found is None:
        return "", False
    parameters = {
        match[1].lower(): match[2] if match[2] is not None else match[3] for match in _PARAMETER.finditer(found[1])
    }
    name = parameters.get(b"name", b"").replace(b'\\"', b'"').decode("utf-8", "replace")
    return name, b"filename" in parameters or b"filename*" in parameters
