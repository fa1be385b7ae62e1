"""What has come of a request's body, and does it name a model yet?

Pure. A short body is collected; a long one is looked into while it comes, so that it need not be held when `model`
stands near its beginning.
"""

from __future__ import annotations

import contextlib

from claracore.errors import PayloadTooLarge
from claracore.http.gateway.model import Asked, asked_early
from claracore.http.wire.buffer import Body, new_buffer

# When to look for the model in a body that is still coming. Shorter bodies are simply collected.
_LOOK_AT_BYTES = (65_536, 262_144)
_LARGE_BYTES = 1 << 20


class Collected:
    """The pieces of one body."""

    __slots__ = ("_buffer", "_length", "_looked", "complete", "pieces", "size")

    def __init__(self, first: bytes, *, last: bool, length: int | None = None) -> None:
        self.pieces: list[Body] = [first] if first else []
        self.size = len(first)
        self.complete = last
        self._length = length
        self._looked = 0
        self._buffer: memoryview | None = None

    def add(self, data: bytes, *, last: bool) -> None:
        """Take a piece."""
        self.complete = last
        if not data:
            return
        if self._buffer is None:
            self.pieces.append(data)
        else:
            self._buffer[self.size : self.size + len(data)] = data
            self.pieces = [self._buffer[: self.size + len(data)]]
        self.size += len(data)

    def joined(self) -> Body:
        """Return everything that has come."""
        if len(self.pieces) > 1:
            self.pieces = [b"".join(self.pieces)]
        return self.pieces[0] if self.pieces else b""

    def taken_out(self) -> bytes:
        """Return everything that has come, which is nowhere else then: an edit takes twice its size besides."""
        body = bytes(self.joined())
        self.pieces = []
        self._buffer = None
        return body

    def replace(self, body: bytes) -> None:
        """Use another body: it was edited."""
        self.pieces = [body]
        self.size = len(body)

    def asked_early(self, content_type: bytes, max_bytes: int) -> Asked | None:
        """Return what the incomplete body asks for, or None when that is not known yet. Raises `PayloadTooLarge`."""
        if self.size > max_bytes:
            raise _too_long(max_bytes)
        if self._looked < len(_LOOK_AT_BYTES) and self.size >= _LOOK_AT_BYTES[self._looked]:
            self._looked += 1
            asked = asked_early(bytes(self.joined()), content_type)
            if asked is None and self._looked == len(_LOOK_AT_BYTES):
                if self._length is not None and self._length > max_bytes:
                    raise _too_long(max_bytes)
                self._expect_all()
            return asked
        return None

    def _expect_all(self) -> None:
        """Put a large body into one place from here on: all of it will be needed."""
        if self._length is not None and self._length >= _LARGE_BYTES:
            with contextlib.suppress(OSError, MemoryError):  # in pieces, then, as far as that goes
                self._buffer = new_buffer(self._length)
                self._buffer[: self.size] = self.joined()


def _too_long(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"'model' must come within the first {max_bytes} bytes of the body")


NOTHING = Collected(b"", last=False)
"""The body of a request of which nothing has come, or whose pieces are not needed any more."""
