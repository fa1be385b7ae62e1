"""With which options does a container get which graphics devices?

NVIDIA's come by the runtime's own means (`--gpus`, or CDI with Podman), AMD's and Intel's as device files. All three
have a variable by which their libraries see only some of the devices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

GpuKind = Literal["nvidia", "amd", "intel", "dri", "none"]
"""`dri`: whatever has a render node, for Vulkan."""
KINDS: Final[tuple[GpuKind, ...]] = ("nvidia", "amd", "intel", "dri")
MADE_FOR: Final[tuple[tuple[re.Pattern[str], GpuKind], ...]] = (
    (re.compile(r"cuda|nvidia|tensorrt", re.IGNORECASE), "nvidia"),
    (re.compile(r"rocm|hip\b|-amd", re.IGNORECASE), "amd"),
    (re.compile(r"intel|sycl|xpu|oneapi|openvino", re.IGNORECASE), "intel"),
)
FOR_PROCESSORS: Final = re.compile(r"llama\.cpp:(?:server|full|light)(?:-b\d+)?$|[-:]cpu\b", re.IGNORECASE)
VULKAN: Final = re.compile(r"vulkan", re.IGNORECASE)
SOME: Final[dict[str, str]] = {
    "amd": "HIP_VISIBLE_DEVICES={}",
    "intel": "ONEAPI_DEVICE_SELECTOR=level_zero:{}",
    "dri": "GGML_VK_VISIBLE_DEVICES={}",
}


def known_gpus(wanted: Sequence[str]) -> bool:
    """Whether `gpus` says something that is known: one word, or numbers of devices."""
    numbers = [word for word in wanted if word.isdecimal()]
    return len(numbers) == len(wanted) or (len(wanted) == 1 and wanted[0] in {"auto", "none", "all", *KINDS})


def kind_of(image: str, wanted: Sequence[str], present: GpuKind) -> GpuKind:
    """Return which kind of devices a container gets; `present` is what this machine has."""
    first = wanted[0] if wanted else "none"
    if first in {"none", *KINDS}:
        return next((kind for kind in KINDS if kind == first), "none")
    repository_free = image.rpartition("/")[2]
    if VULKAN.search(repository_free):
        return present if present in {"nvidia", "none"} else "dri"
    for pattern, kind in MADE_FOR:
        if pattern.search(repository_free):
            return kind
    return "none" if first == "auto" and FOR_PROCESSORS.search(repository_free) else present


def gpu_words(
    image: str, wanted: Sequence[str], runtime: Literal["docker", "podman"], *, present: GpuKind, groups: Sequence[int]
) -> list[str]:
    """Return the options of `docker run` or `podman run` that bring graphics devices into the container."""
    kind = kind_of(image, wanted, present)
    numbers = [word for word in wanted if word.isdecimal()]
    if kind == "none":
        return []
    if kind == "nvidia":
        # Vulkan's driver is left out where nothing is said.
        more = ["--env", "NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics"] if VULKAN.search(image) else []
        return [*_nvidia(numbers, runtime), *more]
    files = ["/dev/kfd", "/dev/dri"] if kind == "amd" else ["/dev/dri"]
    return [
        *(word for file in files for word in ("--device", file)),
        *(word for group in groups for word in ("--group-add", str(group))),
        *(("--env", SOME[kind].format(",".join(numbers))) if numbers else ()),
    ]


def _nvidia(numbers: Sequence[str], runtime: Literal["docker", "podman"]) -> list[str]:
    if runtime == "podman":
        return [word for number in numbers or ["all"] for word in ("--device", f"nvidia.com/gpu={number}")]
    # The value is one line of CSV, in which a comma would begin another option.
    return ["--gpus", f'"device={",".join(numbers)}"' if numbers else "all"]
