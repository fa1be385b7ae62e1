"""What did this model's server print?

Bytes become lines (`LineSplitter`), lines go into a bounded ring per model (`OutputRing`), and whoever wants to follow
subscribes with a bounded queue of their own: a slow reader loses lines, the server never waits for anybody. Reading the
pipe is the business of `supervisor/pipe`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINE_LIMIT_BYTES = 8_192
"""Longer lines are cut; a model server that prints its whole chat template on one line is the usual cause."""

CUT_MARK = " ...(cut)"


class LineSplitter:
    r"""Turns chunks of bytes into complete lines of text.

    A line ends at `\n` or `\r\n`. A lone `\r` starts the line again, as it does on a terminal, so that of a
    progress bar only the last state is kept. Bytes that are not UTF-8 become U+FFFD. What exceeds the limit is
    dropped, not kept in memory.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._rest = b""
        self._cut = False

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that `chunk` completes, without their ends."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            self._append(piece)
            lines.append(self._take())
        self._append(rest)
        return lines

    def flush(self) -> list[str]:
        """Return the unfinished last line, if there is one."""
        return [self._take()] if self._rest else []

    def _append(self, piece: bytes) -> None:
        joined = self._rest + piece
        ended = b"\r" if joined.endswith(b"\r") else b""  # perhaps one half of \r\n: decided when the next byte is here
        body = joined[: len(joined) - len(ended)]
        restart = body.rfind(b"\r") + 1
        if restart:
            self._cut = False
        visible = body[restart:]
        self._cut = self._cut or len(visible) > self._limit
        self._rest = visible[: self._limit] + ended

    def _take(self) -> str:
        text = self._rest.removesuffix(b"\r").decode("utf-8", "replace") + (CUT_MARK if self._cut else "")
        self._rest, self._cut = b"", False
        return text


class Subscription:
    """The lines of a ring for one reader: an async iterator over a bounded queue, and a context that unsubscribes.

    `dropped` counts the lines that the reader was too slow for.
    """

    def __init__(self, ring: OutputRing, history: list[str], limit: int) -> None:
        """Queue `history`; of more than `limit` lines that wait, the oldest are dropped."""
        self._ring = ring
        self._lines: deque[str] = deque(history, maxlen=limit)
        self._arrived = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def push(self, line: str) -> None:
        """Queue a line; never waits."""
        if len(self._lines) == self._lines.maxlen:
            self.dropped += 1
        self._lines.append(line)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            while self._lines:
                yield self._lines.popleft()
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def bunches(self) -> AsyncIterator[list[str]]:
        """Yield all lines that have come since the last time, together; wait while there are none."""
        while True:
            if self._lines:
                bunch = list(self._lines)
                self._lines.clear()
                yield bunch
            elif self._ended:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def end(self) -> None:
        """Stop the iteration once the lines that have come are read."""
        self._ended = True
        self._arrived.set()

    def close(self) -> None:
        """Unsubscribe from the ring; what is queued can still be read."""
        self._ring.detach(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LineListener(Protocol):
    """Who gets each new line of a ring."""

    def push(self, line: str) -> None:
        """Take a line, without its end; called while the ring appends it, so it must not wait."""


class OutputRing:
    """The last lines of one model's server, bounded by count and by size (characters of text, about bytes)."""

    def __init__(self, *, max_lines: int = 2_000, max_bytes: int = 100_000) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._listeners: set[LineListener] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, line: str) -> None:
        """Keep a line, drop the oldest ones that no longer fit, push it to the listeners."""
        self._lines.append(line)
        self._bytes += len(line) + 1
        while len(self._lines) > self._max_lines or (self._bytes > self._max_bytes and len(self._lines) > 1):
            self._bytes -= len(self._lines.popleft()) + 1
        for listener in self._listeners:
            listener.push(line)

    def tail(self, count: int) -> tuple[str, ...]:
        """Return the last `count` lines, oldest first."""
        return tuple(islice(self._lines, max(len(self._lines) - count, 0), None))

    def subscribe(self, *, history: int = 0, limit: int = 1_000) -> Subscription:
        """Return up to `history` past lines and each new one, of which at most `limit` wait to be read."""
        subscription = Subscription(self, list(self.tail(history)), limit)
        self.attach(subscription)
        return subscription

    def attach(self, listener: LineListener) -> None:
        """Push each line from now on to a listener as well."""
        self._listeners.add(listener)

    def detach(self, listener: LineListener) -> None:
        """Push no more lines to a listener; nothing happens when it is none."""
        self._listeners.discard(listener)
