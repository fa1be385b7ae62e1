"""How much memory do other programs use on this machine, so that models are not planned into it?

In use, less what the models of all ClaraCores of this user have. It is remembered in steps in the state folder, because
it varies from minute to minute: a set-up that is made twice in a row should be the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from claracore.core.fit.budget import UsedByOthers
from claracore.core.fit.machine import Hardware
from claracore.core.memory.devices import device_ids
from claracore.core.memory.footprint import UNIFIED
from claracore.core.units import GIB, gib
from claracore.host.hardware.memory_devices import DeviceUse, MemoryDevices
from claracore.host.hardware.probe import probe
from claracore.host.hardware.usage import family
from claracore.host.sockets.ledger import default_folder, living_instances
from claracore.host.state_file import StateFile, typed

FILE: Final = "others.json"
TOLD: Final = 2 * GIB
"""Less than this in RAM is what every machine uses."""
GIVEN: Final = "as given"
"""The source of what a person has said instead."""


@dataclass(frozen=True, slots=True)
class Others:
    """Looks what other programs use, and remembers it in a state folder."""

    state_dir: Path | None

    def on(self, hardware: Hardware) -> UsedByOthers:
        """Return what they use of a machine, in steps. Blocking, some milliseconds."""
        now = used_by_others(hardware, _our_processes(self.state_dir))
        path = self.state_dir / FILE if self.state_dir is not None else None
        file = StateFile(
            path, typed(UsedByOthers), without="what other programs use may be counted a little differently"
        )
        before = file.read() or UsedByOthers()
        steady = now.steady(before)
        if steady != before:
            file.save(steady)
        return steady


def with_note(hardware: Hardware, others: UsedByOthers) -> Hardware:
    """Return the machine with a note where others use so much that models get less."""
    parts = [f"{gib(others.ram)} of RAM"] if others.ram > TOLD else []
    parts += [f"{gib(size)} on GPU {index}" for index, size in enumerate(others.gpus) if size]
    note = f"other programs use {' and '.join(parts)} now, which is left to them"
    return replace(hardware, notes=(*hardware.notes, note)) if parts else hardware


def used_by_others(hardware: Hardware, ours: Collection[int]) -> UsedByOthers:
    """Return the bytes in use that are not of these processes; 0 where a person has said what there is."""
    devices = MemoryDevices(hardware, probe().gpus)
    ids = device_ids(hardware)
    ram = 0 if hardware.memory.source == GIVEN else rest_of(devices.use(ids[0], ours), ours)
    if UNIFIED in ids:
        return UsedByOthers(ram)
    gpus = tuple(
        0 if gpu.source == GIVEN else rest_of(devices.use(device, ours), ours)
        for gpu, device in zip(hardware.gpus, ids[1:], strict=True)
    )
    return UsedByOthers(ram, gpus)


def rest_of(use: DeviceUse, ours: Collection[int]) -> int:
    """Return the bytes of a device that are not of our processes; 0 where it does not tell whose they are."""
    if use.by_process is None:  # what our models have of it cannot be told from the rest
        return 0 if ours else use.used
    return max(0, use.used - sum(use.by_process.values()))


def _our_processes(state_dir: Path | None) -> set[int]:
    """Return the processes of the models of all ClaraCores of this user."""
    found = {pid for instance in living_instances(default_folder(state_dir)) for pid in instance.children}
    return {member for pid in found for member in family(pid)}
