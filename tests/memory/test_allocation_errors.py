"""What servers print that run out of memory, and what is read in it; each text is from the issue or run it names."""

from __future__ import annotations

import pytest

from claracore.core.memory.allocation_errors import (
    ANY_GPU,
    HINT,
    KILLED,
    PATTERNS,
    AllocationError,
    allocation_error,
)
from claracore.core.memory.larger_need import LEAST_MORE, larger_need
from claracore.core.units import GIB, MIB

TORCH = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 350.00 MiB. GPU 0 has a total capacity of 23.68 GiB "
    "of which 212.81 MiB is free."
)
SEEN = {
    # H200, b11434: exit code 1 after 2.9 s
    "cuda": (
        """
E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 16384.00 MiB on device 0: cudaMalloc failed: out of memory
E ggml_backend_buft_alloc_buffer_n_default: failed to allocate CUDA0 buffer of size 17179869184
E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache
E srv  llama_server: exiting due to model loading error
""",
        ("CUDA", "gpu0", 16 * GIB, None),
    ),
    # gpustack/gpustack#1269
    "the fourth card": (
        """
3.02.081.137 I llama_kv_cache_init:      CUDA2 KV buffer size =  3840.00 MiB
E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4480.00 MiB on device 3: cudaMalloc failed: out of memory
3.02.199.205 E llama_kv_cache_init: failed to allocate buffer for kv cache
free(): invalid size
""",
        ("CUDA", "gpu3", 4480 * MIB, None),
    ),
    "rocm": (
        "allocating 1024.00 MiB on device 1: hipMalloc failed: out of memory",
        ("HIP", "gpu1", GIB, None),
    ),
    # ggml-cuda.cu, ggml_cuda_error
    "while it computes": (
        """
E CUDA error: out of memory
E   current device: 1, in function alloc at /src/ggml-cuda.cu:559
E   cuMemCreate(&handle, reserve_size, &prop, 0)
""",
        ("CUDA", "gpu1", None, None),
    ),
    # ggml-org/llama.cpp#15256, with what b11434 says behind it
    "vulkan": (
        """
ggml_vulkan: Device memory allocation of size 118497280 failed.
ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory
E alloc_tensor_range: failed to allocate Vulkan1 buffer of size 118497280
llama_model_load: error loading model: unable to allocate Vulkan1 buffer
""",
        ("Vulkan", "gpu1", 118497280, None),
    ),
    # ggml-org/llama.cpp#18160
    "a buffer over the limit": (
        """
ggml_vulkan: Requested buffer size exceeds device buffer size limit: ErrorOutOfDeviceMemory
ggml_gallocr_reserve_n_impl: failed to allocate Vulkan0 buffer of size 8753520640
graph_reserve: failed to allocate compute buffers
""",
        ("Vulkan", "gpu0", 8753520640, None),
    ),
    # BodhiSearch/BodhiApp#4
    "metal": (
        "ggml_gallocr_reserve_n: failed to allocate Metal buffer of size 8891928576",
        ("Metal", ANY_GPU, 8891928576, None),
    ),
    # ggml-metal-device.m
    "metal, today": (
        """
E ggml_metal_buffer_init: error: failed to allocate buffer, size =  9000.00 MiB
E ggml_backend_alloc_ctx_tensors_from_buft: failed to allocate MTL0 buffer of size 9437184000
""",
        ("Metal", "gpu0", 9000 * MIB, None),
    ),
    # ggml-org/llama.cpp#9701
    "metal, computing": (
        "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        ("Metal", ANY_GPU, None, None),
    ),
    # ggml-org/llama.cpp#28953, #25286
    "sycl": (
        """
ggml_backend_sycl_buffer_type_alloc_buffer: can't allocate 2303168640 Bytes of memory on device
failed to allocate SYCL1 buffer of size 2303168640
""",
        ("SYCL", "gpu1", 2303168640, None),
    ),
    "level zero": (
        "level_zero backend failed with error: 39 [UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY]",
        ("SYCL", ANY_GPU, None, None),
    ),
    # seen here, b11434 under `prlimit --as=1500000000` with --ctx-size 131072, SmolLM2 135M
    "malloc": (
        """
0.00.268.754 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 3019898880
0.00.268.759 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate CPU buffer of size 3019898880
0.00.269.138 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache
0.00.277.391 E srv  llama_server: exiting due to model loading error
""",
        ("RAM", "ram", 3019898880, None),
    ),
    # the embedded engine under the same limit: its first line went to another stream
    "the embedded engine": (
        """
0.00.484.036 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate CPU buffer of size 3019898880
0.00.484.402 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache
""",
        ("RAM", "ram", 3019898880, None),
    ),
    # the embedded engine under `prlimit --as=600000000`: it aborts
    "aligned malloc": (
        "E ggml_aligned_malloc: insufficient memory (attempted to allocate  41.96 MB)",
        ("RAM", "ram", int(41.96 * MIB), None),
    ),
    "mmap": (
        "llama_model_load: error loading model: mmap failed: Cannot allocate memory",
        ("RAM", "ram", None, None),
    ),
    # ollama/ollama#12634
    "ollama": (
        "alloc_tensor_range: failed to allocate CPU buffer of size 437944320",
        ("RAM", "ram", 437944320, None),
    ),
    # builds of 2024
    "says no more": ("llama_kv_cache_init: failed to allocate buffer for kv cache", ("", ANY_GPU, None, None)),
    # vllm-project/vllm#25837
    "vllm": (
        """
ValueError: Free memory on device (3.22/4.0 GiB) on startup is less than desired GPU memory utilization (0.9, 3.6 GiB).
""",
        ("CUDA", ANY_GPU, int(3.6 * GIB), 0),
    ),
    # vllm-project/vllm#783
    "torch of 2023": (
        """
CUDA out of memory. Tried to allocate 1.63 GiB (GPU 0; 44.56 GiB total capacity; 27.91 GiB already allocated; 565.31 MiB
""",
        ("CUDA", "gpu0", int(1.63 * GIB), int(27.91 * GIB)),
    ),
    # vllm-project/vllm#16343
    "torch": (
        f"{TORCH} Including non-PyTorch memory, this process has 23.45 GiB memory in use.",
        ("CUDA", "gpu0", 350 * MIB, int(23.45 * GIB)),
    ),
    "c++": ("terminate called after throwing an instance of 'std::bad_alloc'", ("RAM", "ram", None, None)),
    "python": ("MemoryError", ("RAM", "ram", None, None)),
    "rust": ("memory allocation of 4294967296 bytes failed", ("RAM", "ram", 4294967296, None)),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_servers_print_that_run_out_of_memory(name: str) -> None:
    text, expected = SEEN[name]
    found = allocation_error(text.strip().splitlines())
    assert found is not None
    assert (found.family, found.device, found.asked, found.had) == expected
    assert found.line in text


@pytest.mark.parametrize("name", SEEN)
def test_no_line_of_the_table_is_passed_over_unread(name: str) -> None:
    for line in SEEN[name][0].splitlines():
        if any(pattern.search(line) for _, pattern in PATTERNS):
            assert HINT.search(line)


OTHERS = """
llama_model_load: error loading model: tensor 'blk.0.attn_q.weight' data is not within the file bounds
error: invalid argument: --no-mmap
couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8100
load_tensors:        CUDA0 model buffer size =  4403.55 MiB
0.00.1 I srv    load_model: prompt cache is enabled, size limit: 8192 MiB, uses memory
warning: failed to mlock 1000-byte buffer (after previously locking 0 bytes): Cannot lock
ggml_cuda_init: found 1 CUDA devices
llama_context: CUDA_Host  output buffer size =     0.99 MiB
"""


def test_other_failures_are_none_of_memory() -> None:
    for line in OTHERS.splitlines():
        assert allocation_error([line]) is None, line


def test_what_was_tried_again_with_less_counts_no_more() -> None:
    # ggml-org/llama.cpp#26297: it became ready; had it failed later, that would have had another reason
    lines = [
        "E alloc_buffer: allocating 51748.72 MiB on device 1: cudaMalloc failed: out of memory",
        "E ggml_gallocr_reserve_n_impl: failed to allocate CUDA1 buffer of size 54262464512",
        "W sched_reserve: compute buffer allocation failed, retrying without pipeline parallelism",
        "E srv: something else",
    ]
    assert allocation_error(lines) is None
    again = allocation_error([*lines, "E x: failed to allocate CUDA1 buffer of size 100"])
    assert again is not None
    assert (again.device, again.asked) == ("gpu1", 100)


def test_who_was_killed_for_want_of_memory_was_short_of_ram() -> None:
    assert allocation_error(["loading"], out_of_ram=True) == AllocationError(
        KILLED, "ram", line="killed by the kernel, which was out of memory"
    )
    assert allocation_error(["loading"]) is None


def test_what_is_needed_is_as_sure_as_the_message() -> None:
    def need(asked: int | None, had: int | None) -> float:
        return larger_need(AllocationError("CUDA", "gpu0", asked, had), 6 * GIB, 7 * GIB, 10 * GIB).bytes / GIB

    assert need(2 * GIB, 7 * GIB) == 9, "both are known"
    assert need(GIB, 20 * GIB) == 21, "a proof may go beyond the device"
    assert need(2 * GIB, None) == 9, "what was there, and what was asked for beyond"
    assert need(8 * GIB, None) == 10, "no guess goes beyond the device"
    assert need(None, None) == 10
    assert need(0, 0) == 7 + LEAST_MORE / GIB, "it did not fit into what was there, whatever it says"
