"""What does AMD's own library add to what sysfs tells? (AMD SMI)

sysfs comes first: it is there with the driver alone, and the library reads the same files. What it adds is a name for
cards that neither the driver nor libdrm names, and numbers where sysfs has none (some containers). By ctypes on
libamd_smi.so and not by the `amdsmi` package, for the reasons given in `nvidia.py`; of the structures that changed
between releases of ROCm only the first field is read. Function names: AMD, "AMD SMI C API reference".
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from claracore.core.fit.machine import Backend, Gpu
from claracore.host.hardware.c_library import CLibrary, load_first

SUCCESS: Final = 0
INIT_GPUS: Final = ctypes.c_uint64(2)
"""AMDSMI_INIT_AMD_GPUS."""
VRAM: Final = 0
"""Of amdsmi_memory_type_t."""
ASIC_BYTES: Final = 1 << 13
"""More than amdsmi_asic_info_t has in any release; `market_name` is its first field."""
UNNAMED: Final = "AMD graphics"
"""What a card is called whose name is not known; its device number follows."""


@dataclass(frozen=True, slots=True)
class AmdCard:
    """What the library says about one card; "" and None mean that it does not say."""

    name: str
    total_bytes: int | None
    used_bytes: int | None


def load_library() -> CLibrary | None:
    """Load AMD's library; None where ROCm is not installed. Its folder is often not among the loader's."""
    rocm = os.environ.get("ROCM_PATH", "/opt/rocm")
    return load_first(("libamd_smi.so", f"{rocm}/lib/libamd_smi.so", f"{rocm}/lib64/libamd_smi.so"))


def lacks(gpus: Sequence[Gpu]) -> bool:
    """Whether a card is without a name or a size, so that the library is worth the tens of milliseconds."""
    return any(gpu.vendor == "amd" and (gpu.name.startswith(UNNAMED) or gpu.total_bytes is None) for gpu in gpus)


def completed(gpus: Sequence[Gpu], library: CLibrary | None) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Return the cards with what sysfs left open filled in, and notes."""
    if library is None:
        return tuple(gpus), ()
    status = library.amdsmi_init(INIT_GPUS)
    if status != SUCCESS:
        return tuple(gpus), (f"AMD's library is installed but does not start (amdsmi_init: {status})",)
    try:
        cards = dict(_devices(library))
    finally:
        library.amdsmi_shut_down()
    return tuple(_completed(gpu, cards.get(gpu.address)) for gpu in gpus), ()


def _completed(gpu: Gpu, card: AmdCard | None) -> Gpu:
    if card is None or gpu.backend is not Backend.ROCM:
        return gpu
    if card.name and gpu.name.startswith(UNNAMED):
        gpu = replace(gpu, name=card.name)
    if gpu.total_bytes is None and card.total_bytes is not None:
        free = None if card.used_bytes is None else max(0, card.total_bytes - card.used_bytes)
        gpu = replace(gpu, total_bytes=card.total_bytes, free_bytes=free, source="amdsmi_get_gpu_memory_total")
    return gpu


def _devices(library: CLibrary) -> Iterator[tuple[str, AmdCard]]:
    """Yield the PCI address and the card, for every processor of every socket."""
    for socket in _handles(library.amdsmi_get_socket_handles):
        for device in _handles(library.amdsmi_get_processor_handles, socket):
            bdf = ctypes.c_uint64()
            if library.amdsmi_get_gpu_device_bdf(device, ctypes.byref(bdf)) != SUCCESS:
                continue
            total = _bytes(library.amdsmi_get_gpu_memory_total, device)
            used = _bytes(library.amdsmi_get_gpu_memory_usage, device)
            yield _address(bdf.value), AmdCard(_name(library, device), total, used)


def _handles(function: Callable[..., int], *parent: ctypes.c_void_p) -> list[ctypes.c_void_p]:
    """Ask for the number of handles, then for the handles."""
    count = ctypes.c_uint32(0)
    if function(*parent, ctypes.byref(count), None) != SUCCESS:
        return []
    handles = (ctypes.c_void_p * count.value)()
    if function(*parent, ctypes.byref(count), handles) != SUCCESS:
        return []
    return [ctypes.c_void_p(handle) for handle in handles]


def _bytes(function: Callable[..., int], device: ctypes.c_void_p) -> int | None:
    """Return bytes of VRAM; None for 0, which is how "not supported" looks on some cards."""
    found = ctypes.c_uint64(0)
    return found.value or None if function(device, ctypes.c_uint32(VRAM), ctypes.byref(found)) == SUCCESS else None


def _name(library: CLibrary, device: ctypes.c_void_p) -> str:
    buffer = ctypes.create_string_buffer(ASIC_BYTES)
    if library.amdsmi_get_gpu_asic_info(device, buffer) != SUCCESS:
        return ""
    return " ".join(buffer.value.decode("utf-8", errors="replace").split())


def _address(bdf: int) -> str:
    """Write amdsmi_bdf_t (3 bits function, 5 device, 8 bus, 48 domain) as the kernel does."""
    return f"{bdf >> 16:04x}:{bdf >> 8 & 0xFF:02x}:{bdf >> 3 & 31:02x}.{bdf & 7}"
