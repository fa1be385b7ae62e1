"""How much of each NVIDIA device is in use at this moment, by which process, and how busy is it? (NVML)

The library stays open, because it is asked often: 20 us for a device, where opening it takes tens of milliseconds. It
makes no context and keeps no card awake. What fails is asked again in a newly opened library the next time: a driver
may have been exchanged.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.nvidia import SUCCESS, cuda_visible_devices, is_visible, memory_of, uuid_of

Answer = TypeVar("Answer")
TOO_SMALL: Final = 7
"""NVML_ERROR_INSUFFICIENT_SIZE: the count says how many there are."""
ROOM: Final = 64
MOST_PROCESSES: Final = 4096
NO_VALUE: Final = (1 << 64) - 1
"""nvml.h, NVML_VALUE_NOT_AVAILABLE: the driver does not count by process (Windows, some containers)."""
LISTS: Final = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
"""CUDA's processes, and those of Vulkan; a process that is in both has the same number there."""


class NvmlProcess(ctypes.Structure):
    """nvmlProcessInfo_t of the functions `_v2` and `_v3`."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class OldNvmlProcess(ctypes.Structure):
    """The same of the functions without a version (drivers before 450)."""

    _fields_ = (("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong))


class NvmlUtilization(ctypes.Structure):
    """nvmlUtilization_t: percent of the last sixth of a second to second."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


TEMPERATURE_GPU: Final = 0
"""NVML_TEMPERATURE_GPU"""
VERSIONS: Final = (("_v3", NvmlProcess), ("_v2", NvmlProcess), ("", OldNvmlProcess))


class Nvml:
    """The open library and its devices, in PCI order; for any thread. `None` is "cannot be read"."""

    def __init__(self, load: Callable[[], CLibrary | None]) -> None:
        """Nothing is loaded before it is asked for."""
        self._load = load
        self._lock = threading.Lock()
        self._library: CLibrary | None = None
        self._handles: dict[str, ctypes.c_void_p] = {}

    def memory(self, uuid: str) -> tuple[int, int] | None:
        """Return the bytes that programs may use of a device, and those in use."""
        found = self._ask(uuid, memory_of)
        return (found[0], max(0, found[0] - found[1])) if found is not None else None

    def by_process(self, uuid: str) -> dict[int, int] | None:
        """Return the bytes that each process has on a device, by pid."""
        return self._ask(uuid, _processes)

    def gauges(self, uuid: str) -> tuple[float | None, float | None, float | None] | None:
        """Return how busy a device is in percent, its degrees Celsius, and its watts; None each where it is untold."""
        return self._ask(uuid, _gauges)

    def _ask(self, uuid: str, question: Callable[[CLibrary, ctypes.c_void_p], Answer | None]) -> Answer | None:
        with self._lock:
            if self._library is None:
                self._open()
            handle = self._handles.get(uuid)
            if self._library is None or handle is None:
                return None
            found = question(self._library, handle)
            if found is None and memory_of(self._library, handle) is None:
                self._close()
            return found

    def _open(self) -> None:
        library = self._load()
        if library is None or library.nvmlInit_v2() != SUCCESS:
            return
        self._library = library
        count = ctypes.c_uint(0)
        library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        visible = cuda_visible_devices()
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) == SUCCESS:
                uuid = uuid_of(library, handle)
                if is_visible(visible, index, uuid):
                    self._handles[uuid] = handle

    def _close(self) -> None:
        if self._library is not None:
            self._library.nvmlShutdown()
        self._library = None
        self._handles = {}


def _gauges(library: CLibrary, handle: ctypes.c_void_p) -> tuple[float | None, float | None, float | None] | None:
    use, degrees, milliwatts = NvmlUtilization(), ctypes.c_uint(), ctypes.c_uint()
    busy = _call(library, "nvmlDeviceGetUtilizationRates", handle, ctypes.byref(use))
    hot = _call(library, "nvmlDeviceGetTemperature", handle, ctypes.c_uint(TEMPERATURE_GPU), ctypes.byref(degrees))
    draws = _call(library, "nvmlDeviceGetPowerUsage", handle, ctypes.byref(milliwatts))
    if not (busy or hot or draws):
        return None
    watts = round(milliwatts.value / 1e3, 1)
    return float(use.gpu) if busy else None, float(degrees.value) if hot else None, watts if draws else None


def _call(library: CLibrary, name: str, *arguments: object) -> bool:
    """Call a function that a driver may lack; return whether it answered."""
    function = getattr(library, name, None)
    return function is not None and function(*arguments) == SUCCESS


def _processes(library: CLibrary, handle: ctypes.c_void_p) -> dict[int, int] | None:
    """Return bytes by pid; None where the driver does not tell, for one process or for all."""
    found: dict[int, int] = {}
    known = False
    for name in LISTS:
        rows = _listed(library, name, handle)
        if rows is None:
            continue
        known = True
        for pid, used in rows:
            if used == NO_VALUE:
                return None
            found[pid] = max(used, found.get(pid, 0))
    return found if known else None


def _listed(library: CLibrary, name: str, handle: ctypes.c_void_p) -> list[tuple[int, int]] | None:
    for version, structure in VERSIONS:
        function = getattr(library, name + version, None)
        if function is None:
            continue
        room = ROOM
        while room <= MOST_PROCESSES:
            count, rows = ctypes.c_uint(room), (structure * room)()
            status = function(handle, ctypes.byref(count), rows)
            if status == SUCCESS:
                return [(row.pid, row.used) for row in rows[: min(count.value, room)]]
            if status != TOO_SMALL:
                return None
            room *= 4
        return None
    return None
