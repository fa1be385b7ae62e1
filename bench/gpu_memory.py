"""How much memory does a process take: on each graphics device (NVML), in RAM, and by its own log?"""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Self

from claracore.core.units import MIB
from claracore.host.hardware.nvidia import SUCCESS, NvmlMemory, load_library
from claracore.host.hardware.nvml import NO_VALUE, NvmlProcess

MOST_PROCESSES = 64
RAM_NAMES = ("Rss", "Pss", "Pss_Anon", "Pss_File", "Pss_Shmem")
VERSION_BYTES = 80
CLIP = "reserve_compute_meta"
"""Which function of a projector's code tells the size of its buffer."""
BUFFER = re.compile(r"(\w+): +(\S+) +(\w+) buffer size = +([\d.]+) MiB")
BREAKDOWN = re.compile(
    r"\| +- +(.+?) +\|(?: +(\d+) = +(\d+) \+)? +\(? *(\d+) = +(\d+) \+ +(\d+) \+ +(\d+)\)?(?: +\+ +(-?\d+))?"
)
"""llama.cpp's own table, printed at its end: total, free, then self = model + context + compute, and the rest."""


class Devices:
    """All NVIDIA devices; none where there is no driver."""

    def __init__(self) -> None:
        self.library: Any = load_library()
        self.handles: list[ctypes.c_void_p] = []
        count = ctypes.c_uint(0)
        if self.library is None or self.library.nvmlInit_v2() != SUCCESS:
            return
        self.library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if self.library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) == SUCCESS:
                self.handles.append(handle)

    def used(self) -> list[int]:
        """Bytes in use on each device, by everybody; what the driver keeps for itself is in it."""
        return [self._memory(handle).used for handle in self.handles]

    def driver(self) -> str:
        text = ctypes.create_string_buffer(VERSION_BYTES)
        if not self.handles or self.library.nvmlSystemGetDriverVersion(text, VERSION_BYTES) != SUCCESS:
            return ""
        return text.value.decode()

    def total(self) -> list[int]:
        return [self._memory(handle).total for handle in self.handles]

    def of(self, pid: int) -> list[int | None]:
        """Bytes that a process has on each device; None where the driver does not tell."""
        return [self._of(handle, pid) for handle in self.handles]

    def _memory(self, handle: ctypes.c_void_p) -> NvmlMemory:
        memory = NvmlMemory()
        self.library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        return memory

    def _of(self, handle: ctypes.c_void_p, pid: int) -> int | None:
        count, rows = ctypes.c_uint(MOST_PROCESSES), (NvmlProcess * MOST_PROCESSES)()
        status = self.library.nvmlDeviceGetComputeRunningProcesses_v3(handle, ctypes.byref(count), rows)
        found = [row.used for row in rows[: count.value] if row.pid == pid and row.used != NO_VALUE]
        return int(found[0]) if status == SUCCESS and found else None


class Peak:
    """The most that was in use on each device, looked at every few milliseconds for the length of a block."""

    def __init__(self, devices: Devices, every_seconds: float = 0.01) -> None:
        self.devices, self.every_seconds = devices, every_seconds
        self.used = devices.used()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(self.every_seconds):
            self.used = [max(pair) for pair in zip(self.used, self.devices.used(), strict=True)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def seconds_until_back(devices: Devices, before: list[int], slack: int = 16 * MIB, most: float = 10.0) -> float | None:
    """Poll every 5 ms until each device shows as much free as before; None when it does not within `most` seconds."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < most:
        if all(used <= old + slack for used, old in zip(devices.used(), before, strict=True)):
            return time.perf_counter() - begun
        time.sleep(0.005)
    return None


def ram(pid: int) -> dict[str, int]:
    """What the kernel counts for a process, in bytes, by proc(5)'s names; pinned buffers of CUDA are Pss_Shmem."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {name.rstrip(":"): int(kib) * 1024 for name, kib, *_ in map(str.split, lines)}
    return {name: sizes[name] for name in RAM_NAMES if name in sizes}


def buffers(log: str) -> dict[str, dict[str, float]]:
    """MiB by device as llama.cpp names it, then by what for: model, KV, RS, compute, output, and clip's own.

    A context is made more than once in a server's life (reserving again); then the last line counts.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    caches: dict[str, float] = defaultdict(float)
    for by, device, what, mib in BUFFER.findall(log):
        if what == "KV":  # one line for layers with a sliding window, one for the others
            caches[device] += float(mib)
        else:
            found[device][f"clip {what}" if by == CLIP else what] = float(mib)
    for device, size in caches.items():
        found[device]["KV"] = size
    return dict(found)


def breakdown(log: str) -> dict[str, dict[str, int]]:
    """llama.cpp's table of memory by device, in MiB; empty when it has printed none."""
    names = ("total", "free", "self", "model", "context", "compute", "unaccounted")
    return {
        match[1]: {name: int(text) for name, text in zip(names, match.groups()[1:], strict=True) if text is not None}
        for match in BREAKDOWN.finditer(log)
    }
