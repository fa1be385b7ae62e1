"""Which of llama.cpp's images fits a machine for which there is no native build?

The table is the project's own (docs/docker.md of llama.cpp, b11434): which images it publishes, for which processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

REPOSITORY: Final = "ghcr.io/ggml-org/llama.cpp"
AMD64, ARM64, S390X = "amd64", "arm64", "s390x"
PROCESSORS: Final = {"x86_64": AMD64, "amd64": AMD64, "aarch64": ARM64, "arm64": ARM64, "s390x": S390X}
"""What `platform.machine()` says, as images call it."""
PUBLISHED: Final = {
    "server": (AMD64, ARM64, S390X),
    "server-cuda": (AMD64, ARM64),
    "server-cuda13": (AMD64, ARM64),
    "server-rocm": (AMD64,),
    "server-vulkan": (AMD64, ARM64),
    "server-intel": (AMD64,),
}
CUDA_13_DRIVER: Final = 580
"""The first driver with CUDA 13 (NVIDIA's CUDA release notes, "CUDA Toolkit and Minimum Required Driver Version")."""
FOR: Final = {
    "nvidia": ("server-cuda", "server-vulkan", "server"),
    "amd": ("server-rocm", "server-vulkan", "server"),
    "intel": ("server-vulkan", "server-intel", "server"),
    "": ("server",),
}
WHY: Final = {
    "server": "it computes on the processor",
    "server-cuda": "it has CUDA 12, for NVIDIA's cards",
    "server-cuda13": "it has CUDA 13, for NVIDIA's cards with a driver of 580 or newer",
    "server-rocm": "it has ROCm, for AMD's cards",
    "server-vulkan": "it has Vulkan, for graphics devices of all kinds",
    "server-intel": "it has SYCL, for Intel's graphics devices",
}


@dataclass(frozen=True, slots=True)
class SuggestedImage:
    """An image that fits, and why."""

    image: str
    why: str

    def as_yaml(self, folder: str = "/models", file: str = "model.gguf") -> str:
        """Return the lines of a model that runs in it."""
        return f"    container:\n      image: {self.image}\n      mounts: [{folder}]\n      args: -m {folder}/{file}\n"


def suggested_images(
    machine: str, vendor: Literal["nvidia", "amd", "intel", ""], *, driver: int | None = None
) -> tuple[SuggestedImage, ...]:
    """Return the images that fit, the best first; none for a processor that llama.cpp publishes none for.

    `machine` is the processor as `platform.machine()` says it, `vendor` that of the graphics device ("" for none),
    `driver` the first number of NVIDIA's driver where it is known.
    """
    processor = PROCESSORS.get(machine.lower())
    names = list(FOR[vendor])
    if vendor == "nvidia" and driver is not None and driver >= CUDA_13_DRIVER:
        names.insert(0, "server-cuda13")
    return tuple(SuggestedImage(f"{REPOSITORY}:{name}", WHY[name]) for name in names if processor in PUBLISHED[name])
