"""Builds of whisper.cpp and stable-diffusion.cpp: the names that their workflows give, and the one for a machine."""

from __future__ import annotations

import pytest

from claracore.core.engines.choose import NoBuild, choose
from claracore.core.engines.installed import engine_id
from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.release import Release, ReleaseAsset
from claracore.core.engines.sources import SOURCES, STABLE_DIFFUSION_CPP, WHISPER_CPP, EngineSource
from claracore.core.fit.machine import Backend, Gpu

WHISPER = (
    *("whisper-bin-ubuntu-x64.tar.gz", "whisper-bin-ubuntu-arm64.tar.gz", "whisper-bin-macos-arm64.tar.gz"),
    *("whisper-bin-macos-x64.tar.gz", "whisper-bin-macos-universal.tar.gz", "whisper-bin-x64.zip", "SHA256SUMS"),
    *("whisper-bin-Win32.zip", "whisper-blas-bin-x64.zip", "whisper-cublas-12.4.0-bin-x64.zip"),
    *("whisper-cublas-11.8.0-bin-x64.zip", "whisper-b7000-xcframework.zip"),
)
PAINTER = tuple(
    f"sd-master-07fe7fb-bin-{name}.zip"
    for name in (
        *("Linux-Ubuntu-24.04-x86_64", "Linux-Ubuntu-24.04-x86_64-vulkan", "Linux-Ubuntu-24.04-x86_64-rocm-7.2.1"),
        *("Darwin-macOS-15.7.4-arm64", "win-cpu-x64", "win-cuda12-x64", "win-vulkan-x64", "win-rocm-7.1.1-x64"),
    )
)
NVIDIA = Gpu("a card", "nvidia", Backend.CUDA, 8 << 30, None)
AMD = Gpu("a card", "amd", Backend.ROCM, 8 << 30, None)


def release(tag: str, names: tuple[str, ...]) -> Release:
    return Release(tag, tuple(ReleaseAsset(name, 1, "0" * 64, f"https://x/{name}") for name in names))


def linux(*gpus: Gpu, **more: object) -> EngineMachine:
    return EngineMachine("linux", "x64", "glibc", (2, 39), gpus, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "machine", "name"),
    [
        (WHISPER_CPP, linux(), "whisper-bin-ubuntu-x64.tar.gz"),
        (WHISPER_CPP, EngineMachine("linux", "arm64", "glibc", (2, 35)), "whisper-bin-ubuntu-arm64.tar.gz"),
        (WHISPER_CPP, linux(NVIDIA, cuda=(13, 0)), "whisper-bin-ubuntu-x64.tar.gz"),
        (WHISPER_CPP, EngineMachine("windows", "x64", gpus=(NVIDIA,), cuda=(13, 0)), WHISPER[9]),
        (WHISPER_CPP, EngineMachine("windows", "x64"), "whisper-bin-x64.zip"),
        (STABLE_DIFFUSION_CPP, linux(), PAINTER[0]),
        (STABLE_DIFFUSION_CPP, linux(NVIDIA, has_vulkan=True, cuda=(13, 0)), PAINTER[1]),
        (STABLE_DIFFUSION_CPP, linux(AMD, has_vulkan=True, rocm=(7, 2)), PAINTER[2]),
        (STABLE_DIFFUSION_CPP, linux(AMD, has_vulkan=True, rocm=(6, 4)), PAINTER[1]),
        (STABLE_DIFFUSION_CPP, EngineMachine("darwin", "arm64"), PAINTER[3]),
        (STABLE_DIFFUSION_CPP, EngineMachine("windows", "x64", gpus=(AMD,)), PAINTER[7]),
    ],
)
def test_the_build_for_a_machine(source: EngineSource, machine: EngineMachine, name: str) -> None:
    names = WHISPER if source is WHISPER_CPP else PAINTER
    assert choose(release("b1", names), source, machine).assets[0].name == name


def test_for_which_machine_there_is_none() -> None:
    for machine in (EngineMachine("linux", "arm64", "glibc", (2, 39)), EngineMachine("linux", "x64", "glibc", (2, 36))):
        with pytest.raises(NoBuild):
            choose(release("b1", PAINTER), STABLE_DIFFUSION_CPP, machine)


def test_tags_and_names_of_folders() -> None:
    assert all(WHISPER_CPP.tag.fullmatch(tag) for tag in ("v1.8.2", "b7000"))
    assert STABLE_DIFFUSION_CPP.tag.fullmatch("master-377-2034588")
    assert engine_id("stable-diffusion.cpp", "master-377-2034588", "cpu").startswith("stable-diffusion.cpp-master")
    assert list(SOURCES) == ["llama.cpp", "whisper.cpp", "stable-diffusion.cpp"]
