"""A Mac's sysctl, and what a person says is different."""

from __future__ import annotations

import pytest

from claracore.core.fit.budget import budget_of
from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor, overridden, teamed
from claracore.core.units import GIB
from claracore.host.hardware.apple import from_sysctl, parse_sysctl
from hardware.trees import MAC

PROCESSOR = Processor("x", 16, 8, 8)
CARD = Gpu("RTX", "nvidia", Backend.CUDA, 24 * GIB, 20 * GIB)
SMALL = Gpu("GTX", "nvidia", Backend.CUDA, 8 * GIB, 8 * GIB)
MACHINE = Hardware(PROCESSOR, Memory(64 * GIB, 50 * GIB), (CARD, SMALL))


def test_a_mac_shares_memory() -> None:
    processor, memory, (gpu,) = from_sysctl(parse_sysctl(MAC), 20 * GIB, "arm64")
    assert (processor.name, processor.threads) == ("Apple M2 Max", 8)
    assert (memory.total_bytes, memory.available_bytes) == (36 * GIB, 20 * GIB)
    assert (gpu.unified, gpu.total_bytes, gpu.backend) == (True, None, Backend.METAL)
    room = budget_of(Hardware(processor, memory, (gpu,)))
    assert room.gpus[0] == 23 * GIB
    assert room.shared == (True,)


def test_a_wired_limit_is_taken_at_its_word() -> None:
    _, _, (gpu,) = from_sysctl(parse_sysctl(MAC.replace("limit_mb: 0", "limit_mb: 30000")), 20 * GIB, "arm64")
    assert gpu.total_bytes == 30000 * 1024**2


def test_an_intel_mac_has_no_metal_device_for_us() -> None:
    assert from_sysctl(parse_sysctl(MAC), 1, "x86_64")[2] == ()


def test_no_override_changes_nothing() -> None:
    assert overridden(MACHINE) == MACHINE
    assert overridden(MACHINE, backend="auto") == MACHINE


def test_the_cpu_alone() -> None:
    assert overridden(MACHINE, backend="cpu").gpus == ()
    assert overridden(MACHINE, vram_gb=0).gpus == ()


def test_vram_is_divided_by_size() -> None:
    first, second = overridden(MACHINE, vram_gb=16).gpus
    assert (first.total_bytes, second.total_bytes) == (12 * GIB, 4 * GIB)


def test_vram_without_a_device_declares_one() -> None:
    (gpu,) = overridden(Hardware(PROCESSOR, Memory(GIB, GIB)), vram_gb=8, backend="vulkan").gpus
    assert (gpu.backend, gpu.total_bytes, gpu.source) == (Backend.VULKAN, 8 * GIB, "as given")


def test_ram_and_unknown_backends() -> None:
    assert overridden(MACHINE, ram_gb=1.5).memory.total_bytes == GIB * 3 // 2
    with pytest.raises(ValueError, match="it is one of auto, cpu, cuda, rocm, vulkan, metal, sycl"):
        overridden(MACHINE, backend="opencl")


def test_budgets_leave_room() -> None:
    room = budget_of(MACHINE)
    assert (room.gpus, room.ram) == ((23 * GIB, 7 * GIB), 62 * GIB)
    assert budget_of(MACHINE, live=True).gpus == (19 * GIB, 7 * GIB)


RTX = Gpu("RTX 4060", "nvidia", Backend.CUDA, 8 * GIB, 7 * GIB)
RADEON = Gpu("RX 7900 XTX", "amd", Backend.ROCM, 24 * GIB, 24 * GIB)
IRIS = Gpu("Iris Xe", "intel", Backend.SYCL, None, None, unified=True)
RAPHAEL = Gpu("Raphael", "amd", Backend.ROCM, 16 * GIB, 16 * GIB, unified=True)


@pytest.mark.parametrize(
    ("gpus", "backend", "used"),
    [
        ((RTX, IRIS), None, (RTX,)),
        ((IRIS, RTX), "auto", (RTX,)),
        ((RTX, RADEON), None, (RADEON,)),
        ((RTX, RADEON), "cuda", (RTX,)),
        ((RTX, RADEON, IRIS), "vulkan", (RTX, RADEON)),
        ((RTX, RTX, RAPHAEL), None, (RTX, RTX)),
        ((RADEON, RAPHAEL), None, (RADEON,)),
        ((IRIS,), None, (IRIS,)),
        ((RAPHAEL, IRIS), None, (RAPHAEL,)),
        ((), None, ()),
    ],
    ids=lambda value: "+".join(gpu.name for gpu in value) if isinstance(value, tuple) else str(value),
)
def test_only_devices_that_work_together_are_used(
    gpus: tuple[Gpu, ...], backend: str | None, used: tuple[Gpu, ...]
) -> None:
    found = teamed(Hardware(PROCESSOR, Memory(GIB, GIB), gpus), backend)
    assert found.gpus == used
    assert sorted(gpu.name for gpu in found.gpus + found.idle) == sorted(gpu.name for gpu in gpus)
    assert len(found.notes) == len(found.idle)


def test_a_device_that_is_not_used_is_remembered() -> None:
    found = overridden(MACHINE, backend="cpu")
    assert found.idle == MACHINE.gpus
    assert found.has_devices
