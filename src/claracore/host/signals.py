"""How do SIGINT and SIGTERM reach the event loop?"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType


def listen_to_signals(loop: asyncio.AbstractEventLoop, signalled: Callable[[], None]) -> None:
    """Have SIGINT and SIGTERM call `signalled` in the loop; when it is closed they do nothing: the process is ending.

    Not by the loop's own add_signal_handler: when it is removed, and it is when the loop is closed, SIGINT is Python's
    again, and the next of many is a traceback.
    """

    def received(number: int, _frame: FrameType | None) -> None:
        try:
            loop.call_soon_threadsafe(signalled)
        except RuntimeError:
            signal.signal(number, signal.SIG_IGN)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, received)
