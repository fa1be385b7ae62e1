"""What speaks against running a build of an engine on this machine?

A hard objection: it cannot start, or cannot use the device, whatever a person says. A soft one: there is nothing here
that it would be good for, as far as could be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.release import ReleaseAsset
from claracore.core.engines.sources import BuildPattern, Version
from claracore.core.fit.machine import Backend

CUDA_DRIVERS: Final[dict[int, str]] = {12: "525.60", 13: "580.65"}
"""NVIDIA, "CUDA Compatibility": the oldest driver of each major version."""
READY_MADE: Final[frozenset[Version]] = frozenset({(8, 6), (8, 9), (12, 0)})
"""Cards for which llama.cpp's builds hold machine code; for all others they hold PTX, which only a driver compiles that
knows the CUDA that it was made with (ggml/src/ggml-cuda/CMakeLists.txt)."""
OLDEST_CARDS: Final[dict[int, Version]] = {12: (5, 0), 13: (7, 5)}


@dataclass(frozen=True, slots=True)
class BuildCandidate:
    """One file of a release that is a build, and what its name says."""

    asset: ReleaseAsset
    build: BuildPattern
    processor: str
    runtime: Version


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a build is not taken."""

    reason: str
    hard: bool = True
    elsewhere: bool = False
    """Whether it is for another system or processor."""


def objection(one: BuildCandidate, machine: EngineMachine) -> Objection | None:
    """Return what speaks against a build here, the hardest first; None for nothing."""
    build = one.build
    if build.system != machine.system:
        return Objection(f"it is for {build.system}, this is {machine.system}", elsewhere=True)
    if one.processor and one.processor != machine.processor:
        return Objection(f"it is for {one.processor} processors, this is {machine.processor}", elsewhere=True)
    if build.glibc and machine.c_library not in {"glibc", ""}:
        return Objection(f"it needs glibc, and this system has {machine.c_library}")
    if build.glibc and machine.c_library_version and machine.c_library_version < build.glibc:
        return Objection(
            f"it needs glibc {dotted(build.glibc)}, and this system has {dotted(machine.c_library_version)}"
        )
    match build.backend:
        case Backend.CUDA:
            return _cuda(one, machine)
        case Backend.ROCM:
            return _rocm(one, machine)
        case Backend.VULKAN:
            return _vulkan(machine)
        case Backend.SYCL:
            return _sycl(machine)
        case _:
            return None


def _cuda(one: BuildCandidate, machine: EngineMachine) -> Objection | None:
    if not machine.has("nvidia"):
        return Objection("there is no NVIDIA device here", hard=False)
    if machine.cuda is None:
        return Objection("NVIDIA's driver does not say which CUDA it knows", hard=False)
    major = one.runtime[0]
    oldest = OLDEST_CARDS.get(major)
    if oldest is not None and machine.cuda_cards and max(machine.cuda_cards) < oldest:
        return Objection(f"CUDA {major} is not for cards as old as this one (compute capability "
                          f"{dotted(max(machine.cuda_cards))}, at least {dotted(oldest)})")  # fmt: skip
    if machine.cuda >= one.runtime:
        return None
    if machine.cuda[0] == major and machine.cuda_cards and READY_MADE.issuperset(machine.cuda_cards):
        return None
    needed = f" (CUDA {major} begins with driver {CUDA_DRIVERS[major]})" if major in CUDA_DRIVERS else ""
    driver = f"driver {machine.nvidia_driver}" if machine.nvidia_driver else "the driver"
    return Objection(f"{driver} is too old: it knows CUDA {dotted(machine.cuda)}, the build needs "
                      f"{dotted(one.runtime)}{needed}")  # fmt: skip


def _rocm(one: BuildCandidate, machine: EngineMachine) -> Objection | None:
    if not machine.has("amd"):
        return Objection("there is no AMD device here", hard=False)
    if machine.system == "windows":  # its archive brings the libraries along
        return None
    if machine.rocm is None:
        return Objection("ROCm's libraries are not installed here, which the build does not bring along", hard=False)
    if machine.rocm[0] != one.runtime[0] or machine.rocm < one.runtime:
        return Objection(f"ROCm {dotted(machine.rocm)} is installed, the build needs {dotted(one.runtime)}")
    return None


def _vulkan(machine: EngineMachine) -> Objection | None:
    if not machine.gpus:
        return Objection("there is no graphics device here", hard=False)
    if not machine.has_vulkan:
        return Objection(
            "there is no Vulkan loader (libvulkan.so.1): install libvulkan1 and the card's driver", hard=False
        )
    return None


def _sycl(machine: EngineMachine) -> Objection | None:
    if not machine.has("intel"):
        return Objection("there is no Intel graphics device here", hard=False)
    if not machine.has_sycl:
        return Objection("oneAPI's libraries are not installed here, which the build does not bring along", hard=False)
    return None


def version(text: str) -> Version:
    """Return `12.8` as `(12, 8)`; what is no number ends it."""
    parts = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return tuple(parts)


def dotted(parts: Version) -> str:
    """Return `(12, 8)` as `12.8`."""
    return ".".join(map(str, parts))
