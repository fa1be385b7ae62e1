"""How is exactly one process signalled and waited for, and not another that got its pid?

A pid alone names nobody: it passes on when its process was reaped. Together with the start time it does, for as long as
the machine runs. On Linux a process is held by a pidfd while it is examined and signalled, so that nothing can pass in
between.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from claracore.host.sockets.kernel import process_start

FORCE = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
NO_SESSION = -1


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was seen alive; `start` in the unit of `kernel.process_start`."""

    pid: int
    start: float

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return process_start(self.pid) == self.start

    def __str__(self) -> str:
        import psutil  # noqa: PLC0415 - 20 ms, which verbs that name no process need not wait

        name, user = "", ""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            name, user = process.name(), process.username()
        return f"pid {self.pid} ({name or 'unknown'}, user {user or 'unknown'})"


def seen(pid: int) -> Process | None:
    """Return the process that has this pid now; None when there is none, or only a zombie."""
    start = process_start(pid)
    return Process(pid, start) if start is not None else None


def session_of(pid: int) -> int:
    """Return the session of a process; NO_SESSION when there is no such process, or no such thing as sessions."""
    if hasattr(os, "getsid"):
        with suppress(OSError):
            return os.getsid(pid)
    return NO_SESSION


def send(process: Process, number: signal.Signals) -> bool:
    """Signal exactly this process; False when we may not. Harmless after its end."""
    try:
        if sys.platform != "linux":
            if process.alive:
                os.kill(process.pid, number)
            return True
        descriptor = os.pidfd_open(process.pid)
        try:
            if process.alive:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except PermissionError:
        return False
    except OSError:
        pass  # it has ended
    return True


def wait(process: Process, seconds: float) -> bool:
    """Wait until the process has ended; False when it has not in time. Blocks."""
    seconds = max(0.0, seconds)
    if sys.platform != "linux":
        import psutil  # noqa: PLC0415 - as above

        with suppress(psutil.Error):
            if process.alive:
                _, still = psutil.wait_procs([psutil.Process(process.pid)], timeout=seconds)
                return not still
        return True
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return not process.alive
    try:
        if not process.alive:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)
