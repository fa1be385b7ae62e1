"""Which answers go on until they are ended, and who ends them?

A stream of events or of a log has no end of its own: it ends when ClaraCore stops, when the keys that count are others,
or when its own key's time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from claracore.http.access.keys import Grant

LONGEST_SECONDS = 7 * 86_400.0
"""With a key that ends: timers do not reach for years."""


class Stream(Protocol):
    """An answer without an end of its own."""

    def end(self) -> None:
        """Send what has come, and then stop."""


class OpenStreams:
    """The streams that are open now."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._closed = False

    @contextmanager
    def holding(self, stream: Stream, grant: Grant | None) -> Iterator[None]:
        """Count a stream as open for the length of a block; it ends with the time of its holder's key."""
        timer = None
        if grant is not None and grant.expires_at is not None:
            left = min(grant.expires_at - time.time(), LONGEST_SECONDS)
            timer = asyncio.get_running_loop().call_later(max(0.0, left), stream.end)
        self._streams.add(stream)
        if self._closed:
            stream.end()
        try:
            yield
        finally:
            self._streams.discard(stream)
            if timer is not None:
                timer.cancel()

    def end_all(self) -> None:
        """End every stream. A client that comes again is asked for its key."""
        for stream in list(self._streams):
            stream.end()

    def close(self) -> None:
        """End every stream, and from now on each that begins: ClaraCore stops, and waits for answers under way."""
        self._closed = True
        self.end_all()
