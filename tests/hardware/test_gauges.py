"""How busy and hot graphics devices are, as their drivers tell it."""

from __future__ import annotations

from pathlib import Path

from claracore.core.fit.machine import Backend, Gpu
from claracore.host.hardware.drm import read_gpus
from claracore.host.hardware.gauges import UNTOLD, Gauges, GpuGauges
from hardware.nvml import build
from hardware.trees import plant

AMD = """
== /sys/class/drm/card1/device/vendor
0x1002
== /sys/class/drm/card1/device/uevent
DRIVER=amdgpu
PCI_SLOT_NAME=0000:03:00.0
== /sys/class/drm/card1/device/product_name
Radeon RX 7900 XTX
== /sys/class/drm/card1/device/mem_info_vram_total
25753026560
== /sys/class/drm/card1/device/gpu_busy_percent
87
== /sys/class/drm/card1/device/hwmon/hwmon4/name
amdgpu
== /sys/class/drm/card1/device/hwmon/hwmon4/temp1_input
61000
== /sys/class/drm/card1/device/hwmon/hwmon4/power1_average
303000000
"""


def card(number: int) -> Gpu:
    return Gpu(f"NVIDIA card {number}", "nvidia", Backend.CUDA, 1, 1, address=f"GPU-{number}000-aaaa")


def test_nvml_tells_them_anew_each_time(tmp_path: Path) -> None:
    script = build(tmp_path)
    script.write((24576, 1500), (12288, 200), gauges={0: (63, 71, 284)})
    gauges = GpuGauges(load=script.load)
    assert gauges.read(card(0)) == Gauges(63.0, 71.0, 284.0)
    assert gauges.read(card(1)) == UNTOLD
    assert gauges.read(card(5)) == UNTOLD
    script.write((24576, 1500), (12288, 200), gauges={0: (0, 40, 25), 1: (5, 38, 22)})
    assert gauges.read(card(0)) == Gauges(0.0, 40.0, 25.0)
    assert gauges.read(card(1)) == Gauges(5.0, 38.0, 22.0)


def test_the_kernel_tells_those_of_an_amd_card(tmp_path: Path) -> None:
    tree = plant(tmp_path, AMD)
    gpus, _ = read_gpus(tree, lambda: None)
    gauges = GpuGauges(tree=tree, load=lambda: None)
    assert gauges.read(gpus[0]) == Gauges(87.0, 61.0, 303.0)


def test_a_card_that_sleeps_or_has_no_address_says_nothing(tmp_path: Path) -> None:
    tree = plant(tmp_path, AMD)
    for name in ("gpu_busy_percent", "hwmon/hwmon4/temp1_input", "hwmon/hwmon4/power1_average"):
        tree.at(f"/sys/class/drm/card1/device/{name}").unlink()
    gauges = GpuGauges(tree=tree, load=lambda: None)
    assert gauges.read(read_gpus(tree, lambda: None)[0][0]) == UNTOLD
    assert gauges.read(Gpu("Apple M3", "apple", Backend.METAL, 1, 1)) == UNTOLD
