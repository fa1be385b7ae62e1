"""What devices tell of their memory and of who has it: NVML through real C calls, the rest from captured trees."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.host.hardware.drm_usage import drm_bytes
from claracore.host.hardware.memory_devices import MemoryDevices, match_drivers
from claracore.host.hardware.nvidia import read_gpus
from claracore.host.hardware.nvml import Nvml
from claracore.host.hardware.probe import probe_linux
from claracore.host.hardware.process_memory import process_memory
from claracore.host.hardware.tree import Tree
from claracore.host.hardware.usage import family
from hardware import trees
from hardware.nvml import MIB, Script, build
from hardware.trees import plant

KERNEL = "== /proc/2/comm\nkthreadd\n"


@pytest.fixture
def script(tmp_path: Path) -> Script:
    made = build(tmp_path)
    made.write((24576, 1000), (12288, 300))
    return made


def devices_of(script: Script, tmp_path: Path, kernel: str = KERNEL) -> MemoryDevices:
    gpus, _ = read_gpus(script.load())
    (tmp_path / "tree").mkdir(exist_ok=True)
    return MemoryDevices(
        Hardware(Processor("", 4, 4, 4), Memory(1, 1), gpus), tree=plant(tmp_path / "tree", kernel), load=script.load
    )


def test_numbers_are_those_of_the_moment(script: Script, tmp_path: Path) -> None:
    devices = devices_of(script, tmp_path)
    assert devices.ids == ("ram", "gpu0", "gpu1")
    first = devices.use("gpu0")
    assert (first.name, first.total, first.used) == ("NVIDIA card 0", 24576 * MIB, 1000 * MIB)
    script.write((24576, 9000), (12288, 300), processes={(0, 77): 7000, (0, 78): 500, (1, 77): 5})
    then = devices.use("gpu0", {77, 4})
    assert (then.used, then.by_process) == (9000 * MIB, {77: 7000 * MIB})
    assert devices.use("gpu1", {77, 4}).by_process == {77: 5 * MIB}
    assert not devices.silent


def test_more_processes_than_there_is_room_for(script: Script) -> None:
    script.write((24576, 9000), processes={(0, pid): 1 for pid in range(1, 301)})
    found = Nvml(script.load).by_process("GPU-0000-aaaa")
    assert found is not None
    assert len(found) == 300


def test_a_driver_that_does_not_tell_by_process(script: Script, tmp_path: Path) -> None:
    script.write((24576, 9000), (12288, 300), silent=(1,))
    devices = devices_of(script, tmp_path)
    assert devices.silent == {"gpu1"}
    assert devices.use("gpu1", {1}).by_process is None


def test_in_a_container_nothing_is_known_of_processes_that_are_not_named(script: Script, tmp_path: Path) -> None:
    devices = devices_of(script, tmp_path, "== /proc/2/comm\nbash\n")
    script.write((24576, 9000), (12288, 300), processes={(0, 4711): 7000})
    assert devices.silent == {"gpu0", "gpu1"}
    assert devices.use("gpu0", {77}).by_process is None
    assert devices.use("gpu0", {4711}).by_process == {4711: 7000 * MIB}


def test_a_driver_that_was_exchanged_is_asked_anew(script: Script) -> None:
    nvml = Nvml(script.load)
    assert nvml.memory("GPU-0000-aaaa") == (24576 * MIB, 1000 * MIB)
    script.write(init=9)
    assert nvml.memory("GPU-0000-aaaa") is None
    assert nvml.memory("GPU-0000-aaaa") is None
    script.write((24576, 5))
    assert nvml.memory("GPU-0000-aaaa") == (24576 * MIB, 5 * MIB)
    assert nvml.memory("GPU-9000-aaaa") is None


def test_no_driver() -> None:
    nvml = Nvml(lambda: None)
    assert (nvml.memory("x"), nvml.by_process("x")) == (None, None)


RADEON = """
== /proc/50/fdinfo/3
pos:\t0
drm-driver:\tamdgpu
drm-client-id:\t12
drm-pdev:\t0000:03:00.0
drm-memory-vram:\t2048 KiB
drm-memory-gtt: \t100 KiB
== /proc/50/fdinfo/4
drm-driver:\tamdgpu
drm-client-id:\t12
drm-pdev:\t0000:03:00.0
drm-memory-vram:\t2048 KiB
== /proc/50/fdinfo/5
drm-pdev:\t0000:03:00.0
drm-client-id:\t13
drm-total-vram0:\t9 MiB
drm-resident-vram0:\t4 MiB
== /proc/50/fdinfo/6
drm-pdev:\t0000:04:00.0
drm-client-id:\t1
drm-memory-vram:\t999 MiB
== /proc/51/fdinfo/1
pos:\t0
"""


def test_fdinfo_counts_each_client_once(tmp_path: Path) -> None:
    tree = plant(tmp_path, RADEON)
    assert drm_bytes(tree, [50, 51, 52], "0000:03:00.0", shared=False) == {50: 6 * MIB}
    assert drm_bytes(tree, [50], "0000:03:00.0", shared=True) == {50: 6 * MIB + 100 * 1024}


def test_rocm_counts_by_process(tmp_path: Path) -> None:
    kfd = "== /sys/class/kfd/kfd/topology/nodes/1/properties\nlocation_id 768\ndomain 0\ngfx_target_version 110000\n"
    kfd += "== /sys/class/kfd/kfd/topology/nodes/1/gpu_id\n4242\n== /sys/class/kfd/kfd/proc/50/vram_4242\n8388608\n"
    assert drm_bytes(plant(tmp_path, RADEON + kfd), [50, 51], "0000:03:00.0", shared=False) == {50: 8 * MIB}


def test_a_radeon_by_sysfs(tmp_path: Path) -> None:
    tree = plant(tmp_path, trees.AMD_CARD + RADEON)
    gpus = probe_linux(tree, frozenset({0})).gpus
    devices = MemoryDevices(Hardware(Processor("", 4, 4, 4), Memory(1, 1), gpus), tree=tree, load=lambda: None)
    use = devices.use("gpu0", [50])
    assert (use.total, use.used, use.by_process) == (25753026560, 1054867456, {50: 6 * MIB})


def test_a_device_that_tells_nothing_has_its_size(tmp_path: Path) -> None:
    card = Gpu("Arc", "intel", Backend.VULKAN, 8 * 1024 * MIB, None, device="Vulkan0")
    devices = MemoryDevices(Hardware(Processor("", 4, 4, 4), Memory(1, 1), (card,)), tree=Tree(tmp_path))
    use = devices.use("gpu0", [1])
    assert (use.total, use.used, use.by_process) == (8 * 1024 * MIB, 0, None)


def test_the_engines_order_is_matched_to_the_drivers() -> None:
    def card(name: str, vendor: str, address: str) -> Gpu:
        return Gpu(name, vendor, Backend.CUDA, 1, 1, address=address)

    small, large, radeon = card("RTX 3060", "nvidia", "a"), card("RTX 4090", "nvidia", "b"), card("RX", "amd", "c")
    vulkan = [replace(gpu, name=f"{gpu.name} (RADV)", address="") for gpu in (radeon, large, small)]
    assert match_drivers(vulkan, [small, large, radeon]) == [radeon, large, small]
    assert match_drivers([card("other", "nvidia", "")], [radeon, small]) == [small]
    assert match_drivers([card("x", "nvidia", "")] * 2, [small]) == [small, None]


def test_shared_memory_is_one_device(script: Script, tmp_path: Path) -> None:
    gpu = Gpu("GB10", "nvidia", Backend.CUDA, None, None, unified=True, address="GPU-0000-aaaa")
    script.write((0, 0), processes={(0, os.getpid()): 70})
    (tmp_path / "tree").mkdir()
    tree = plant(tmp_path / "tree", KERNEL + f"== /proc/{os.getpid()}/status\nRssAnon:\t1024 kB\n")
    hardware = Hardware(Processor("", 4, 4, 4), Memory(1, 1), (gpu,))
    devices = MemoryDevices(hardware, tree=tree, load=script.load)
    assert devices.ids == ("unified",)
    use = devices.use("unified", [os.getpid()])
    assert use.by_process is not None
    assert use.by_process[os.getpid()] > 70 * MIB
    assert use.total > 0


def test_memory_of_a_process() -> None:
    whole, quick = process_memory(os.getpid()), process_memory(os.getpid(), quick=True)
    assert whole is not None
    assert quick is not None
    assert whole.own > 5 * MIB
    assert abs(whole.own - quick.own) < 8 * MIB
    assert quick.mapped == pytest.approx(whole.mapped, abs=MIB)
    assert whole.mapped > 0
    assert process_memory(2**22 + 1) is None


def test_what_is_swapped_out_is_still_its_own(tmp_path: Path) -> None:
    text = "== /proc/5/smaps_rollup\nPss_Anon: 10 kB\nPss_Shmem: 1 kB\nPss_File: 2 kB\nSwapPss: 4 kB\n"
    text += "== /proc/5/status\nRssAnon: 11 kB\nRssFile: 3 kB\n"
    found = process_memory(5, plant(tmp_path, text))
    assert found is not None
    assert (found.own, found.mapped) == (15 * 1024, 3 * 1024)
    other = process_memory(6, plant(tmp_path, "== /proc/6/status\nRssAnon: 7 kB\nRssFile: 2 kB\nVmSwap: 1 kB\n"))
    assert other is not None
    assert (other.own, other.mapped) == (8 * 1024, 2 * 1024)


def test_a_family_begins_with_the_parent() -> None:
    assert family(os.getpid())[0] == os.getpid()
