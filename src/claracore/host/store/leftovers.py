"""What did processes leave in the state directory that died while they wrote a file?

Each file there is written beside its place and renamed; older versions wrote to `NAME.PID.tmp` or `ports.PID`. A
process that is killed in between leaves that behind; some hold a secret. Whoever starts next removes what has a dead
writer, or none that is known and has not been touched for an hour.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import psutil

LEFTOVER = re.compile(r"ports\.(?P<ports>[0-9]{1,9})|.+\.(?P<other>[0-9]{1,9})\.tmp|\..+\.[0-9a-f]{12}\.tmp")
ABANDONED_SECONDS = 3600.0


def sweep(folder: Path) -> tuple[str, ...]:
    """Remove unfinished files that nobody is at any more; return their names. What cannot be removed stays."""
    removed = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            match = LEFTOVER.fullmatch(path.name)
            if match is None or not path.is_file() or not _is_abandoned(path, match["ports"] or match["other"]):
                continue
            with suppress(OSError):
                path.unlink()
                removed.append(path.name)
    return tuple(removed)


def _is_abandoned(path: Path, pid: str | None) -> bool:
    if pid is not None:
        return not psutil.pid_exists(int(pid))
    return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
