"""Captured trees in, values out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.fit.machine import Backend
from claracore.host.hardware.cgroup import read_limits
from claracore.host.hardware.probe import probe, probe_linux
from claracore.host.hardware.tree import Tree, cpu_list, whole_number
from hardware import trees
from hardware.trees import plant, topology

GIB = 1024**3
HYPER_THREADED = topology({0: (0, 0), 1: (0, 1), 2: (0, 0), 3: (0, 1), 4: (1, 0), 5: (1, 1), 6: (1, 0), 7: (1, 1)})
EVERY = frozenset(range(64))


def test_siblings_count_once_and_packages_apart(tmp_path: Path) -> None:
    processor = probe_linux(plant(tmp_path, HYPER_THREADED), EVERY).processor
    assert (processor.logical, processor.physical_cores, processor.threads) == (8, 4, 4)


def test_affinity_restricts(tmp_path: Path) -> None:
    processor = probe_linux(plant(tmp_path, HYPER_THREADED), frozenset({0, 2, 4})).processor
    assert (processor.logical, processor.physical_cores) == (3, 2)


def test_efficiency_cores_do_not_compute(tmp_path: Path) -> None:
    tree = plant(tmp_path, HYPER_THREADED + "\n== /sys/devices/cpu_core/cpus\n0-3\n== /sys/devices/cpu_atom/cpus\n4-7")
    processor = probe_linux(tree, EVERY).processor
    assert (processor.physical_cores, processor.performance_cores, processor.threads) == (4, 2, 2)


def test_arm_little_cores_do_not_compute(tmp_path: Path) -> None:
    capacities = {0: 325, 1: 325, 2: 828, 3: 1024}
    files = "\n".join(f"== /sys/devices/system/cpu/cpu{cpu}/cpu_capacity\n{value}" for cpu, value in capacities.items())
    tree = plant(tmp_path, topology({cpu: (0, cpu) for cpu in capacities}) + "\n" + files)
    assert probe_linux(tree, EVERY).processor.performance_cores == 2


@pytest.mark.parametrize(
    ("text", "memory", "used", "processors"),
    [
        (trees.DOCKER_V2, 8 * GIB, 1 * GIB, 2.5),
        (trees.DOCKER_V1, 4 * GIB, GIB // 2, 1.5),
        (trees.UNLIMITED_V1, None, 0, None),
        (trees.V2, None, 0, None),
    ],
    ids=["docker-v2", "docker-v1", "unlimited-v1", "v2-without-limits"],
)
def test_limits(tmp_path: Path, text: str, memory: int | None, used: int, processors: float | None) -> None:
    limits = read_limits(plant(tmp_path, text))
    assert (limits.memory_bytes, limits.used_bytes, limits.processors) == (memory, used, processors)


def test_the_smallest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    base = "/sys/fs/cgroup/user.slice"
    text = f"{trees.V2}== {base}/memory.max\n4294967296\n== {base}/session.scope/memory.max\nmax"
    text += f"\n== {base}/session.scope/cpu.max\n300000 100000\n== {base}/cpu.max\n100000 100000"
    limits = read_limits(plant(tmp_path, text))
    assert (limits.memory_bytes, limits.processors) == (4 * GIB, 1.0)
    assert limits.source == f"{base}/memory.max, {base}/cpu.max"


def test_memory_and_threads_inside_a_container(tmp_path: Path) -> None:
    hardware = probe_linux(plant(tmp_path, trees.MEMINFO + trees.DOCKER_V2.lstrip() + HYPER_THREADED), EVERY)
    assert hardware.memory.total_bytes == 8 * GIB
    assert hardware.memory.available_bytes == 7 * GIB
    assert hardware.processor.threads == 2


def test_memory_of_the_machine(tmp_path: Path) -> None:
    memory = probe_linux(plant(tmp_path, trees.MEMINFO), EVERY).memory
    assert (memory.total_bytes, memory.available_bytes) == (65536000 * 1024, 60000000 * 1024)


def test_a_radeon(tmp_path: Path) -> None:
    (gpu,) = probe_linux(plant(tmp_path, trees.AMD_CARD), EVERY).gpus
    assert (gpu.name, gpu.backend, gpu.unified) == ("AMD Radeon RX 7900 XTX", Backend.ROCM, False)
    assert (gpu.total_bytes, gpu.free_bytes) == (25753026560, 25753026560 - 1054867456)
    assert gpu.address == "0000:03:00.0"


def test_an_apu_shares_ram(tmp_path: Path) -> None:
    (gpu,) = probe_linux(plant(tmp_path, trees.STRIX_HALO), EVERY).gpus
    assert gpu.unified
    assert gpu.total_bytes == 536870912 + 67108864000
    assert gpu.free_bytes == 268435456 + 67000000000
    assert gpu.name == "AMD graphics 1586"


def test_intel_tells_no_number_that_it_does_not_know(tmp_path: Path) -> None:
    hardware = probe_linux(plant(tmp_path, trees.INTEL), EVERY)
    integrated, silent, telling = hardware.gpus
    assert (integrated.unified, integrated.total_bytes) == (True, None)
    assert (silent.unified, silent.total_bytes) == (False, None)
    assert (telling.total_bytes, telling.free_bytes) == (17095983104, 17000000000)
    assert hardware.notes == ("Intel graphics 56a0 (0000:03:00.0): its driver does not tell its memory; say --vram GB",)


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    hardware = probe_linux(Tree(tmp_path), frozenset({0}))
    assert (hardware.processor.threads, hardware.gpus, hardware.memory.total_bytes) == (1, (), 0)


def test_this_machine() -> None:
    hardware = probe()
    assert hardware.processor.threads >= 1
    assert 0 < hardware.memory.available_bytes <= hardware.memory.total_bytes


@given(st.text(max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    whole_number(text)
    cpu_list(text if len(text) < 8 else text[:8])


@given(st.sets(st.integers(0, 300)))
def test_a_cpu_list_is_read_as_written(cpus: set[int]) -> None:
    assert cpu_list(",".join(map(str, sorted(cpus)))) == cpus
