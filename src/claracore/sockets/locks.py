"""How do processes exclude each other, so that the kernel frees the lock of a dead one?

flock(2) on POSIX, LockFileEx by way of msvcrt on Windows. A lock belongs to the open file: closing it, or the death of
the process in whatever way, frees it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock on a file, held until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Not inherited by children: os.open says O_CLOEXEC.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self) -> None:
        """Wait for the lock."""
        if sys.platform == "win32":
            # LK_LOCK gives up after ten attempts, a second apart.
            while True:
                with contextlib.suppress(OSError):
                    msvcrt.locking(self._descriptor, msvcrt.LK_LOCK, 1)
                    return
        else:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Free the lock; the file stays."""
        os.close(self._descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file for the length of a block."""
    lock = FileLock(path)
    try:
        lock.acquire()
        yield
    finally:
        lock.close()
