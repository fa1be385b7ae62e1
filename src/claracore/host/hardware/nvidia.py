"""Which NVIDIA devices are there, and how much of their memory is free? (NVML)

By ctypes on libnvidia-ml.so.1 and not by the nvidia-ml-py package: the library comes with the driver, so it is there
exactly when a device can be used, the package adds nothing but declarations of its functions, and eight of them are all
we call. Function names and structures: NVIDIA, "NVML API Reference Guide". nvidia-smi is not parsed: it takes a second,
and its text changes.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

from claracore.core.fit.machine import Backend, Gpu
from claracore.host.hardware.c_library import CLibrary, load_first

SUCCESS = 0
NAME_BYTES = 96


class NvmlMemory(ctypes.Structure):
    """nvmlMemory_t: bytes; what the driver keeps for itself counts as used."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class NvmlMemoryV2(ctypes.Structure):
    """nvmlMemory_v2_t: bytes; what the driver keeps for itself (`reserved`) is told apart (drivers since 510)."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


MEMORY_V2 = ctypes.sizeof(NvmlMemoryV2) | 2 << 24
"""nvml.h, NVML_STRUCT_VERSION(Memory, 2)"""


def load_library() -> CLibrary | None:
    """Load the driver's library; None when there is no NVIDIA driver."""
    return load_first(("libnvidia-ml.so.1", "libnvidia-ml.so"))


def read_gpus(library: CLibrary | None, visible: str | None = None) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Read all devices in PCI order, and notes about what could not be read.

    `visible` is CUDA_VISIBLE_DEVICES: indices or UUID prefixes; a device that it hides is left out.
    """
    if library is None:
        return (), ()
    status = library.nvmlInit_v2()
    if status != SUCCESS:
        return (), (
            f"the NVIDIA driver is installed but NVML does not start (nvmlInit: {status}); is the module loaded?",
        )
    try:
        return _devices(library, visible)
    finally:
        library.nvmlShutdown()


def cuda_visible_devices() -> str | None:
    """Return CUDA_VISIBLE_DEVICES, None when it is not set."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def is_visible(visible: str | None, index: int, uuid: str) -> bool:
    """Whether CUDA would show the device: by index, by UUID prefix, nothing after the first invalid entry."""
    if visible is None:
        return True
    return any(
        entry.strip() == str(index) or (entry.strip().startswith("GPU-") and uuid.startswith(entry.strip()))
        for entry in visible.split(",")
    )


def _devices(library: CLibrary, visible: str | None) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    count = ctypes.c_uint(0)
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != SUCCESS:
        return (), ("NVML does not tell how many devices there are",)
    gpus: list[Gpu] = []
    notes: list[str] = []
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != SUCCESS:
            notes.append(f"NVIDIA device {index} does not answer")
            continue
        uuid = uuid_of(library, handle)
        name = _text(library.nvmlDeviceGetName, handle) or f"NVIDIA device {index}"
        if not is_visible(visible, index, uuid):
            notes.append(f"{name} ({uuid or index}) is hidden by CUDA_VISIBLE_DEVICES")
            continue
        memory = memory_of(library, handle)
        if memory is None:
            # GB10 and Jetson have no memory of their own: the call is "not supported" there.
            notes.append(f"{name} reports no memory of its own: it shares the machine's RAM")
            gpus.append(Gpu(name, "nvidia", Backend.CUDA, None, None, unified=True, address=uuid, source="NVML"))
            continue
        total, free = memory
        gpus.append(Gpu(name, "nvidia", Backend.CUDA, total, free, address=uuid, source="NVML"))
    return tuple(gpus), tuple(notes)


def uuid_of(library: CLibrary, handle: ctypes.c_void_p) -> str:
    """Return what tells a device apart from all others; empty when it does not say."""
    return _text(library.nvmlDeviceGetUUID, handle)


def memory_of(library: CLibrary, handle: ctypes.c_void_p) -> tuple[int, int] | None:
    """Return the bytes that programs may use, and those that are free; None for a device without memory of its own.

    Without what the driver reserves, as CUDA tells it: 615 MiB of an H200.
    """
    with suppress(AttributeError):  # an older driver
        newer = NvmlMemoryV2(version=MEMORY_V2)
        if library.nvmlDeviceGetMemoryInfo_v2(handle, ctypes.byref(newer)) == SUCCESS:
            return newer.total - newer.reserved, newer.free
    memory = NvmlMemory()
    if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != SUCCESS:
        return None
    return memory.total, memory.free


def _text(function: Any, handle: ctypes.c_void_p) -> str:  # noqa: ANN401 - a C function has no Python type
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    if function(handle, buffer, ctypes.c_uint(NAME_BYTES)) != SUCCESS:
        return ""
    return buffer.value.decode("utf-8", errors="replace")
