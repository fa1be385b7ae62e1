"""How many bytes of its weights has a server got that loads them?

What the kernel knows of its processes: pages of files that they have mapped and that are there (`RssFile`), or what
they have read into buffers of their own (`rchar`), whichever is more. Both count a little besides: libraries, the
file's head. Linux only; elsewhere nothing is known. Two small files per process, about 0.1 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MAPPED, READ = "RssFile:", "rchar:"


def bytes_read(pids: Iterable[int]) -> int | None:
    """Return what these processes have got of files; None where that cannot be seen of any."""
    seen = [size for pid in pids if (size := _of_one(pid)) is not None]
    return sum(seen) if seen else None


def _of_one(pid: int) -> int | None:
    mapped, read = _field(pid, "status", MAPPED), _field(pid, "io", READ)
    known = [size for size in (mapped * 1024 if mapped is not None else None, read) if size is not None]
    return max(known, default=None)


def _field(pid: int, file: str, name: str) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # it has ended, or is somebody else's
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
