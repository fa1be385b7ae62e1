"""What did processes leave in the state directory that died while they wrote a file?

Each file there is written beside its place, as `NAME.PID.tmp` (or `ports.PID`), and renamed. A process that is killed
in between leaves that behind; some hold a secret. Whoever starts next removes what has a dead writer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import psutil

LEFTOVER = re.compile(r"ports\.(?P<ports>[0-9]{1,9})|.+\.(?P<other>[0-9]{1,9})\.tmp")


def sweep(folder: Path) -> tuple[str, ...]:
    """Remove unfinished files whose writer is dead; return their names. What cannot be removed stays."""
    removed = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            match = LEFTOVER.fullmatch(path.name)
            if match is None or not path.is_file() or psutil.pid_exists(int(match["ports"] or match["other"])):
                continue
            with suppress(OSError):
                path.unlink()
                removed.append(path.name)
    return tuple(removed)
