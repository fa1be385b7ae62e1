"""How often is garbage looked for once everything has started, and when does the C library give memory back?"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_M_MMAP_THRESHOLD = -3
"""<malloc.h>"""


def tidy() -> None:
    """Let garbage collections pass over what start-up has made, and come less often; give back what it has used.

    A request makes next to no cycles, and what it makes is gone with it; looking for them cost up to 4 % of a request.
    What start-up has freed glibc would keep: 4 MB. So it would with bodies of many megabytes: it takes the size of one
    that was freed for a reason to have the next in the heap (mallopt(3), M_MMAP_THRESHOLD), unless it is told a size.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 5, 5)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 19)
            libc.malloc_trim(0)
