"""What has come of a request's body, what memory does it take, and does it name a model yet?

A short body is collected; a long one is looked into while it comes, so that it need not be held when `model` stands
near its beginning. A body that comes in one piece and goes on in the same call takes nothing of the budget.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from claracore.errors import PayloadTooLarge
from claracore.http.gateway.asked import Asked, asked_early
from claracore.http.gateway.budget import PIECE_BYTES
from claracore.http.wire.buffer import Body, new_buffer

if TYPE_CHECKING:
    from claracore.host.activity.captures import Body as CapturedBody
    from claracore.http.gateway.budget import BodyBudget, Share

# When to look for the model in a body that is still coming. Shorter bodies are simply collected.
_LOOK_AT_BYTES = (65_536, 262_144)
_LARGE_BYTES = 1 << 20


class Collected:
    """The pieces of one body."""

    # What most bodies never change stands here, not in the constructor.
    size = 0
    complete = False
    dropped = False
    """Whether the pieces are not here any more: they are on their way, or nobody wants them."""
    _share: Share | None = None
    _looked = 0
    _buffer: memoryview | None = None

    def __init__(self, budget: BodyBudget, length: int | None) -> None:
        self.pieces: list[Body] = []
        self._budget = budget
        self._length = length

    def add(self, data: bytes, *, last: bool) -> None:
        """Take a piece. Raises `ClaraCoreError` when there is no memory for it."""
        if self.size or not last:
            self._take(len(data))
        self.complete = last
        if not data:
            return
        if self._buffer is None:
            self.pieces.append(data)
        else:
            self._buffer[self.size : self.size + len(data)] = data
            self.pieces = [self._buffer[: self.size + len(data)]]
        self.size += len(data)

    def keep(self) -> None:
        """Take memory for a body that came in one piece and cannot go on now. Raises what `add` raises."""
        if self._share is None:
            self._take(self.size)

    def _take(self, size: int) -> None:
        if self._share is None:
            self._share = self._budget.share()
        self._share.take(size + PIECE_BYTES)

    def drop(self) -> None:
        """Let go of the pieces, which may still be on their way: their memory is given back by `give_back`."""
        if not self.dropped:
            self.dropped = True
            self.pieces.clear()
            self._buffer = None

    def give_back(self) -> None:
        """Give the memory back to the budget; once more is harmless."""
        if self._share is not None:
            self._share.give_back()

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

    def put_back(self, body: bytes) -> None:
        """Use a body that was here before, whatever has become of it."""
        self.dropped = False
        self.replace(body)

    def take_for_copy(self) -> None:
        """Take memory for the whole body once more. Raises what `add` raises."""
        self._take(self.size)

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


class UploadCapture:
    """What is kept of a request's body for a person to look at, as long as bodies that must be kept have plenty."""

    def __init__(self, kept: CapturedBody, budget: BodyBudget) -> None:
        self._kept = kept
        self._share = budget.share()

    def add(self, data: bytes) -> None:
        """Keep a piece, or nothing more from here on."""
        kept = self._kept
        if kept.kept < kept.limit and data and not self._share.take_if_idle(len(data) + PIECE_BYTES):
            kept.limit = kept.kept
        kept.add(data)

    def give_back(self) -> None:
        """Give the memory back: captures of requests that are over have a bound of their own."""
        self._share.give_back()


def _too_long(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"'model' must come within the first {max_bytes} bytes of the body")
