"""What of a machine decides which build of an engine runs on it?

Values only; `host/engines/machine.py` reads them. None is "not there, or could not be read".
"""

from __future__ import annotations

from dataclasses import dataclass

from claracore.core.engines.sources import System, Version
from claracore.core.fit.machine import Gpu


@dataclass(frozen=True, slots=True)
class EngineMachine:
    """A machine, as far as builds of engines care."""

    system: System | str
    processor: str
    """`x64`, `arm64`, `s390x`, or what the system calls any other."""
    c_library: str = ""
    """`glibc`, `musl`, or empty where that is no matter."""
    c_library_version: Version = ()
    gpus: tuple[Gpu, ...] = ()
    nvidia_driver: str = ""
    """As the driver writes it, `550.54.14`."""
    cuda: Version | None = None
    """The newest CUDA that NVIDIA's driver knows."""
    cuda_cards: tuple[Version, ...] = ()
    """Compute capability of each NVIDIA card, `(8, 6)`."""
    rocm: Version | None = None
    """The version of ROCm's libraries that are installed."""
    has_vulkan: bool = False
    """Whether there is a loader of Vulkan."""
    has_sycl: bool = False
    """Whether oneAPI's libraries are installed."""

    def has(self, vendor: str) -> bool:
        """Whether there is a graphics device of a vendor (`nvidia`, `amd`, `intel`, `apple`)."""
        return any(gpu.vendor == vendor for gpu in self.gpus)
