"""What is this machine? Puts the readings of all probes together."""

from __future__ import annotations

import os
import sys

import psutil

from claracore.core.fit.machine import Hardware, Memory, Processor
from claracore.host.hardware import apple, cgroup, drm, host, nvidia
from claracore.host.hardware.tree import Tree


def probe() -> Hardware:
    """Read the machine; takes a few milliseconds, starts no process on Linux, raises nothing."""
    if sys.platform == "darwin":
        return probe_mac(apple.read_sysctl())
    if sys.platform != "linux":
        return probe_other()
    gpus, notes = nvidia.read_gpus(nvidia.load_library(), nvidia.cuda_visible_devices())
    hardware = probe_linux(Tree(), frozenset(os.sched_getaffinity(0)))
    return Hardware(
        hardware.processor, hardware.memory, gpus + hardware.gpus, hardware.platform, notes + hardware.notes
    )


def probe_memory() -> Memory:
    """Read the memory alone (0.4 ms)."""
    if sys.platform != "linux":
        memory = psutil.virtual_memory()
        return Memory(memory.total, memory.available, "psutil")
    tree = Tree()
    return host.read_memory(tree, cgroup.read_limits(tree))


def probe_linux(tree: Tree, affinity: frozenset[int]) -> Hardware:
    """Read what /proc and /sys tell: everything but NVIDIA devices."""
    limits = cgroup.read_limits(tree)
    gpus, notes = drm.read_gpus(tree)
    return Hardware(host.read_processor(tree, limits, affinity), host.read_memory(tree, limits), gpus, "linux", notes)


def probe_mac(sysctl: str) -> Hardware:
    """Make the values of a Mac from the text of sysctl."""
    processor, memory, gpus = apple.from_sysctl(apple.parse_sysctl(sysctl), psutil.virtual_memory().available)
    return Hardware(processor, memory, gpus, "darwin")


def probe_other() -> Hardware:
    """Read what psutil knows on a system that has no probe of its own; graphics devices are then told by --vram."""
    memory = psutil.virtual_memory()
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    return Hardware(
        Processor("", logical, physical, physical, source="psutil"),
        Memory(memory.total, memory.available, "psutil"),
        platform=sys.platform,
        notes=("graphics devices are not looked for on this system: say --vram GB and --backend",),
    )
