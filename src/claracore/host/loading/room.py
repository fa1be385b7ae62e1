"""How many bytes of files may be read into memory without pushing out what runs? Blocking, a millisecond.

What the kernel calls available counts pages of files as free, also those that running models use at this moment: they
are taken off, as is what is kept free for other programs.
"""

from __future__ import annotations

from collections.abc import Iterable

from claracore.host.hardware.probe import probe_memory
from claracore.host.hardware.process_memory import process_memory


def room_for_pages(pids: Iterable[int], reserve_bytes: int) -> int:
    """Return bytes, those that are there already included; `pids` are the processes of the models that run."""
    mapped = sum(taken.mapped for pid in pids if (taken := process_memory(pid, quick=True)) is not None)
    return max(0, probe_memory().available_bytes - mapped - reserve_bytes)
