"""How is what a child prints read, without waiting for it and without its flood stalling the loop?"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from claracore.host.logs.output import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 16_384
"""Read per wake-up of the loop: a child that floods its output gets its share of the loop, not all of it."""

LAST_WORDS_BYTES = 1_048_576
"""Most that is read after the leader's end: a pipe's largest capacity, and a bound if somebody else still writes."""


class Pipe:
    """The reading end of a pipe that a child writes lines to; read in the loop until its end."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_line = on_line
        self._splitter = LineSplitter()
        self._open = True
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        if self._read_some() == b"":
            self.close()

    def _read_some(self) -> bytes | None:
        """Hand on what the pipe holds, at most READ_BYTES; b"" at its end, None when it holds nothing now."""
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return None
        for line in self._splitter.feed(chunk):
            self._on_line(line)
        return chunk

    def pause(self) -> int:
        """Read no more until `resume`; return the open file, from which somebody else may read."""
        if self._open:
            self._loop.remove_reader(self._fd)
        return self._fd if self._open else -1

    def resume(self) -> None:
        """Read again."""
        if self._open:
            self._loop.add_reader(self._fd, self._read)

    def take_last_words(self) -> None:
        """Hand on what is left when the child has ended."""
        for _ in range(LAST_WORDS_BYTES // READ_BYTES):
            if not (self._open and self._read_some()):
                break
        for line in self._splitter.flush():
            self._on_line(line)

    def close(self) -> None:
        """Stop reading and close our end of the pipe. Again does nothing."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
