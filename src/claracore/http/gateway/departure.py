"""Is a client read, and has it gone while it is not?

While an upload waits for its model nothing is read, so the end of the connection stands unread behind the data. Linux
tells it apart from data (EPOLLRDHUP, epoll_ctl(2)); elsewhere it is noticed when the model is ready. What cannot be
noticed anywhere is the end of an upload that does not fit into the kernel's buffers: it has not been sent yet.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable


class Departure:
    """Calls `on_gone` once when the peer of a socket has ended its side; `close` ends the watch."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fileno: int, on_gone: Callable[[], None]) -> None:
        self._loop = loop
        self._on_gone = on_gone
        if sys.platform == "linux":
            self._poll = select.epoll()
            self._poll.register(fileno, select.EPOLLRDHUP)
            loop.add_reader(self._poll.fileno(), self._gone)

    def close(self) -> None:
        """Stop watching; `on_gone` is not called any more. Again does nothing."""
        if sys.platform == "linux" and not self._poll.closed:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()

    def _gone(self) -> None:
        self.close()
        self._on_gone()


class Reading:
    """Whether a transport is read; while it is not, its peer's departure may be watched for."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.paused = False
        self._transport = transport
        self._departure: Departure | None = None

    def pause(self) -> None:
        """Have the transport read nothing until `resume`."""
        if not self.paused:
            self.paused = True
            self._transport.pause_reading()

    def watch_departure(self) -> None:
        """While nothing is read, abort the transport when its peer leaves."""
        socket = self._transport.get_extra_info("socket")
        if self.paused and self._departure is None and socket is not None:
            self._departure = Departure(asyncio.get_running_loop(), socket.fileno(), self._transport.abort)

    def resume(self) -> None:
        """Have the transport read again, and watch for the departure no more."""
        self.stop_watching()
        if self.paused:
            self.paused = False
            self._transport.resume_reading()

    def stop_watching(self) -> None:
        """Let go of what watches for the departure."""
        if self._departure is not None:
            self._departure.close()
            self._departure = None
