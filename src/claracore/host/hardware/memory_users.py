"""Which processes are there at all, and what do they have of RAM? Slow: asked when memory has run out."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from claracore.host.hardware.process_memory import process_memory


def all_pids() -> list[int]:
    """Return every process that can be seen."""
    return psutil.pids()


def ram_users(pids: Iterable[int]) -> dict[int, int]:
    """Return the bytes of RAM that each process has, without pages of files; those that cannot be read are left out."""
    found = ((pid, process_memory(pid, quick=True)) for pid in pids)
    return {pid: taken.own for pid, taken in found if taken is not None and taken.own}


def process_name(pid: int) -> str:
    """Return what a process is called; its number where that cannot be read (it is another system's, or gone)."""
    try:
        return psutil.Process(pid).name() or f"process {pid}"
    except psutil.Error:
        return f"process {pid}"
