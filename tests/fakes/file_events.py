"""When does a process touch a file in a folder? As the kernel tells it at once (inotify; Linux)."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

OPENED: Final = 0x20
CREATED: Final = 0x100
EVENT: Final = struct.Struct("iIII")
"""Watch, what, cookie and the length of the name that follows."""


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

    def wait(self, suffix: str, seconds: float) -> bool:
        """Return True when there is one of a file with this suffix, False when there is none in so many seconds."""
        latest = time.monotonic() + seconds
        while (left := latest - time.monotonic()) > 0 and select.select([self._fd], [], [], left)[0]:
            if any(name.endswith(suffix) for name in names(os.read(self._fd, 65_536))):
                return True
        return False


def names(raw: bytes) -> Iterator[str]:
    """Give the name in each event that the kernel tells; empty for the folder itself."""
    while raw:
        _, _, _, length = EVENT.unpack_from(raw)
        yield os.fsdecode(raw[EVENT.size : EVENT.size + length].rstrip(b"\0"))
        raw = raw[EVENT.size + length :]
