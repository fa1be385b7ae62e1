"""Which devices with memory does a machine have, by name, and where among them lies what an estimate counts?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from claracore.core.fit.budget import CONTEXT_BYTES
from claracore.core.fit.machine import Hardware
from claracore.core.fit.memory import Estimate
from claracore.core.fit.places import RAM as IN_RAM
from claracore.core.memory.footprint import RAM, UNIFIED, gpu
from claracore.core.units import MIB

RAM_BESIDE_GPU: Final = "ram beside gpu"
"""Under this name: RAM of a process that computes on a GPU, whose libraries are large."""
GUESSED: Final = {RAM: 64 * MIB, RAM_BESIDE_GPU: 370 * MIB, UNIFIED: 100 * MIB}
"""What a server's process takes beside its buffers, as long as nothing was measured here; see docs/setup.md."""


def device_ids(hardware: Hardware) -> tuple[str, ...]:
    """Return the names of the devices with memory: `ram`, `gpu0`, ..., or only `unified`."""
    if any(card.unified for card in hardware.gpus):
        return (UNIFIED,)
    return (RAM, *(gpu(index) for index in range(len(hardware.gpus))))


def device_at(place: int, hardware: Hardware) -> str:
    """Return the name of the device at a place of an estimate."""
    if any(card.unified for card in hardware.gpus):
        return UNIFIED
    return RAM if place == IN_RAM else gpu(place)


def place_of(device: str) -> int:
    """Return the place of an estimate that a device is."""
    return int(device.removeprefix("gpu")) if device.startswith("gpu") else IN_RAM


def device_words(device: str) -> str:
    """Return what a device is called in sentences: `RAM`, `GPU 0`, `shared memory`."""
    if device.startswith("gpu"):
        return f"GPU {device.removeprefix('gpu')}"
    return "RAM" if device == RAM else "shared memory"


def by_device(estimate: Estimate, hardware: Hardware) -> dict[str, int]:
    """Return the bytes of an estimate by device."""
    sizes: Counter[str] = Counter()
    for row in estimate.rows:
        sizes[device_at(row.place, hardware)] += row.bytes
    return dict(sizes)


@dataclass(frozen=True, slots=True)
class Overheads:
    """Bytes that a server's process takes on a device beside what llama.cpp counts (drivers, libraries, tables)."""

    learnt: Mapping[str, int] = field(default_factory=dict)
    """By device, and RAM_BESIDE_GPU."""

    def of(self, device: str) -> int:
        """Return the bytes on one device that a process uses."""
        return self.learnt.get(device, GUESSED.get(device, CONTEXT_BYTES))

    def on(self, devices: Mapping[str, int]) -> dict[str, int]:
        """Return the bytes on each of the devices on which a model has something; RAM always."""
        used = {name for name, size in devices.items() if size > 0}
        found = {name: self.of(name) for name in used - {RAM}}
        if UNIFIED not in used:
            found[RAM] = self.of(RAM_BESIDE_GPU if found else RAM)
        return found

    def added(self, devices: Mapping[str, int]) -> dict[str, int]:
        """Return what a model takes by device, with what its process takes beside it."""
        return dict(Counter(devices) + Counter(self.on(devices)))
