"""How much have the processes behind a port worked?

Asked when a server says nothing: one that hangs uses no processor, one that computes does. May search all processes:
not for the event loop.
"""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

from claracore.sockets.owner import owner_of


def processor_seconds(port: int, *, host: str = "127.0.0.1") -> float | None:
    """Return what the listener on host:port and the processes of its session have used; None when it is not seen."""
    owner = owner_of(port, host=host)
    if owner is None or owner.pid is None:
        return None
    used = 0.0
    with suppress(OSError, AttributeError):  # it has ended; Windows has no sessions
        session = os.getsid(owner.pid)
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == session:
                    times = process.cpu_times()
                    used += times.user + times.system
    return used
