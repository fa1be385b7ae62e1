"""What do programs for CUDA find on this machine: which driver, which CUDA does it know, which cards are there? (NVML)

NVIDIA, "NVML API Reference Guide": nvmlSystemGetDriverVersion, nvmlSystemGetCudaDriverVersion_v2 (12040 is 12.4),
nvmlDeviceGetCudaComputeCapability.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.nvidia import NAME_BYTES, SUCCESS


@dataclass(frozen=True, slots=True)
class NvidiaDriver:
    """The driver's version as it writes it, the newest CUDA that it knows, and the compute capability of each card."""

    version: str = ""
    cuda: tuple[int, ...] | None = None
    cards: tuple[tuple[int, ...], ...] = ()


def read_driver(library: CLibrary | None) -> NvidiaDriver:
    """Ask NVML; what it does not tell is missing. Raises nothing."""
    if library is None or library.nvmlInit_v2() != SUCCESS:
        return NvidiaDriver()
    try:
        return NvidiaDriver(_version(library), _cuda(library), _cards(library))
    except AttributeError:  # a driver without one of the functions
        return NvidiaDriver()
    finally:
        library.nvmlShutdown()


def _version(library: CLibrary) -> str:
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    if library.nvmlSystemGetDriverVersion(buffer, ctypes.c_uint(NAME_BYTES)) != SUCCESS:
        return ""
    return buffer.value.decode("ascii", "replace")


def _cuda(library: CLibrary) -> tuple[int, ...] | None:
    number = ctypes.c_int(0)
    if library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(number)) != SUCCESS:
        return None
    return number.value // 1000, number.value % 1000 // 10


def _cards(library: CLibrary) -> tuple[tuple[int, ...], ...]:
    count = ctypes.c_uint(0)
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != SUCCESS:
        return ()
    cards = []
    for index in range(count.value):
        handle, major, minor = ctypes.c_void_p(), ctypes.c_int(0), ctypes.c_int(0)
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != SUCCESS:
            continue
        if library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == SUCCESS:
            cards.append((major.value, minor.value))
    return tuple(cards)
