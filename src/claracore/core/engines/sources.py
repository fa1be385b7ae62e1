"""Where do engines publish builds, and what do the names of their files say?

One entry an engine. A pattern's groups say of a file what it is for: `processor`, and `runtime`, the version of CUDA or
ROCm that it was built with. What the table knows of llama.cpp stands in its own `release.yml`, `release-publish.yml`
and `make-release.yml` (read at b11434).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from claracore.core.fit.machine import Backend
from claracore.errors import BadRequest

System = Literal["linux", "darwin", "windows"]
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BuildPattern:
    """The files of one kind of build."""

    pattern: re.Pattern[str]
    system: System
    backend: Backend
    glibc: Version = ()
    """The C library that it needs at least; empty where that is no matter."""
    companion: str = ""
    """What the archive is called that belongs into the same folder, with `{tag}`, `{runtime}` and `{processor}`."""


@dataclass(frozen=True, slots=True)
class EngineSource:
    """One engine: who builds it, what its builds are called, and what of them is started."""

    name: str
    repository: str
    """OWNER/NAME on GitHub."""
    binary: str
    """The program, without `.exe`."""
    tag: re.Pattern[str]
    """Tags of releases that have builds."""
    builds: tuple[BuildPattern, ...]
    pointer: str = ""
    """The file of a release without builds that holds the tag of the one that has them."""
    trials: tuple[str, ...] = ("--version", "--help")
    """Flags that a build must answer before it counts as installed, each with exit code 0."""


def _names(middle: str, kind: str = r"tar\.gz", processor: str = "x64|arm64|s390x") -> re.Pattern[str]:
    return re.compile(rf"llama-[^/]+?-bin-{middle}-(?P<processor>{processor})\.{kind}")


UBUNTU_22: Final[Version] = (2, 35)
UBUNTU_24: Final[Version] = (2, 38)
"""Programs that were compiled there use functions of C23 that glibc has since 2.38, although it has 2.39 itself."""
LINUX_CUDART: Final = "cudart-llama-{tag}-bin-ubuntu-cuda-{runtime}-{processor}.tar.gz"
WINDOWS_CUDART: Final = "cudart-llama-bin-win-cuda-{runtime}-{processor}.zip"
RUNTIME: Final = r"(?P<runtime>\d+\.\d+)"

LLAMA_CPP: Final = EngineSource(
    name="llama.cpp",
    repository="ggml-org/llama.cpp",
    binary="llama-server",
    tag=re.compile(r"b\d+"),
    pointer="nightly-tag.txt",
    builds=(
        BuildPattern(_names("ubuntu", processor="x64"), "linux", Backend.CPU, UBUNTU_22),
        BuildPattern(_names("ubuntu", processor="arm64|s390x"), "linux", Backend.CPU, UBUNTU_24),
        BuildPattern(_names("ubuntu-vulkan", processor="x64"), "linux", Backend.VULKAN, UBUNTU_22),
        BuildPattern(_names("ubuntu-vulkan", processor="arm64"), "linux", Backend.VULKAN, UBUNTU_24),
        BuildPattern(_names(f"ubuntu-cuda-{RUNTIME}"), "linux", Backend.CUDA, UBUNTU_24, LINUX_CUDART),
        BuildPattern(_names(f"ubuntu-rocm-{RUNTIME}"), "linux", Backend.ROCM, UBUNTU_24),
        # Its 16-bit twin (sycl-fp16) computes with fewer digits: who wants that unpacks it and names it in `cmd`.
        BuildPattern(_names("ubuntu-sycl-fp32"), "linux", Backend.SYCL, UBUNTU_24),
        BuildPattern(_names("macos", processor="arm64"), "darwin", Backend.METAL),
        BuildPattern(_names("macos", processor="x64"), "darwin", Backend.CPU),
        BuildPattern(_names("win-cpu", "zip"), "windows", Backend.CPU),
        BuildPattern(_names("win-vulkan", "zip"), "windows", Backend.VULKAN),
        BuildPattern(_names(f"win-cuda-{RUNTIME}", "zip"), "windows", Backend.CUDA, companion=WINDOWS_CUDART),
        BuildPattern(_names(f"win-rocm-{RUNTIME}", "zip"), "windows", Backend.ROCM),
        BuildPattern(_names("win-sycl", "zip"), "windows", Backend.SYCL),
    ),
)

# Its release.yml, read in November 2026. The server is among the examples; CUDA's libraries are in the archive.
WHISPER_CPP: Final = EngineSource(
    name="whisper.cpp",
    repository="ggml-org/whisper.cpp",
    binary="whisper-server",
    tag=re.compile(r"v\d+(?:\.\d+)+|b\d+"),
    trials=("--help",),
    builds=(
        BuildPattern(
            re.compile(r"whisper-bin-ubuntu-(?P<processor>x64|arm64)\.tar\.gz"), "linux", Backend.CPU, UBUNTU_22
        ),
        BuildPattern(re.compile(r"whisper-bin-macos-(?P<processor>arm64)\.tar\.gz"), "darwin", Backend.METAL),
        BuildPattern(re.compile(r"whisper-bin-macos-(?P<processor>x64)\.tar\.gz"), "darwin", Backend.CPU),
        BuildPattern(re.compile(r"whisper-bin-(?P<processor>x64)\.zip"), "windows", Backend.CPU),
        BuildPattern(
            re.compile(rf"whisper-cublas-{RUNTIME}(?:\.\d+)*-bin-(?P<processor>x64)\.zip"), "windows", Backend.CUDA
        ),
    ),
)


def _painter(middle: str) -> re.Pattern[str]:
    return re.compile(rf"sd-[\w.]+-[0-9a-f]+-bin-{middle}\.zip")


PROCESSORS: Final = "(?P<processor>x86_64|aarch64)"
# Its build.yml, read in November 2026. Windows' builds for CUDA lack its libraries, and are not offered.
STABLE_DIFFUSION_CPP: Final = EngineSource(
    name="stable-diffusion.cpp",
    repository="leejet/stable-diffusion.cpp",
    binary="sd-server",
    tag=re.compile(r"master-\d+-[0-9a-f]+"),
    trials=("--help",),
    builds=(
        BuildPattern(_painter(rf"Linux-Ubuntu-24\.04-{PROCESSORS}"), "linux", Backend.CPU, UBUNTU_24),
        BuildPattern(_painter(rf"Linux-Ubuntu-24\.04-{PROCESSORS}-vulkan"), "linux", Backend.VULKAN, UBUNTU_24),
        BuildPattern(
            _painter(rf"Linux-Ubuntu-24\.04-{PROCESSORS}-rocm-{RUNTIME}(?:\.\d+)*"), "linux", Backend.ROCM, UBUNTU_24
        ),
        BuildPattern(_painter(r"Darwin-macOS-[\d.]+-(?P<processor>arm64)"), "darwin", Backend.CPU),
        BuildPattern(_painter("win-cpu-(?P<processor>x64)"), "windows", Backend.CPU),
        BuildPattern(_painter("win-vulkan-(?P<processor>x64)"), "windows", Backend.VULKAN),
        BuildPattern(_painter(rf"win-rocm-{RUNTIME}(?:\.\d+)*-(?P<processor>x64)"), "windows", Backend.ROCM),
    ),
)

# ik_llama.cpp is none: the jobs for Linux and macOS in its release.yml are switched off.
SOURCES: Final = {source.name: source for source in (LLAMA_CPP, WHISPER_CPP, STABLE_DIFFUSION_CPP)}
USUAL: Final = LLAMA_CPP.name


def processor_of(groups: Mapping[str, str | None]) -> str:
    """Return for which processor a file is, by what its name says, under the name that llama.cpp has for it."""
    found = groups.get("processor") or ""
    return {"x86_64": "x64", "aarch64": "arm64"}.get(found, found)


def source_of(name: str) -> EngineSource:
    """Return the engine of this name. Raises BadRequest, which names those that there are."""
    try:
        return SOURCES[name]
    except KeyError:
        raise BadRequest(f"no engine is called {name!r}: it is one of {', '.join(SOURCES)}", param="name") from None
