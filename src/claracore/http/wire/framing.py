"""Where does an HTTP/1.1 message body end?

Pure: bytes go in, positions come out. Three framings (RFC 9112, section 6): a known length, chunked, and "until the
connection closes". Where a body ends is arithmetic on the bytes that were seen; there is no parser state to reset.
"""

from __future__ import annotations

import re
from functools import lru_cache

MORE = -1
"""What `feed` returns while the body goes on after the bytes that it was given."""

MAX_CHUNK_LINE_BYTES = 4096
MAX_TRAILER_BYTES = 16384

# chunk-size [ chunk-ext ], RFC 9112 section 7.1. Sixteen digits hold any length; more is an attack on integers.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class MalformedBody(ValueError):
    """The bytes are not a chunked body."""


class Sized:
    """A body of a known number of bytes."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes, start: int = 0, pieces: list[bytes] | None = None) -> int:
        """Take `data[start:]`; return the position after the last byte of the body, or `MORE`."""
        available = len(data) - start
        if available < self.left:
            self.left -= available
            if pieces is not None and available:
                pieces.append(data[start:] if start else data)
            return MORE
        end = start + self.left
        self.left = 0
        if pieces is not None and end > start:
            pieces.append(data[start:end])
        return end

    @property
    def between(self) -> bool:
        """Whether something could be inserted here without breaking the framing."""
        return False


class UntilClose:
    """A body that ends when the connection does."""

    __slots__ = ()

    def feed(self, data: bytes, start: int = 0, pieces: list[bytes] | None = None) -> int:
        """Take everything."""
        if pieces is not None and len(data) > start:
            pieces.append(data[start:] if start else data)
        return MORE

    @property
    def between(self) -> bool:
        """Whether something could be inserted here without breaking the framing."""
        return True


class Chunked:
    """A chunked body, checked strictly: CRLF only, hexadecimal sizes only, well-formed trailers only."""

    __slots__ = ("_left", "_line", "_state", "_trailer_bytes")

    def __init__(self) -> None:
        self._state = _SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes, start: int = 0, pieces: list[bytes] | None = None) -> int:
        """Take `data[start:]`; return the position after the last byte of the body (and trailers), or `MORE`.

        Payload bytes are appended to `pieces` when it is given. Raises `MalformedBody`.
        """
        position, length = start, len(data)
        while position < length:
            if self._state is _DATA:
                end = position + self._left
                if end > length:
                    self._left = end - length
                    if pieces is not None:
                        pieces.append(data[position:] if position else data)
                    return MORE
                if pieces is not None:
                    pieces.append(data[position:end])
                if data[end : end + 2] == b"\r\n":  # nearly always, and what follows takes as long as all the rest
                    position, self._state = end + 2, _SIZE
                else:
                    position, self._state = end, _DATA_END
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._keep(data[position:])
                return MORE
            line = self._line + data[position:end]
            self._line = b""
            position = end + 1
            if line[-1:] != b"\r":
                raise MalformedBody("a line of a chunked body does not end with CRLF")
            if self._finished(line[:-1]):
                return position
        return MORE

    @property
    def between(self) -> bool:
        """Whether a whole chunk could be inserted here without breaking the framing."""
        return self._state is _SIZE and not self._line

    def _keep(self, part: bytes) -> None:
        self._line += part
        if self._state is _DATA_END and self._line != b"\r":
            raise MalformedBody("a chunk is longer than its size says")
        if len(self._line) > MAX_CHUNK_LINE_BYTES:
            raise MalformedBody("a line of a chunked body is too long")

    def _finished(self, line: bytes) -> bool:
        """Take one line without its CRLF; return whether the body has ended."""
        if self._state is _SIZE:
            self._left = _chunk_size(line)
            self._state = _DATA if self._left else _TRAILER
        elif self._state is _DATA_END:
            if line:
                raise MalformedBody("a chunk is longer than its size says")
            self._state = _SIZE
        else:
            if not line:
                return True
            self._trailer_bytes += len(line)
            if _TRAILER_LINE.fullmatch(line) is None or self._trailer_bytes > MAX_TRAILER_BYTES:
                raise MalformedBody(f"{line[:40]!r} is not a trailer line, or the trailers are too long")
        return False


@lru_cache(maxsize=1024)  # of 4 KB at the most; lines of one stream are much alike
def _chunk_size(line: bytes) -> int:
    found = _CHUNK_LINE.fullmatch(line)
    if found is None or len(line) > MAX_CHUNK_LINE_BYTES:
        raise MalformedBody(f"{line[:40]!r} is not a chunk size")
    return int(found[1], 16)


_SIZE, _DATA, _DATA_END, _TRAILER = "size", "data", "data end", "trailer"

Framing = Sized | Chunked | UntilClose


def chunk(payload: bytes) -> bytes:
    """Return `payload` as one chunk; it must not be empty, because an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


LAST_CHUNK = b"0\r\n\r\n"
