"""How much memory do conversations take that are kept in RAM, and how much may they?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from claracore.core.memory.footprint import RAM, UNIFIED, Footprint

if TYPE_CHECKING:
    from claracore.host.hardware.memory_devices import DeviceUse


KeptBytes = Callable[[int], int]
"""How many bytes are kept, after the oldest have gone that are over so many; it may block."""


def nothing_kept(_most: int) -> int:
    """Return that there is nothing."""
    return 0


def kept_beside(use: DeviceUse, ours: int, reserved: int, models: Iterable[Footprint], kept_bytes: KeptBytes) -> int:
    """Return how many bytes of a device are kept conversations', for which no model is ever refused.

    They are no other program's: what others use more than before is taken for memory that is to come back.
    """
    if use.id not in {RAM, UNIFIED}:
        return 0
    kept = kept_bytes(use.total)
    largest = max((model.on(use.id) for model in models), default=0)
    most = use.total - reserved - max(0, use.used - ours - kept) - largest
    return kept_bytes(max(0, most))
