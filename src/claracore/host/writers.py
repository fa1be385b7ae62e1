"""Is somebody still writing this file?

A download may reserve its space first: the file then has its final size, and its header, long before its last byte. The
kernel knows who has it open for writing and refuses a read lease on it (fcntl(2), F_SETLEASE). Where it cannot tell
(other systems, network drives, files of other users) the answer is no.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time

RECENT_SECONDS = 30.0
"""A file that was not written to for so long is taken as it is: some programs never close what they have written."""


def being_written(path: str, mtime_ns: int) -> bool:
    """Whether the file was written to lately by somebody who has it open for writing."""
    if time.time() - mtime_ns / 1e9 > RECENT_SECONDS:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return _refuses_lease(descriptor)
    finally:
        os.close(descriptor)


def _refuses_lease(descriptor: int) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 - not on Windows

    with contextlib.suppress(OSError):
        # Who opens the file while we have the lease makes the kernel send a signal: this one is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
