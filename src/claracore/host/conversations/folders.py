"""Where are the files of conversations, and what has a ClaraCore left there that was killed?

In memory: a folder on tmpfs that belongs to one process of ClaraCore, which holds a lock on it; without a holder it is
of a dead one and goes. On disk: a folder of the state folder for each configuration; one process at a time has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from claracore.host.disk import private_folder
from claracore.host.locks import FileLock
from claracore.host.state import make_private, runtime_folder

TMPFS: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it, which is looked at before it is used
NAME: Final = "conversations"
LOCK: Final = ".lock"


class HeldFolder:
    """A folder that only this process writes to, until `close`."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    def close(self, *, remove: bool) -> None:
        """Let it go, with all that is in it or without."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def memory_base() -> Path:
    """Return the folder on tmpfs for all of this user's, by name. Raises OSError when there is no place."""
    if TMPFS.is_dir() and os.access(TMPFS, os.W_OK | os.X_OK):
        return TMPFS / f"claracore-{os.getuid() if hasattr(os, 'getuid') else 0}"
    return runtime_folder()


def in_memory() -> HeldFolder:
    """Make the folder of this process, after those of dead ones have gone. Raises OSError."""
    base = memory_base()
    make_private(base)
    folder = base / NAME
    make_private(folder)
    sweep(folder)
    mine = folder / str(os.getpid())
    return _held(mine)


def sweep_memory() -> None:
    """Remove what dead processes have left in memory."""
    with contextlib.suppress(OSError):
        sweep(memory_base() / NAME)


def on_disk(state_dir: Path, key: str) -> HeldFolder:
    """Take the folder of a configuration, by its key: any text. Raises OSError, also when another has it."""
    private_folder(state_dir / NAME)
    return _held(state_dir / NAME / hashlib.sha256(key.encode()).hexdigest()[:16])


def sweep(folder: Path) -> None:
    """Remove the folders that nobody holds."""
    for dead in _folders(folder):
        with contextlib.suppress(OSError):
            lock = FileLock(dead / LOCK)
            if lock.acquire(0.0):
                shutil.rmtree(dead, ignore_errors=True)
            lock.close()


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _held(path: Path) -> HeldFolder:
    make_private(path)
    lock = FileLock(path / LOCK)
    if not lock.acquire(0.0):
        lock.close()
        raise BlockingIOError(f"another ClaraCore has {path}")
    return HeldFolder(path, lock)
