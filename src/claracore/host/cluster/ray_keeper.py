"""Which process stands for Ray, so that its end is seen, and takes little memory for that?

    python -I -S ray_keeper.py COMMAND...

Runs `ray start`, whose processes stay, and ends when one of them does, with all the others. `ray start --block` does
the same and takes 107 MB, for it has all of Ray in it; this is a file of its own, imports nothing of ours, and takes
11 MB. What `ray start` leaves become children of this process (`PR_SET_CHILD_SUBREAPER`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

BECOME_SUBREAPER: Final = 36
"""prctl(2)."""
GRACE_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.05


class Told(BaseException):
    """Somebody wants this process to end."""


def children() -> dict[int, str]:
    """Return the processes whose parent this one is, with their names."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            if int(rest.split()[1]) == os.getpid():
                found[int(folder.name)] = name.partition("(")[2]
    return found


def end_all() -> None:
    """End every child, by force after a grace."""
    latest = time.monotonic() + GRACE_SECONDS
    number = signal.SIGTERM
    while left := children():
        for pid in left:
            with suppress(OSError):
                os.kill(pid, number)
        number = signal.SIGKILL
        while children() and time.monotonic() < latest:
            _reap()
            time.sleep(LOOK_SECONDS)
        _reap()


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(command: list[str]) -> int:
    """Return, with what to exit with, when what the command has started ends. Raises Told."""
    started = os.posix_spawn(command[0], command, os.environ)
    status = os.waitstatus_to_exitcode(os.waitpid(started, 0)[1])
    kept = children()
    if status != 0 or not kept:
        return status if status > 0 else 1
    while (ended := os.wait()[0]) not in kept:
        pass
    sys.stderr.write(f"{kept[ended]} has ended\n")
    return 1


def main(command: list[str]) -> int:
    """Keep what a command starts; return what to exit with."""
    ctypes.CDLL(None, use_errno=True).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)

    def told(_number: int, _frame: object) -> None:
        raise Told

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    try:
        return keep(command)
    except Told:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
