"""How much have the processes behind an endpoint worked?

Asked when a server says nothing: one that hangs uses no processor, one that computes does. May search all processes:
not for the event loop.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from claracore.host.sockets.owner import owner_of
from claracore.host.sockets.unix import listener_pid
from claracore.types import Endpoint


def processor_seconds(endpoint: Endpoint) -> float | None:
    """Return what the listener there and the processes of its session have used; None when it is not seen."""
    if endpoint.unix_path is not None:
        pid = listener_pid(Path(endpoint.unix_path))
    else:
        owner = owner_of(endpoint.port, host=endpoint.host)
        pid = owner.pid if owner is not None else None
    if not pid:
        return None
    used = 0.0
    with suppress(OSError, AttributeError):  # it has ended; Windows has no sessions
        session = os.getsid(pid)
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == session:
                    times = process.cpu_times()
                    used += times.user + times.system
    return used
