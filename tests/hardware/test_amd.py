"""AMD SMI through real C calls: a library of our own with its functions, compiled for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.drm import read_gpus
from hardware import trees
from hardware.trees import plant

SOURCE = r"""
#include <stdint.h>
#include <string.h>
typedef void *handle;
static int cards[2] = {0, 1};
int amdsmi_init(uint64_t flags) { return flags == 2 ? FAIL_INIT : 1; }
int amdsmi_shut_down(void) { return 0; }
/* one card a socket, as with real cards */
int amdsmi_get_socket_handles(uint32_t *count, handle *found) {
    if (found) { found[0] = &cards[0]; found[1] = &cards[1]; }
    *count = 2;
    return 0;
}
int amdsmi_get_processor_handles(handle socket, uint32_t *count, handle *found) {
    if (found) *found = socket;
    *count = 1;
    return 0;
}
int amdsmi_get_gpu_device_bdf(handle card, uint64_t *bdf) {
    *bdf = *(int *)card ? (0x1ULL << 16 | 0xc5 << 8 | 0 << 3 | 2) : (0x03 << 8);
    return 0;
}
int amdsmi_get_gpu_asic_info(handle card, char *info) {
    memset(info, 0xff, 4096); /* the rest of the structure */
    strcpy(info, *(int *)card ? "AMD Instinct MI210 " : "Navi 31 [Radeon RX 7900 XTX]");
    return 0;
}
int amdsmi_get_gpu_memory_total(handle card, uint32_t kind, uint64_t *bytes) {
    *bytes = kind == 0 ? 68702699520ULL : 1;
    return 0;
}
int amdsmi_get_gpu_memory_usage(handle card, uint32_t kind, uint64_t *bytes) { *bytes = 1048576; return 0; }
"""

SILENT = """
== /sys/class/drm/card1/device/vendor
0x1002
== /sys/class/drm/card1/device/device
0x740f
== /sys/class/drm/card1/device/uevent
PCI_SLOT_NAME=0001:c5:00.2
"""
NAMELESS = trees.AMD_CARD.partition("== /usr/share")[0]


def build(folder: Path, init: int = 0) -> CLibrary:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (folder / "amdsmi.c").write_text(SOURCE)
    target = folder / f"libamd_smi-{init}.so"
    words = [compiler, "-shared", "-fPIC", f"-DFAIL_INIT={init}", "-o", str(target), str(folder / "amdsmi.c")]
    subprocess.run(words, check=True)
    library: CLibrary = ctypes.CDLL(str(target))
    return library


def test_what_sysfs_leaves_open_is_filled_in(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", SILENT)
    (before,), notes = read_gpus(tree, lambda: None)
    assert (before.name, before.total_bytes) == ("AMD graphics 740f", None)
    assert notes == ("AMD graphics 740f (0001:c5:00.2): its driver does not tell its memory; say --vram GB",)
    (gpu,), notes = read_gpus(tree, lambda: build(tmp_path))
    assert (gpu.name, gpu.total_bytes, gpu.free_bytes) == ("AMD Instinct MI210", 68702699520, 68702699520 - 1048576)
    assert gpu.source == "amdsmi_get_gpu_memory_total"
    assert notes == ()


def test_sysfs_comes_first(tmp_path: Path) -> None:
    (gpu,), _ = read_gpus(plant(tmp_path / "tree", NAMELESS), lambda: build(tmp_path))
    assert gpu.name == "Navi 31 [Radeon RX 7900 XTX]"
    assert (gpu.total_bytes, gpu.source) == (25753026560, "sysfs mem_info_vram_total")


def test_the_library_is_not_loaded_when_nothing_is_missing(tmp_path: Path) -> None:
    def load() -> CLibrary | None:
        raise AssertionError

    (gpu,), _ = read_gpus(plant(tmp_path, trees.AMD_CARD), load)
    assert gpu.name == "AMD Radeon RX 7900 XTX"


def test_a_library_that_does_not_start_is_a_note(tmp_path: Path) -> None:
    (gpu,), notes = read_gpus(plant(tmp_path / "tree", NAMELESS), lambda: build(tmp_path, 34))
    assert gpu.name == "AMD graphics 744c"
    assert notes == ("AMD's library is installed but does not start (amdsmi_init: 34)",)
