"""When does a process touch a file in a folder? As the kernel tells it at once (inotify; Linux)."""

from __future__ import annotations

import ctypes
import os
import select
from pathlib import Path
from types import TracebackType
from typing import Final, Self

READ: Final = 0x1
CREATED: Final = 0x100


class FileEvents:
    """Something that was done with files of a folder since this was made."""

    def __init__(self, folder: Path, what: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(folder), what) < 0:
            raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def wait(self, seconds: float) -> bool:
        """Return True when there is a new one, False when there is none in so many seconds."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        os.read(self._fd, 65_536)
        return True
