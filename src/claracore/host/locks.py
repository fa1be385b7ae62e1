"""How do processes exclude each other, so that the kernel frees the lock of a dead one?

flock(2) on POSIX, LockFileEx by way of msvcrt on Windows. A lock belongs to the open file: closing it, or the death of
the process in whatever way, frees it. A process that is merely frozen (SIGSTOP, a debugger) keeps it: who must not
wait for that says for how long it will.

A folder is locked by its own descriptor: a lock file would lie about among a user's configuration files.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


ASK_AGAIN_SECONDS = 0.001


class FileLock:
    """An exclusive lock on a file, which is made if there is none, or on a folder; held until `close`."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Open the file, or have a lock that another process shares with us, as an open file: both must close it."""
        self.path = path
        if descriptor is not None:
            self._descriptor = descriptor
            return
        # Not inherited by children: os.open says O_CLOEXEC.
        if not path.is_dir():
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        elif sys.platform == "win32":  # which opens no folders
            self._descriptor = os.open(path / ".claracore.lock", os.O_RDWR | os.O_CREAT, 0o600)
        else:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def fileno(self) -> int:
        """Return the number of the open file to which the lock belongs."""
        return self._descriptor

    def acquire(self, patience_seconds: float | None = None) -> bool:
        """Wait for the lock, for ever (None) or as long as the patience lasts; return whether we have it."""
        if patience_seconds is None:
            while not _take(self._descriptor, wait=True):
                pass  # LK_LOCK gives up after ten attempts, a second apart
            return True
        deadline = time.monotonic() + patience_seconds
        while not _take(self._descriptor, wait=False):  # asked again and again: flock(2) knows no time limit
            if time.monotonic() >= deadline:
                return False
            time.sleep(ASK_AGAIN_SECONDS)
        return True

    def close(self) -> None:
        """Free the lock; the file stays."""
        os.close(self._descriptor)


def _take(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file; return False when another has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if wait and sys.platform != "win32":
            raise  # this file system knows no locks
        return False
    return True


@contextlib.contextmanager
def locked(path: Path, *, patience_seconds: float | None = None) -> Iterator[bool]:
    """Hold the lock on a file or a folder for the length of a block, which gets whether it has it.

    It always has, unless there is an end to the patience.
    """
    lock = FileLock(path)
    try:
        yield lock.acquire(patience_seconds)
    finally:
        lock.close()
