"""How much of each device's memory is in use at this moment, and how much of that by these processes?

Quick enough to be asked before every start (about 1 ms), and for one device over and over while memory is waited for.
`ram` and `gpu0`, `gpu1`... in the engine's order, or only `unified`; see `core.memory`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from claracore.core.fit.machine import Gpu, Hardware
from claracore.core.memory.devices import device_ids
from claracore.core.memory.footprint import RAM, UNIFIED
from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.drm import DRM, device_folder
from claracore.host.hardware.drm_usage import drm_bytes
from claracore.host.hardware.memory_users import all_pids, ram_users
from claracore.host.hardware.nvidia import load_library
from claracore.host.hardware.nvml import Nvml
from claracore.host.hardware.probe import probe_memory
from claracore.host.hardware.process_memory import process_memory
from claracore.host.hardware.tree import Tree


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """One device at one moment, in bytes."""

    id: str
    name: str
    total: int
    used: int
    """By everybody; without pages of files, which are given back when memory is short."""
    by_process: dict[int, int] | None
    """Of the processes that were asked about, those that have some of it; None where the device does not tell."""


class Card(Protocol):
    """A graphics device, as its driver counts it."""

    def memory(self) -> tuple[int, int] | None:
        """Return the bytes that programs may use, and those in use; None where that cannot be read."""

    def by_process(self, pids: Collection[int]) -> dict[int, int] | None:
        """Return what those of the processes have that have anything; None where that cannot be read."""

    def users(self) -> dict[int, int]:
        """Return what each process has that has anything, by the driver's number of it; slower."""


@dataclass(frozen=True, slots=True)
class NvidiaCard:
    """By NVML."""

    nvml: Nvml
    uuid: str
    tree: Tree

    def memory(self) -> tuple[int, int] | None:
        """Return total and used, without what the driver keeps for itself."""
        return self.nvml.memory(self.uuid)

    def by_process(self, pids: Collection[int]) -> dict[int, int] | None:
        """Return bytes by pid; None as well where the driver may know processes by other numbers than we do."""
        found = self.nvml.by_process(self.uuid)
        ours = {pid: size for pid, size in (found or {}).items() if pid in pids}
        return ours if ours or (found is not None and sees_all_processes(self.tree)) else None

    def users(self) -> dict[int, int]:
        """Return bytes by pid."""
        return self.nvml.by_process(self.uuid) or {}


@dataclass(frozen=True, slots=True)
class DrmCard:
    """By sysfs and fdinfo: AMD, and Intel where its driver tells."""

    tree: Tree
    folder: str
    address: str
    shared: bool

    def memory(self) -> tuple[int, int] | None:
        """Return total and used video memory."""
        tree, folder = self.tree, self.folder
        total, used = (tree.number(f"{folder}/mem_info_vram_{what}") for what in ("total", "used"))
        if total is None or used is None:
            card = folder.removesuffix("/device")
            total, free = (tree.number(f"{card}/lmem_{what}_bytes") for what in ("total", "avail"))
            used = None if total is None or free is None else max(0, total - free)
        return None if total is None or used is None else (total, used)

    def by_process(self, pids: Collection[int]) -> dict[int, int] | None:
        """Return bytes by pid."""
        return drm_bytes(self.tree, pids, self.address, shared=self.shared)

    def users(self) -> dict[int, int]:
        """Return bytes by pid."""
        return drm_bytes(self.tree, all_pids(), self.address, shared=self.shared)


@dataclass(frozen=True, slots=True)
class SilentCard:
    """A device of which only the size is known, if that."""

    total: int | None

    def memory(self) -> tuple[int, int] | None:
        """Return total, and nothing in use."""
        return None if self.total is None else (self.total, 0)

    def by_process(self, _pids: Collection[int]) -> dict[int, int] | None:
        """Return that it cannot be told."""
        return None

    def users(self) -> dict[int, int]:
        """Return nobody."""
        return {}


