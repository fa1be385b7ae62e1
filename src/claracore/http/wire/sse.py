"""How are server-sent events written, and how are they read?

Pure, after the HTML standard, section 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html). What only
looks at a passing stream for tokens and times (`AnswerEnds`) does not read it: it searches the last bytes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MEDIA_TYPE = "text/event-stream"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def event(data: bytes, *, name: bytes = b"", id_: int | None = None, colon: bytes = b": ") -> bytes:
    """Return one event: `id`, `event` (where they are given) and a `data` line for each line of the data.

    `colon` stands between a field's name and its value; the space is left away for clients that cannot do with it.
    """
    fields = [] if id_ is None else [b"id%b%d\n" % (colon, id_)]
    if name:
        fields.append(b"event%b%b\n" % (colon, name))
    fields += (b"data%b%b\n" % (colon, line) for line in _LINE_END.split(data))
    return b"".join(fields) + b"\n"


def comment(text: str) -> bytes:
    """Return a comment of one line: readers pass over it, but it shows that the stream is alive."""
    return f": {text}\n\n".encode()


class ServerEvent(NamedTuple):
    """One event of a stream."""

    type: str
    """`message` where the stream names none."""
    data: str
    """The `data` lines, joined by line feeds."""
    id: str
    """The last `id` of the stream so far; empty without one."""


class EventReader:
    """Reads one stream, split at whichever bytes. What is unfinished when it ends is no event."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        """The pieces of a line whose end has not come yet."""
        self._after_cr = False
        """Whether a line feed that comes next belongs to a carriage return that has ended a line already."""
        self._begun = False
        self._type = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Take further bytes of the stream; return the events that they complete, in order."""
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r") if data else False
        head, *more = _LINE_END.split(data)
        self._line.append(head)
        if not more:
            return []
        lines = [b"".join(self._line), *more]
        self._line = [lines.pop()]
        found = (self._take(line) for line in lines)
        return [each for each in found if each is not None]

    def _take(self, line: bytes) -> ServerEvent | None:
        """Take one line without its end; return the event that it completes."""
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._complete()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None  # a comment has the name ''; others, like `retry`, are not for who reads to the end

    def _complete(self) -> ServerEvent | None:
        type_, self._type = self._type or "message", ""
        data, self._data = self._data, []
        return ServerEvent(type_, "\n".join(data), self._id) if data else None
