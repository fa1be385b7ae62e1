"""How much memory does a model's server use, with everything it has started?

Linux: /proc, a few files per process (about 0.1 ms); elsewhere psutil, which looks at every process of the machine.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import psutil

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def memory_bytes(pid: int, beside: Collection[int] = ()) -> int | None:
    """Return the resident memory of a process and its descendants; None when there is no such process.

    `beside` are processes that count as well, say those in the container whose client the process is.
    """
    if not Path("/proc/self/statm").exists():
        return _portable(pid)
    own = _resident(pid)
    members = {*family(pid)[1:], *beside} - {pid}
    return None if own is None else own + sum(_resident(member) or 0 for member in members)


def family(pid: int) -> list[int]:
    """Return a process, first, and all its descendants; some may have ended by now."""
    if not Path("/proc/self/statm").exists():
        return _portable_family(pid)
    found, todo = [pid], _children(pid)
    while todo:
        child = todo.pop()
        if child not in found:
            found.append(child)
            todo += _children(child)
    return found


def command_line(pid: int) -> list[str]:
    """Return the words with which a process was started; none when there is no such process."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, OSError):
        return []


def _resident(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        pass  # it has just ended, or the kernel lacks CONFIG_PROC_CHILDREN
    return found


def _portable(pid: int) -> int | None:
    try:
        process = psutil.Process(pid)
        return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])
    except psutil.Error:
        return None


def _portable_family(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]
