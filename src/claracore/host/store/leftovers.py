"""What did processes leave in the state directory that died while they wrote a file?

Each file there is written beside its place and renamed; older versions wrote to `NAME.PID.tmp` or `ports.PID`. A
process that is killed in between leaves that behind; some hold a secret. Whoever starts next removes what has a dead
writer, or none that is known and has not been touched for an hour.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from pathlib import Path

import psutil

from claracore.host.disk import is_temporary
from claracore.host.state import state_problem
from claracore.host.store import files

OF_OLDER_VERSIONS = re.compile(r"ports\.(?P<ports>[0-9]{1,9})|.+\.(?P<other>[0-9]{1,9})\.tmp")
ABANDONED_SECONDS = 3600.0


def sweep_all(config_file: Path | None, state_dir: Path | None) -> None:
    """Remove what was left beside the configuration file and in the state folder; warn when there is none."""
    if config_file is not None:
        files.sweep(config_file)
    if state_dir is None:
        text = "keys, activity, ports and caches are kept in memory, for this run only: %s"
        logging.getLogger("claracore").warning(text, state_problem())
        return
    for folder in (state_dir, state_dir / "downloads"):
        sweep(folder)


def sweep(folder: Path) -> tuple[str, ...]:
    """Remove unfinished files that nobody is writing any more; return their names. What cannot be removed stays."""
    removed = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not path.is_file() or not _is_abandoned(path):
                continue
            with suppress(OSError):
                path.unlink()
                removed.append(path.name)
    return tuple(removed)


def _is_abandoned(path: Path) -> bool:
    """Whether it is an unfinished file whose writer is dead or, where its name tells no writer, has left it alone."""
    match = OF_OLDER_VERSIONS.fullmatch(path.name)
    if match is not None:
        return not psutil.pid_exists(int(match["ports"] or match["other"]))
    return is_temporary(path.name) and time.time() - path.stat().st_mtime > ABANDONED_SECONDS
