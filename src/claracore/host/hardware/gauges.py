"""How busy is a graphics device, how hot, and how much power does it draw?

NVIDIA: NVML, on the library that stays open (`nvml.py`). AMD and Intel: `gpu_busy_percent` of amdgpu, and what the card
tells the kernel's hardware monitoring (kernel.org, hwmon/sysfs-interface.rst): millidegrees and microwatts. What a
driver does not say, or a sleeping card does not, is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from claracore.core.fit.machine import Gpu
from claracore.host.hardware.c_library import CLibrary
from claracore.host.hardware.drm import DRM, device_folder
from claracore.host.hardware.nvidia import load_library
from claracore.host.hardware.nvml import Nvml
from claracore.host.hardware.tree import Tree


@dataclass(frozen=True, slots=True)
class Gauges:
    """One device at one moment; None is "it does not say"."""

    busy_percent: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


UNTOLD: Final = Gauges()


class GpuGauges:
    """Reads graphics devices over and over; for any thread."""

    def __init__(self, *, tree: Tree | None = None, load: Callable[[], CLibrary | None] = load_library) -> None:
        """Nothing is opened before it is asked for."""
        self._tree = tree or Tree()
        self._nvml = Nvml(load)

    def read(self, gpu: Gpu) -> Gauges:
        """Return what a device says of itself."""
        if gpu.vendor == "nvidia":
            return Gauges(*(self._nvml.gauges(gpu.address) or ()))
        folder = device_folder(self._tree, gpu.address) if gpu.address else None
        return UNTOLD if folder is None or not folder.startswith(DRM) else self._of_drm(folder)

    def _of_drm(self, folder: str) -> Gauges:
        monitors = [f"{folder}/hwmon/{name}" for name in self._tree.names(f"{folder}/hwmon")]
        temperature = self._first(monitors, "temp1_input")
        power = self._first(monitors, "power1_average", "power1_input")
        return Gauges(
            busy_percent=self._number(f"{folder}/gpu_busy_percent"),
            temperature_celsius=None if temperature is None else temperature / 1e3,
            power_watts=None if power is None else round(power / 1e6, 1),
        )

    def _first(self, folders: list[str], *names: str) -> float | None:
        found = (self._number(f"{folder}/{name}") for folder in folders for name in names)
        return next((number for number in found if number is not None), None)

    def _number(self, path: str) -> float | None:
        number = self._tree.number(path)
        return None if number is None else float(number)
