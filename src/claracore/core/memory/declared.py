"""What does a configuration say of memory: which devices does it name, and what do they mean on this machine?

`gpu` stands for the first graphics device in what a model takes, and for every one in what is granted or kept free.
Where there is only `unified`, everything that is named lies in it; `unified` is RAM where there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from claracore.core.memory.footprint import RAM, UNIFIED, Footprint, FootprintSource, gpu
from claracore.core.units import GIB, MIB

GPU: Final = "gpu"
DEVICE: Final = re.compile(r"ram|unified|gpu(?:0|[1-9]\d{0,2})?")
EXPECTED_DEVICE: Final = "expected ram, gpu, gpu0, gpu1, ... or unified"
RAM_RESERVE: Final = 2 * GIB
GPU_RESERVE: Final = 500 * MIB


def device_problems(names: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with each of these names that is no device, or the same one as another of them."""
    wrong = {name: EXPECTED_DEVICE for name in names if DEVICE.fullmatch(name) is None}
    if GPU in names and gpu(0) in names:
        wrong[GPU] = "gpu and gpu0 are the same device: keep one of them"
    return wrong


def declared_footprint(memory: Mapping[str, int]) -> Footprint | None:
    """Return what a model takes by its option `memory`; None where it does not say."""
    if not memory:
        return None
    sizes: Counter[str] = Counter()
    for name, size in memory.items():
        sizes[gpu(0) if name == GPU else name] += size
    return Footprint(dict(sizes), FootprintSource.DECLARED)


def placed(footprint: Footprint, devices: Sequence[str]) -> Footprint:
    """Return the footprint by the names of the devices that there are; bytes on others stay under their own names."""
    sizes: Counter[str] = Counter()
    for name, size in footprint.by_device.items():
        sizes[_place(name, devices)] += size
    return Footprint(dict(sizes), footprint.source)


def _place(name: str, devices: Sequence[str]) -> str:
    if name in devices:
        return name
    if UNIFIED in devices:
        return UNIFIED
    return RAM if name == UNIFIED else name


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What is kept free on devices, and granted to models, by the names of a configuration; bytes."""

    reserve: Mapping[str, int] = field(default_factory=dict)
    budget: Mapping[str, int] = field(default_factory=dict)

    def reserved(self, device: str) -> int:
        """Return what is kept free on a device."""
        default = RAM_RESERVE if device in {RAM, UNIFIED} else GPU_RESERVE
        return _said_of(device, self.reserve, default)

    def granted(self, device: str, total: int) -> int:
        """Return what models may use of a device of this size together."""
        return min(total, _said_of(device, self.budget, total))


def _said_of(device: str, sizes: Mapping[str, int], default: int) -> int:
    general = {UNIFIED: RAM, RAM: UNIFIED}.get(device, GPU)
    return sizes.get(device, sizes.get(general, default))
