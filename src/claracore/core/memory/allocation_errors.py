"""Did a model's server end because memory was short: of which device, and how many bytes did it ask for?

Told from what it printed until it ended, and from how it ended. A table of messages with where each comes from. That a
line stands in a log is no proof by itself (llama.cpp tries some things again with less): it is asked only after a
server has ended before it was ready, and what was tried again with less counts no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from claracore.core.memory.footprint import RAM, gpu
from claracore.core.units import GIB, MIB

ANY_GPU: Final = "gpu"
"""Some graphics device; the message does not say which."""
KILLED: Final = "kernel"

TORCH: Final = (
    r"(?:CUDA|HIP|XPU) out of memory\. Tried to allocate (?P<size>[\d.]+) (?P<unit>[KMG]iB)"
    r"(?:\. GPU (?P<device>\d+)| \(GPU (?P<device_too>\d+))?"
    r"(?:.*?(?:this process has |; )(?P<had>[\d.]+) (?P<had_unit>[KMG]iB) (?:memory in use|already allocated))?"
)
VLLM: Final = (
    r"Free memory on device (?:cuda:(?P<device>\d+) )?\([\d.]+/[\d.]+ GiB\) on startup is less than desired GPU "
    r"memory utilization \([\d.]+, (?P<needs>[\d.]+) GiB\)"
)
# Groups of a pattern: `device` is the engine's number, `buffer` llama.cpp's name of where (CUDA0, Vulkan1, CPU), `size`
# what was asked for in `unit` (bytes without one), `had` and `had_unit` what the process had, `needs` all it wants.
TABLE: Final = (
    # llama.cpp b11434, ggml/src/ggml-cuda/ggml-cuda.cu (ROCm and MUSA builds print their own call);
    # ggml-org/llama.cpp#7366, ggml-org/llama.cpp#26297, ollama#8447
    ("CUDA", r"allocating (?P<size>[\d.]+) (?P<unit>MiB) on device (?P<device>\d+): cudaMalloc failed: out of memory"),
    ("HIP", r"allocating (?P<size>[\d.]+) (?P<unit>MiB) on device (?P<device>\d+): hipMalloc failed"),
    ("MUSA", r"allocating (?P<size>[\d.]+) (?P<unit>MiB) on device (?P<device>\d+): musaMalloc failed"),
    ("CUDA", r"allocating (?P<size>[\d.]+) (?P<unit>MiB) on device (?P<device>\d+): cudaMalloc failed"),
    # ggml_cuda_error() of the same file: cuBLAS handles, pools, graphs; the device stands in the next line
    ("HIP", r"(?:ROCm|HIP) error: (?:hipErrorOutOfMemory|out of memory)"),
    ("CUDA", r"(?:CUDA|cuda) error(?: \d+)?[:=]? ?(?:\d+ )?(?:at [^:]+:\d+: )?out of memory"),
    ("CUDA", r"CUBLAS_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation"),
    ("HIP", r"hipErrorOutOfMemory|HIPBLAS_STATUS_ALLOC_FAILED|rocblas_status_memory_error"),
    # ggml-vulkan-buffers.cpp; ggml-org/llama.cpp#5441, #15256, #18160, #29270
    ("Vulkan", r"ggml_vulkan: (?:Device m|M)emory allocation of size (?P<size>\d+) failed"),
    ("Vulkan", r"ErrorOutOfDeviceMemory|ErrorOutOfHostMemory|VK_ERROR_OUT_OF_(?:DEVICE|HOST)_MEMORY"),
    # ggml-metal-device.m, ggml-metal.cpp; ggml-org/llama.cpp#9701
    ("Metal", r"failed to allocate Metal buffer of (?P<size>\d+) bytes"),
    ("Metal", r"ggml_metal\w*: error: failed to allocate buffer, size = +(?P<size>[\d.]+) (?P<unit>MiB)"),
    ("Metal", r"kIOGPUCommandBufferCallbackErrorOutOfMemory|ggml_metal\w*: error: vm_allocate failed"),
    # ggml-sycl.cpp, fattn-buffers.cpp; ggml-org/llama.cpp#11044, #28953, #21747, #25286
    ("SYCL", r"can't allocate (?P<size>\d+) Bytes of memory on device"),
    ("RAM", r"can't allocate (?P<size>\d+) Bytes of memory on host"),
    ("SYCL", r"(?:UR|PI|ZE)_(?:RESULT_)?ERROR_OUT_OF_(?:DEVICE|HOST)_MEMORY|PI_ERROR_OUT_OF_RESOURCES"),
    # ggml-cann.cpp
    ("CANN", r"allocating (?P<size>[\d.]+) (?P<unit>MiB) on device (?P<device>\d+): aclrtMalloc failed"),
    # ggml-alloc.c, ggml-backend.cpp, llama-model.cpp: any backend, by the name of its buffers
    ("", r"failed to allocate (?P<buffer>[A-Za-z]\w*) buffer of size (?P<size>\d+)"),
    ("", r"unable to allocate (?P<buffer>[A-Za-z]\w*) buffer"),
    # ggml-backend.cpp (plain malloc), ggml.c, hbm.cpp, server-task.cpp
    ("RAM", r"ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size (?P<size>\d+)"),
    ("RAM", r"insufficient memory \(attempted to allocate +(?P<size>[\d.]+) (?P<unit>MB)\)"),
    ("RAM", r"failed to allocate HBM buffer of size (?P<size>\d+)"),
    # src/llama-mmap.cpp
    ("RAM", r"mmap failed: Cannot allocate memory"),
    # ik_llama.cpp and builds before b2000, which say no more than this
    ("", r"failed to allocate buffer for (?:kv|rs) cache|failed to allocate compute (?:pp |tg )?buffers"),
    # PyTorch: vLLM, SGLang, TGI, ComfyUI; c10/cuda/CUDACachingAllocator.cpp; vllm#783, vllm#16343
    ("CUDA", TORCH),
    ("CUDA", r"(?:CUDA|HIP|XPU) out of memory|torch\.(?:cuda\.)?OutOfMemoryError"),
    ("Metal", r"MPS backend out of memory"),
    ("RAM", r"DefaultCPUAllocator: (?:can't allocate memory|not enough memory).*?(?P<size>\d+) bytes"),
    # vLLM, v1/worker/gpu_worker.py (request_memory); vllm#25837
    ("CUDA", VLLM),
    # vLLM, v1/core/kv_cache_utils.py
    ("CUDA", r"No available memory for the cache blocks|larger than the available KV cache memory"),
    # any C++ or Python or Rust or Go program
    ("RAM", r"std::bad_alloc|\bMemoryError\b|Cannot allocate memory|memory allocation of (?P<size>\d+) bytes failed"),
    ("RAM", r"fatal error: runtime: (?:cannot allocate memory|out of memory)|JavaScript heap out of memory"),
)
"""Family of devices ("" where the buffer's name tells) and message; the most telling first."""

PATTERNS: Final = tuple((family, re.compile(pattern)) for family, pattern in TABLE)
HINT: Final = re.compile(r"alloc|memory|Memory|OUT_OF_|OutOf| current device: ")
"""In each line that `allocation_error` looks at."""
AGAIN: Final = re.compile(r"compute buffer allocation failed, retrying|using host memory fallback|flushing .* retrying")
"""llama-context.cpp, ggml-sycl.cpp: it goes on with less."""
CURRENT_DEVICE: Final = re.compile(r" current device: (\d+),")
NUMBERED: Final = re.compile(r"(?P<name>[A-Za-z]+?)(?P<number>\d+)(?:_\w+)?")
FAMILIES: Final = {"ROCm": "HIP", "MTL": "Metal"}
"""What builds call their devices, where that is not the family's name."""
IN_RAM: Final = re.compile(r"CPU\w*|\w+_Host|AMX|BLAS")
UNITS: Final = {"KiB": 1024, "MiB": MIB, "GiB": GIB, "MB": MIB}


@dataclass(frozen=True, slots=True)
class AllocationError:
    """What a server could not get."""

    family: str
    """CUDA, HIP, Vulkan, Metal, SYCL, ..., RAM; `kernel` where it was killed for want of RAM."""
    device: str
    """`ram`, `gpu0`... by the engine's own number, or ANY_GPU."""
    asked: int | None = None
    """Bytes that it asked for when there were no more; None where it does not say."""
    had: int | None = None
    """Bytes that it had on the device then; None where it does not say."""
    line: str = ""

    @property
    def needs(self) -> int | None:
        """Bytes that it needs there at least; None where that is not known."""
        return self.asked + self.had if self.asked is not None and self.had is not None else None


def allocation_error(lines: Iterable[str], *, out_of_ram: bool = False) -> AllocationError | None:
    """Return what a server that ended before it was ready could not get; None where it ended for another reason.

    `out_of_ram`: the kernel has killed it for want of memory.
    """
    found: AllocationError | None = None
    for line in lines:
        if AGAIN.search(line):
            found = None
        elif found is not None and found.device == ANY_GPU and (device := CURRENT_DEVICE.search(line)):
            found = replace(found, device=gpu(int(device[1])))
        elif (read := _read(line)) is not None:
            found = read if found is None else _together(found, read)
    if found is None and out_of_ram:
        return AllocationError(KILLED, RAM, line="killed by the kernel, which was out of memory")
    return found


def _read(line: str) -> AllocationError | None:
    for family, pattern in PATTERNS if HINT.search(line) else ():
        if (match := pattern.search(line)) is not None:
            return _error(family, match, line.strip())
    return None


def _error(family: str, match: re.Match[str], line: str) -> AllocationError:
    groups = {name: text for name, text in match.groupdict().items() if text is not None}
    device = RAM if family == "RAM" else ANY_GPU
    if (number := groups.get("device", groups.get("device_too"))) is not None:
        device = gpu(int(number))
    elif (buffer := groups.get("buffer")) is not None:
        family, device = _place(buffer)
    if "needs" in groups:
        return AllocationError(family, device, int(float(groups["needs"]) * GIB), 0, line)
    return AllocationError(family, device, _size(groups, "size", "unit"), _size(groups, "had", "had_unit"), line)


def _place(buffer: str) -> tuple[str, str]:
    """Return the family and the device of a buffer by its name: `CUDA0`, `CUDA_Host`, `CPU`, `Metal`."""
    if IN_RAM.fullmatch(buffer):
        return "RAM", RAM
    numbered = NUMBERED.fullmatch(buffer)
    if numbered is None:
        return FAMILIES.get(buffer, buffer), ANY_GPU
    name = numbered["name"]
    return FAMILIES.get(name, name), gpu(int(numbered["number"]))


def _size(groups: dict[str, str], size: str, unit: str) -> int | None:
    if size not in groups:
        return None
    return int(float(groups[size]) * UNITS[groups[unit]]) if unit in groups else int(groups[size])


def _together(first: AllocationError, later: AllocationError) -> AllocationError:
    """Return the first with what a later line of the same failure adds: which device, how many bytes."""
    if first.device == ANY_GPU and later.device not in {ANY_GPU, RAM}:
        first = replace(first, device=later.device, family=first.family or later.family)
    if not first.family:  # it says no more than that there was no room
        return replace(later, asked=first.asked if later.asked is None else later.asked)
    if first.asked is None and later.device == first.device:
        first = replace(first, asked=later.asked, had=later.had)
    return first
