"""Where is a request's body of many megabytes kept while its model is not known?

In a mapping of its own, in large pages where the system has them: a body of 20 MB costs ten page faults then and not
5,120 (1.6 ms and not 11 on a virtual machine), no piece is copied twice, and all of it goes back when it has been sent.
"""

from __future__ import annotations

import contextlib
import mmap
import sys

Body = bytes | memoryview
"""The bytes of a body: a piece as it came, or a part of a buffer."""


def new_buffer(size: int) -> memoryview:
    """Return a buffer of `size` bytes, all zero; its memory goes back with the last reference to it.

    Raises OSError or MemoryError when the system has not so much to promise.
    """
    if sys.platform == "win32":
        return memoryview(bytearray(size))
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a kernel without large pages
            area.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(area)
