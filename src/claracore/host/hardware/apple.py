"""What does a Mac have? (sysctl)

Memory is unified: the GPU may wire `iogpu.wired_limit_mb` of RAM when the owner set it. Left at 0 macOS decides by
itself, and `recommendedMaxWorkingSetSize` is what it decides; that number is only to be had from Metal, so the device's
own size is then None and the planner keeps to a share of RAM.
"""

from __future__ import annotations

import platform
import subprocess

from claracore.core.fit.machine import Backend, Gpu, Memory, Processor
from claracore.core.units import MIB
from claracore.host.hardware.tree import whole_number

NAMES = ("hw", "machdep.cpu", "iogpu", "vm.page_free_count", "vm.pagesize")


def read_sysctl() -> str:
    """Return `sysctl hw machdep.cpu iogpu ...` as text; empty when it cannot be run."""
    try:
        done = subprocess.run(["/usr/sbin/sysctl", *NAMES], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def parse_sysctl(text: str) -> dict[str, str]:
    """Parse `hw.memsize: 34359738368` lines."""
    table = {}
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if colon:
            table[name.strip()] = value.strip()
    return table


def from_sysctl(
    table: dict[str, str], available_bytes: int, machine: str | None = None
) -> tuple[Processor, Memory, tuple[Gpu, ...]]:
    """Make the values; `available_bytes` of RAM is measured elsewhere (psutil), `machine` is `arm64` or `x86_64`."""
    logical = whole_number(table.get("hw.logicalcpu")) or 1
    physical = whole_number(table.get("hw.physicalcpu")) or logical
    performance = whole_number(table.get("hw.perflevel0.physicalcpu")) or physical
    name = table.get("machdep.cpu.brand_string", "")
    total = whole_number(table.get("hw.memsize")) or 0
    processor = Processor(name, logical, physical, performance, source="sysctl hw.perflevel0.physicalcpu")
    memory = Memory(total, min(available_bytes, total) if total else available_bytes, "sysctl hw.memsize")
    if (machine or platform.machine()) != "arm64":
        return processor, memory, ()
    wired = (whole_number(table.get("iogpu.wired_limit_mb")) or 0) * MIB
    source = "sysctl iogpu.wired_limit_mb" if wired else ""
    gpu = Gpu(name or "Apple GPU", "apple", Backend.METAL, wired or None, wired or None, unified=True, source=source)
    return processor, memory, (gpu,)
