"""Has a client gone whose bytes are not being read?

While an upload waits for its model nothing is read, so the end of the connection stands unread behind the data. Linux
tells it apart from data (EPOLLRDHUP, epoll_ctl(2)); elsewhere it is noticed when the model is ready. What cannot be
noticed anywhere is the end of an upload that does not fit into the kernel's buffers: it has not been sent yet.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
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
        """Watch no more."""
        if sys.platform == "linux" and not self._poll.closed:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()

    def _gone(self) -> None:
        self.close()
        self._on_gone()
