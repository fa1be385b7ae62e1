"""What does a model's server take of each device at this moment? Blocking.

By process where a device tells that; where it does not (Windows, Vulkan on some drivers, a container whose processes
are not ours to see), the difference to what was in use before the server was started.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from claracore.core.memory.devices import RAM_BESIDE_GPU
from claracore.core.memory.engine_log import EngineBuffers
from claracore.core.memory.footprint import RAM, UNIFIED
from claracore.core.units import MIB
from claracore.host.footprints.command_reader import ReadCommand
from claracore.host.hardware.memory_devices import MemoryDevices
from claracore.host.hardware.process_memory import ProcessMemory, process_memory

NOISE_BYTES = 64 * MIB
"""A difference of less than this on a device is somebody else's."""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """What is known of a server when it is measured."""

    pids: Collection[int]
    """Its processes; empty where they cannot be seen (a container whose name is not known)."""
    command: ReadCommand
    buffers: EngineBuffers
    before: Mapping[str, int] | None = None
    """What was in use on each device when it was started; None when others have come or gone since."""


@dataclass(frozen=True, slots=True)
class ServerTakes:
    """Bytes by device; and beside the buffers that its log tells, by the names of `Overheads`."""

    by_device: Mapping[str, int]
    overheads: Mapping[str, int] = field(default_factory=dict)


def measure(devices: MemoryDevices, server: ServerSeen) -> ServerTakes | None:
    """Return what a server takes; None where that cannot be told now."""
    memories = [memory for pid in server.pids if (memory := process_memory(pid)) is not None]
    ram = sum(memories, ProcessMemory())
    taken: dict[str, int] = {}
    for device in reversed(devices.ids):  # RAM last
        size = _on(devices, device, ram if memories else None, server, sum(taken.values()))
        if size is None:
            return None
        if size:
            taken[device] = size
    return ServerTakes(taken, _overheads(taken, ram.own, server)) if taken else None


def _on(devices: MemoryDevices, device: str, ram: ProcessMemory | None, server: ServerSeen, on_gpus: int) -> int | None:
    if device == RAM and ram is not None:
        return ram.own + _needed(ram.mapped, server, on_gpus)
    now = devices.use(device, server.pids)
    if now.by_process is not None and ram is not None:
        # Of shared memory a graphics device has some that the process itself does not show.
        quick = sum(now.by_process.values())
        return max(quick, ram.own) + _needed(ram.mapped, server, 0) if device == UNIFIED else quick
    if server.before is None or device not in server.before:
        return None
    more = now.used - server.before[device]
    return more if more >= NOISE_BYTES else 0


def _needed(mapped: int, server: ServerSeen, on_gpus: int) -> int:
    """Return how many bytes of mapped files the server needs: its weights in RAM, not what it has only read.

    A log tells exactly, also of pages that were not touched yet, or are gone because memory is short. Where nothing is
    known of the weights, as much as lies on GPUs is taken to be there and only read from the file.
    """
    if server.buffers.by_device:
        return server.buffers.mapped
    expected = server.command.expected
    return min(mapped, expected.weights_in_ram) if expected else max(0, mapped - on_gpus)


def _overheads(taken: Mapping[str, int], own: int, server: ServerSeen) -> dict[str, int]:
    """Return what the process takes beside the buffers of its log; nothing where that does not tell of all."""
    buffers = server.buffers
    if not buffers.by_device or server.command.several_files:
        return {}
    found: dict[str, int] = {}
    for device, size in taken.items():
        if device.startswith("gpu") and (logged := buffers.on_gpu(int(device.removeprefix("gpu")))):
            found[device] = size - logged
    if RAM in taken:
        found[RAM_BESIDE_GPU if len(taken) > 1 else RAM] = own - buffers.in_ram
    elif UNIFIED in taken and not buffers.on_gpu(0):
        found[UNIFIED] = own - buffers.in_ram
    return {name: size for name, size in found.items() if size > 0}
