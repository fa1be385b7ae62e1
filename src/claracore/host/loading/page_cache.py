"""How much of a file is in memory, and how is more of it read there? Blocking.

Linux and macOS tell by mincore(2). Linux tells only who owns the file or may write it (else it says that all is there),
so nobody else asks. A sample of the pages is asked about: all of them would be a second of work for 60 GB.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from functools import cache
from typing import Any, Final

from claracore.core.units import MIB
from claracore.host.hardware.tree import Tree

if sys.platform != "win32":
    import fcntl

SAMPLES: Final = 1024
"""So many pages are asked about, a microsecond or two each."""
PROT_READ: Final = 1
MAP_SHARED: Final = 1
"""The same on Linux and macOS."""
FAILED: Final = ctypes.c_void_p(-1).value
LEAST_PIECE_BYTES: Final = 128 * 1024
WINDOW_BYTES: Final = 8 * MIB
F_RDADVISE: Final = 44
"""macOS: fcntl(2), with a struct radvisory."""


def cached_share(path: str) -> float | None:
    """Return which part of a file is in memory, 0 to 1; None where that cannot be seen. Takes 2 ms."""
    library = _libc()
    if library is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not found.st_size:
            return 1.0
        if os.geteuid() not in {0, found.st_uid} and not os.access(path, os.W_OK):
            return None
        return _sampled(library, descriptor, found.st_size)
    finally:
        os.close(descriptor)


def _sampled(library: Any, descriptor: int, size: int) -> float | None:  # noqa: ANN401 - a C library has no Python type
    start = library.mmap(None, size, PROT_READ, MAP_SHARED, descriptor, 0)
    if start == FAILED:
        return None
    try:
        pages = -(-size // mmap.PAGESIZE)
        looks = min(pages, SAMPLES)
        seen = ctypes.create_string_buffer(1)
        there = 0
        for look in range(looks):
            at = start + look * pages // looks * mmap.PAGESIZE
            if library.mincore(at, mmap.PAGESIZE, seen) != 0:
                return None
            there += seen.raw[0] & 1
        return there / looks
    finally:
        library.munmap(start, size)


def piece_bytes(device: int, tree: Tree | None = None) -> int:
    """Return how much Linux reads of a file at the most when it is asked once; `device` as stat(2) has it.

    That is the larger of the disk's read-ahead and of what it takes at once (mm/readahead.c).
    """
    tree = tree or Tree()
    number = f"{os.major(device)}:{os.minor(device)}"
    folders = (f"/sys/dev/block/{number}/queue", f"/sys/dev/block/{number}/../queue")
    sizes = [tree.number(f"{folder}/{name}") or 0 for folder in folders for name in ("read_ahead_kb", "max_sectors_kb")]
    sizes.append(tree.number(f"/sys/class/bdi/{number}/read_ahead_kb") or 0)
    return min(WINDOW_BYTES, max(LEAST_PIECE_BYTES, max(sizes) * 1024))


def ask_for(descriptor: int, offset: int, size: int, piece: int) -> None:
    """Have the kernel begin to read a part of an open file, `piece` bytes at a time. Raises OSError."""
    if sys.platform == "linux":
        for at in range(offset, offset + size, piece):
            os.posix_fadvise(descriptor, at, min(piece, offset + size - at), os.POSIX_FADV_WILLNEED)
    elif sys.platform == "darwin":
        fcntl.fcntl(descriptor, F_RDADVISE, struct.pack("qi", offset, size))


def wait_for(descriptor: int, offset: int) -> None:
    """Return when the page at an offset of an open file is there. Raises OSError."""
    os.pread(descriptor, 1, offset)


@cache
def _libc() -> Any:  # noqa: ANN401 - as above; None where there is none of that kind
    if sys.platform not in {"linux", "darwin"}:
        return None
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_longlong),
    )
    library.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return library