class MemoryDevices:
    """The devices of one machine; for any thread."""

    def __init__(
        self,
        hardware: Hardware,
        drivers: Sequence[Gpu] = (),
        *,
        tree: Tree | None = None,
        load: Callable[[], CLibrary | None] = load_library,
    ) -> None:
        """`hardware` is the machine as the engine sees it, `drivers` are the cards as their drivers do."""
        self.hardware = hardware
        self.ids = device_ids(hardware)
        self._tree = tree or Tree()
        nvml = Nvml(load)
        matched = match_drivers(hardware.gpus, drivers or hardware.gpus)
        self._cards = tuple(self._card(nvml, gpu, driver) for gpu, driver in zip(hardware.gpus, matched, strict=True))

    @property
    def key(self) -> str:
        """What tells this machine's devices from those of another: what was measured there does not count here."""
        return "; ".join((*self.ids, *(gpu.name for gpu in self.hardware.gpus)))

    @property
    def silent(self) -> frozenset[str]:
        """The devices that do not tell what a process has of them."""
        if UNIFIED in self.ids:
            return frozenset()
        cards = zip(self.ids[1:], self._cards, strict=True)
        return frozenset(device for device, card in cards if card.by_process(()) is None)

    def use(self, device: str, pids: Collection[int] = ()) -> DeviceUse:
        """Look at one device, and what these processes have of it."""
        if device in {RAM, UNIFIED}:
            return self._ram(device, pids)
        index = self.ids.index(device) - 1
        total, used = self._cards[index].memory() or (self.hardware.gpus[index].total_bytes or 0, 0)
        return DeviceUse(device, self.hardware.gpus[index].name, total, used, self._cards[index].by_process(pids))

    def all(self, pids: Collection[int] = ()) -> tuple[DeviceUse, ...]:
        """Look at every device."""
        return tuple(self.use(device, pids) for device in self.ids)

    def users(self, device: str) -> dict[int, int]:
        """Return what each process has of a device, by pid, as far as it can be seen; takes tens of milliseconds."""
        if device not in {RAM, UNIFIED}:
            return self._cards[self.ids.index(device) - 1].users()
        found = ram_users(all_pids())
        for card in self._cards if device == UNIFIED else ():
            for pid, size in card.users().items():
                found[pid] = found.get(pid, 0) + size
        return found

    def _ram(self, device: str, pids: Collection[int]) -> DeviceUse:
        memory = probe_memory()
        found = {pid: taken.own for pid in pids if (taken := process_memory(pid, quick=True)) is not None}
        for card in self._cards if device == UNIFIED else ():
            for pid, size in (card.by_process(pids) or {}).items():
                found[pid] = found.get(pid, 0) + size
        name = self.hardware.gpus[0].name if device == UNIFIED else "RAM"
        return DeviceUse(device, name, memory.total_bytes, max(0, memory.total_bytes - memory.available_bytes), found)

    def _card(self, nvml: Nvml, gpu: Gpu, driver: Gpu | None) -> Card:
        if driver is None:
            return SilentCard(gpu.total_bytes)
        if driver.vendor == "nvidia":
            return NvidiaCard(nvml, driver.address, self._tree)
        folder = device_folder(self._tree, driver.address) if driver.address else None
        if folder is not None and folder.startswith(DRM):
            return DrmCard(self._tree, folder, driver.address, shared=driver.unified)
        return SilentCard(gpu.total_bytes)


def match_drivers(gpus: Sequence[Gpu], drivers: Sequence[Gpu]) -> list[Gpu | None]:
    """Return for each device of the engine the card of a driver that it is: by name, else the next of its maker.

    An engine for CUDA or ROCm counts in the drivers' order; one for Vulkan in its own, and under longer names.
    """
    free = list(drivers)
    found: list[Gpu | None] = []
    for gpu in gpus:
        same = [card for card in free if gpu.vendor in {card.vendor, "unknown"}]
        named = [card for card in same if card.name in gpu.name or gpu.name in card.name]
        card = next(iter(named or same), None)
        if card is not None:
            free.remove(card)
        found.append(card)
    return found


def sees_all_processes(tree: Tree) -> bool:
    """Whether processes have the numbers that the kernel gives them: not in a container, where there is no kthreadd."""
    return sys.platform != "linux" or tree.text("/proc/2/comm") == "kthreadd"
