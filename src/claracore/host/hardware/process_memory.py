"""How much RAM does a process have, and of what kind?

Linux: /proc/PID/smaps_rollup counts what is shared with others in parts (PSS), a millisecond for each 10 GB; where that
may not be read (another user's process), and for a quick look, /proc/PID/status, 20 us. Pages of files count whole in
both: whoever shares them may end first. macOS: its own footprint.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import psutil

from claracore.host.hardware.tree import Tree

RUSAGE_INFO_V0 = 0
RUSAGE_BYTES = 512
"""More than rusage_info_v0 has."""
RESIDENT_AT, FOOTPRINT_AT = 8, 9
"""Where ri_resident_size and ri_phys_footprint stand, in words of 8 bytes (sys/resource.h): behind a uuid and 6."""
ROLLUP = ("Pss_Anon", "Pss_Shmem", "SwapPss")
STATUS = ("RssAnon", "RssShmem", "VmSwap")
MAPPED = "RssFile"


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes of RAM."""

    own: int = 0
    """What no file holds: its heap, shared memory, pinned buffers; also what is swapped out."""
    mapped: int = 0
    """Pages of files: of its program, and of the weights that it has mapped."""

    def __add__(self, other: ProcessMemory) -> ProcessMemory:
        return ProcessMemory(self.own + other.own, self.mapped + other.mapped)


def process_memory(pid: int, tree: Tree | None = None, *, quick: bool = False) -> ProcessMemory | None:
    """Return what a process has; None when there is none, or nothing can be read of it. `quick`: shared pages whole."""
    if sys.platform == "darwin" and tree is None:
        return _of_mac(pid)
    tree = tree or Tree()
    status = _table(tree.text(f"/proc/{pid}/status") or "")
    rollup = _table(tree.text(f"/proc/{pid}/smaps_rollup") or "") if not quick else {}
    for table, names in ((rollup, ROLLUP), (status, STATUS)):
        if names[0] in table:
            return ProcessMemory(sum(table.get(name, 0) for name in names), status.get(MAPPED, 0))
    return _portable(pid) if sys.platform != "linux" else None


def _table(text: str) -> dict[str, int]:
    """Parse `Pss_Anon:   155264 kB` lines to bytes."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def _portable(pid: int) -> ProcessMemory | None:
    try:
        info = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    own = int(getattr(info, "private", info.rss))  # Windows: what it has committed
    return ProcessMemory(own, max(0, info.rss - own))


def _of_mac(pid: int) -> ProcessMemory | None:
    """Ask as Activity Monitor does: the footprint has buffers of Metal in it, and no pages of files."""
    words = (ctypes.c_uint64 * (RUSAGE_BYTES // 8))()
    try:
        status = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pid_rusage(pid, RUSAGE_INFO_V0, words)
    except (OSError, AttributeError):
        return _portable(pid)
    if status != 0:
        return _portable(pid)
    own, resident = words[FOOTPRINT_AT], words[RESIDENT_AT]
    return ProcessMemory(own, max(0, resident - own))
