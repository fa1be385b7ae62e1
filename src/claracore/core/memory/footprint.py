"""How many bytes does a model take on each device, and how is that known?

Devices are named as `GET /api/memory` names them: `ram`, `gpu0`, `gpu1`... in the order in which the engine counts, or
only `unified` where a GPU shares its memory with the processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RAM: Final = "ram"
UNIFIED: Final = "unified"


def gpu(index: int) -> str:
    """Return the name of a GPU's memory."""
    return f"gpu{index}"


class FootprintSource(StrEnum):
    """How a footprint is known, the surest first."""

    DECLARED = "declared"
    """The configuration says it (`memory`)."""
    MEASURED = "measured"
    """Seen at the last load with the same command."""
    ESTIMATED = "estimated"
    """Counted from the command line and the header of the file (`core.fit`)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes per device; a device that is not named holds nothing of it."""

    by_device: Mapping[str, int]
    source: FootprintSource

    def on(self, device: str) -> int:
        """Return the bytes on one device."""
        return self.by_device.get(device, 0)

    @property
    def total(self) -> int:
        """Bytes on all devices together."""
        return sum(self.by_device.values())


UNKNOWN_FOOTPRINT: Final = Footprint({}, FootprintSource.UNKNOWN)


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """One device's memory at one moment, in bytes."""

    id: str
    name: str
    total: int
    budget: int
    """What models may use together: what the configuration grants, else all of it."""
    reserved: int
    """What is kept free for others and for what cannot be counted."""
    other: int
    """What programs use that are no models of ours."""

    @property
    def usable(self) -> int:
        """Bytes that our models may take together at this moment."""
        return max(0, min(self.budget, self.total - self.other - self.reserved))

    def free_beside(self, footprints: Iterable[Footprint]) -> int:
        """Return the bytes that are left of them beside models that take so much."""
        return max(0, self.usable - sum(footprint.on(self.id) for footprint in footprints))
