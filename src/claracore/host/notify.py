"""What does the service manager that runs us hear: ready, reloading, stopping, alive?

systemd's protocol (sd_notify(3)): datagrams to the Unix socket that NOTIFY_SOCKET names, where a leading `@` means an
abstract one. A manager that cannot be reached changes nothing for whoever we serve, so nothing is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping

VARIABLES = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
"""What systemd says to us alone."""


class Notifier:
    """Tells the service manager how we are; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read from the environment where the manager listens, and how often it wants to hear that we are alive."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._alive_seconds = _alive_seconds(environ) if address else None
        """Twice as often as must be; None for never."""
        self._ends = False

    def ready(self, status: str) -> None:
        """Say that requests are accepted; `status` is shown to people."""
        if not self._ends:
            self._tell(f"READY=1\nSTATUS={status}")

    @contextlib.contextmanager
    def reloading(self, status: Callable[[], str]) -> Iterator[None]:
        """Say that the configuration is being read again, and after the block with which `status` that is over."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self.ready(status())

    def stopping(self) -> None:
        """Say that no request is accepted any more."""
        self._ends = True
        self._tell("STOPPING=1\nSTATUS=answers under way come to their end")

    async def be_alive(self) -> None:
        """Say again and again that the event loop turns, if anybody wants to know: who hears nothing starts us anew."""
        while self._alive_seconds is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._alive_seconds)

    def _tell(self, message: str) -> None:
        if self._address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(message.encode(), self._address)


def _alive_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # for another process of this service
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 2e6 if microseconds > 0 else None
