"""NVML through real C calls: a library of our own with NVML's functions, compiled for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from claracore.core.fit.machine import Backend
from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.nvidia import is_visible, read_gpus

SOURCE = r"""
#include <string.h>
#include <stdio.h>
typedef struct { unsigned long long total, free, used; } memory_t;
static int devices[3] = {0, 1, 2};
int nvmlInit_v2(void) { return FAIL_INIT; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &devices[index]; return 0; }
int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    const char *names[] = {"NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3060", "NVIDIA GB10"};
    snprintf(name, length, "%s", names[*(int *)handle]);
    return 0;
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-%d000-aaaa", *(int *)handle);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    if (*(int *)handle == 2) return 3; /* NVML_ERROR_NOT_SUPPORTED */
    memory->total = *(int *)handle ? 12884901888ULL : 25757220864ULL;
    memory->used = 1073741824ULL;
    memory->free = memory->total - memory->used;
    return 0;
}
"""
TELLING_RESERVED = r"""
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2_t *memory) {
    if (memory->version != (sizeof(memory_v2_t) | (2 << 24))) return 25; /* NVML_ERROR_ARGUMENT_VERSION_MISMATCH */
    if (*(int *)handle == 2) return 3;
    memory->total = 150754820096ULL;
    memory->reserved = 644874240ULL;
    memory->used = 1073741824ULL;
    memory->free = memory->total - memory->reserved - memory->used;
    return 0;
}
"""


def build(folder: Path, init: int, more: str = "") -> CLibrary:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (folder / "nvml.c").write_text(SOURCE + more)
    target = folder / f"libnvidia-ml-{init}.so"
    words = [compiler, "-shared", "-fPIC", f"-DFAIL_INIT={init}", "-o", str(target), str(folder / "nvml.c")]
    subprocess.run(words, check=True)
    library: CLibrary = ctypes.CDLL(str(target))
    return library


def test_two_cards_and_a_unified_one(tmp_path: Path) -> None:
    gpus, notes = read_gpus(build(tmp_path, 0))
    assert [(gpu.name, gpu.total_bytes, gpu.free_bytes, gpu.unified) for gpu in gpus] == [
        ("NVIDIA GeForce RTX 4090", 25757220864, 25757220864 - 1073741824, False),
        ("NVIDIA GeForce RTX 3060", 12884901888, 12884901888 - 1073741824, False),
        ("NVIDIA GB10", None, None, True),
    ]
    assert {gpu.backend for gpu in gpus} == {Backend.CUDA}
    assert notes == ("NVIDIA GB10 reports no memory of its own: it shares the machine's RAM",)


def test_what_the_driver_keeps_for_itself_is_not_for_models(tmp_path: Path) -> None:
    gpus, notes = read_gpus(build(tmp_path, 0, TELLING_RESERVED))
    usable = 150754820096 - 644874240
    assert [(gpu.total_bytes, gpu.free_bytes) for gpu in gpus] == [(usable, usable - 1073741824)] * 2 + [(None, None)]
    assert len(notes) == 1


def test_cuda_visible_devices_hides(tmp_path: Path) -> None:
    library = build(tmp_path, 0)
    assert [gpu.name for gpu in read_gpus(library, "1")[0]] == ["NVIDIA GeForce RTX 3060"]
    gpus, notes = read_gpus(library, "")
    assert gpus == ()
    assert "is hidden by CUDA_VISIBLE_DEVICES" in notes[0]


def test_a_driver_that_does_not_start_is_a_note(tmp_path: Path) -> None:
    gpus, notes = read_gpus(build(tmp_path, 9))
    assert gpus == ()
    assert "nvmlInit: 9" in notes[0]


def test_no_driver() -> None:
    assert read_gpus(None) == ((), ())


def test_visibility_by_index_and_uuid() -> None:
    assert is_visible(None, 3, "GPU-x")
    assert is_visible("0, 3", 3, "GPU-x")
    assert is_visible("GPU-12", 0, "GPU-1234")
    assert not is_visible("-1", 0, "GPU-1234")
    assert not is_visible("", 0, "GPU-1234")
