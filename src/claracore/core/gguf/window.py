"""How do we read a file forward, in bounded pieces, and notice at once when it ends too early?"""

from __future__ import annotations

from typing import BinaryIO, Final

from claracore.core.gguf.errors import HeaderTruncated

WINDOW: Final = 1 << 16
"""Bytes read at a time."""


class Window:
    """A bounded window that moves forward over the stream."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self.buffer = b""
        self.start = 0
        self.at = 0

    @property
    def position(self) -> int:
        """Where the next byte to be read stands in the file."""
        return self.start + self.at

    def need(self, count: int) -> None:
        """Make the next `count` bytes available in `buffer` from `at` on."""
        if self.at + count <= len(self.buffer):
            return
        position = self.start + self.at
        if count < 0 or position + count > self.size:
            raise HeaderTruncated(f"the file ends at byte {self.size}, but {count} bytes are needed at {position}")
        self.refill(count)
        if len(self.buffer) < count:
            raise HeaderTruncated(f"the file shrank while it was read: no bytes at {position + len(self.buffer)}")

    def refill(self, count: int) -> None:
        """Move the window to where we are, with `count` bytes or more, if the file has so many."""
        position = self.start + self.at
        self.stream.seek(position)
        wanted = min(max(count, WINDOW), self.size - position)
        buffer = self.stream.read(wanted)
        while len(buffer) < min(count, wanted):
            more = self.stream.read(wanted - len(buffer))
            if not more:
                break
            buffer += more
        self.buffer, self.start, self.at = buffer, position, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes and go behind them. Raises HeaderTruncated."""
        self.need(count)
        begin = self.at
        self.at = begin + count
        return self.buffer[begin : begin + count]

    def skip(self, count: int) -> None:
        """Go forward without reading; never past the end of the file."""
        if count < 0 or self.position + count > self.size:
            raise HeaderTruncated(f"{count} bytes are to be skipped at {self.position}, but the file has {self.size}")
        self.at += count
        if self.at > len(self.buffer):
            self.jump(self.position)

    def jump(self, position: int) -> None:
        """Go to any position of the file."""
        if self.start <= position <= self.start + len(self.buffer):
            self.at = position - self.start
        else:
            self.buffer, self.start, self.at = b"", position, 0
