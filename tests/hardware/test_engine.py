"""What the engine itself says about devices."""

from __future__ import annotations

from pathlib import Path

from claracore.core.fit.machine import Backend, Gpu, Hardware, Memory, Processor
from claracore.core.units import GIB, MIB
from claracore.host.hardware.engine import as_the_engine_sees, list_devices, parse_devices

TWO_CARDS = """\
ggml_cuda_init: found 2 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
Available devices:
  CUDA0: NVIDIA GeForce RTX 4090 (24077 MiB, 23653 MiB free)
  CUDA1: NVIDIA GeForce RTX 3060 (12044 MiB, 11900 MiB free)
  Vulkan0: NVIDIA GeForce RTX 4090 (24564 MiB, 23653 MiB free)
"""
MACHINE = Hardware(Processor("x", 8, 4, 4), Memory(32 * GIB, 30 * GIB))
CARD = Gpu("NVIDIA GeForce RTX 4090", "nvidia", Backend.CUDA, 24 * GIB, 23 * GIB, source="NVML")
APU = Gpu("AMD graphics 1586", "amd", Backend.ROCM, 60 * GIB, 60 * GIB, unified=True)


def test_devices_of_the_first_backend_in_the_engines_order() -> None:
    devices = parse_devices(TWO_CARDS)
    assert devices is not None
    assert [(gpu.name, gpu.total_bytes, gpu.backend) for gpu in devices] == [
        ("NVIDIA GeForce RTX 4090", 24077 * MIB, Backend.CUDA),
        ("NVIDIA GeForce RTX 3060", 12044 * MIB, Backend.CUDA),
    ]


def test_no_list_is_not_an_empty_list() -> None:
    assert parse_devices("error: invalid argument: --list-devices") is None
    assert parse_devices("Available devices:\n") == ()
    assert parse_devices("Available devices:\n  BLAS0: OpenBLAS (0 MiB, 0 MiB free)\n") == ()


def test_an_engine_without_gpus_has_no_use_for_a_card() -> None:
    seen = as_the_engine_sees(Hardware(MACHINE.processor, MACHINE.memory, (CARD,)), ())
    assert seen.gpus == ()
    assert seen.notes == ("the engine was built without support for graphics devices: they are not used",)


def test_shared_memory_is_known_from_the_driver() -> None:
    text = "Available devices:\n  Vulkan0: AMD Radeon 8060S (RADV GFX1151) (64000 MiB, 63000 MiB free)\n"
    devices = parse_devices(text)
    assert devices is not None
    (gpu,) = as_the_engine_sees(Hardware(MACHINE.processor, MACHINE.memory, (APU,)), devices).gpus
    assert (gpu.backend, gpu.unified, gpu.total_bytes) == (Backend.VULKAN, True, 64000 * MIB)


def test_the_engine_is_asked(tmp_path: Path) -> None:
    script = tmp_path / "llama-server"
    script.write_text(f"#!/bin/sh\ntest \"$1\" = --list-devices && cat <<'EOF'\n{TWO_CARDS}EOF\n")
    script.chmod(0o755)
    answer = list_devices([str(script)])
    assert answer is not None
    assert len(parse_devices(answer) or ()) == 2
    assert list_devices([str(tmp_path / "nothing")]) is None


def test_the_question_is_asked_with_the_numbering_that_models_run_with(tmp_path: Path) -> None:
    script = tmp_path / "llama-server"
    script.write_text('#!/bin/sh\necho "order $CUDA_DEVICE_ORDER"\n')
    script.chmod(0o755)
    assert list_devices([str(script)]) == "order PCI_BUS_ID\n"


def test_vulkan_tells_which_devices_share_memory() -> None:
    text = """\
Available devices:
  Vulkan0: AMD Radeon RX 7900 XTX (RADV NAVI31) (24560 MiB, 24000 MiB free)
  Vulkan1: AMD Radeon Graphics (RADV RAPHAEL_MENDOCINO) (15792 MiB, 15000 MiB free)
ggml_vulkan: Found 2 Vulkan devices:
ggml_vulkan: 0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1 | bf16: 0 | warp size: 64
ggml_vulkan: 1 = AMD Radeon Graphics (RADV RAPHAEL_MENDOCINO) (radv) | uma: 1 | fp16: 1 | bf16: 0 | warp size: 64
"""
    devices = parse_devices(text)
    assert devices is not None
    assert [(gpu.device, gpu.unified) for gpu in devices] == [("Vulkan0", False), ("Vulkan1", True)]
