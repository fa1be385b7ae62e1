"""Which process stands for Ray, so that its end is seen, and Ray ends with us, however we end?

    python -I -S ray_keeper.py COMMAND...

Runs `ray start`, whose processes stay, and ends when one of them does, with all the others; so it does at SIGTERM, and
when its parent dies, for which it has the kernel send it that (prctl(2) PR_SET_PDEATHSIG). Whatever comes of the
command and loses its parent becomes a child of this process (PR_SET_CHILD_SUBREAPER): without children nothing is left,
and what is no descendant, as another Ray is not, is never touched.

`ray start --block` does the first of these and takes 107 MB, for it has all of Ray in it. This is a file
of its own, imports nothing of ours, and takes 12 MB.
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

SIGNAL_AT_PARENTS_DEATH: Final = 1
BECOME_SUBREAPER: Final = 36
"""prctl(2)."""
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
HEARD: Final = ENDING | {signal.SIGCHLD}
"""Blocked, and waited for: none of them comes between two steps of the end."""
GRACE_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.05


def children() -> dict[int, str]:
    """Return the processes whose parent this one is, with their names, zombies too."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            if int(rest.split()[1]) == os.getpid():
                found[int(folder.name)] = name.partition("(")[2]
    return found


def end_all() -> None:
    """End every child, and whoever becomes one by that; each has until the grace is over."""
    latest = time.monotonic() + GRACE_SECONDS
    asked: set[int] = set()
    while left := children():
        is_over = time.monotonic() > latest
        for pid in left if is_over else left.keys() - asked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL if is_over else signal.SIGTERM)
        asked.update(left)
        reaped()
        signal.sigtimedwait({signal.SIGCHLD}, LOOK_SECONDS)


def reaped() -> list[int]:
    """Let go of the children that have ended; return which these were."""
    found: list[int] = []
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            found.append(pid)
    return found


def keep(command: list[str]) -> int:
    """Return, with what to exit with, when what the command has started ends, or this process is to end."""
    started = os.posix_spawn(command[0], command, os.environ, setsigmask=())
    ended = 0
    while not ended:
        if signal.sigwait(HEARD) in ENDING:
            return 0
        ended, how = os.waitpid(started, os.WNOHANG)
    status, kept = os.waitstatus_to_exitcode(how), children()
    if status != 0 or not kept:
        return status if status > 0 else 1
    while not (gone := kept.keys() & reaped()):
        if signal.sigwait(HEARD) in ENDING:
            return 0
    sys.stderr.write(f"{', '.join(kept[pid] for pid in gone)} has ended\n")
    return 1


def main(command: list[str]) -> int:
    """Keep what a command starts; return what to exit with."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    control = ctypes.CDLL(None, use_errno=True).prctl
    control(BECOME_SUBREAPER, 1, 0, 0, 0)
    # Whoever has started us may have had the kernel send SIGKILL, at which Ray would be left behind.
    control(SIGNAL_AT_PARENTS_DEATH, int(signal.SIGTERM), 0, 0, 0)
    try:
        return keep(command)
    finally:
        end_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
