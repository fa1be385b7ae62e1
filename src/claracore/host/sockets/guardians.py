"""Which processes besides us are the parents of our models' servers?

None, until another process has handed servers over to us (`host.upgrade`): it stays their parent, and what loses its
parent below it comes to it.
"""

from __future__ import annotations

import os

_guardians: set[int] = set()


def note_guardian(pid: int) -> None:
    """Note that a process is the parent of servers that are ours now."""
    _guardians.add(pid)


def forget_guardian(pid: int) -> None:
    """Note that it is there no more."""
    _guardians.discard(pid)


def parents() -> tuple[int, ...]:
    """Return ourselves, and who else is the parent of servers of ours."""
    return (os.getpid(), *_guardians)
