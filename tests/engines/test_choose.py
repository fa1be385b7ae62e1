"""Which build of llama.cpp is taken, on which machine, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.engines.choose import NoBuild, choose, newest
from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.release import Release, ReleaseAsset
from claracore.core.engines.sources import LLAMA_CPP, SOURCES, source_of
from claracore.core.fit.machine import Backend, Gpu
from claracore.errors import BadRequest

PUBLISHED = """
cudart-llama-b11434-bin-ubuntu-cuda-12.8-x64.tar.gz cudart-llama-b11434-bin-ubuntu-cuda-13.4-arm64.tar.gz
cudart-llama-b11434-bin-ubuntu-cuda-13.4-x64.tar.gz cudart-llama-bin-win-cuda-12.4-x64.zip
cudart-llama-bin-win-cuda-13.4-x64.zip llama-b11434-bin-android-arm64.tar.gz
llama-b11434-bin-linux-arm64-snapdragon.tar.gz llama-b11434-bin-macos-arm64.tar.gz llama-b11434-bin-macos-x64.tar.gz
llama-b11434-bin-ubuntu-arm64.tar.gz llama-b11434-bin-ubuntu-cuda-12.8-x64.tar.gz
llama-b11434-bin-ubuntu-cuda-13.4-arm64.tar.gz llama-b11434-bin-ubuntu-cuda-13.4-x64.tar.gz
llama-b11434-bin-ubuntu-openvino-2026.2-x64.tar.gz llama-b11434-bin-ubuntu-rocm-10.0-x64.tar.gz
llama-b11434-bin-ubuntu-s390x.tar.gz llama-b11434-bin-ubuntu-sycl-fp16-x64.tar.gz
llama-b11434-bin-ubuntu-sycl-fp32-x64.tar.gz llama-b11434-bin-ubuntu-vulkan-arm64.tar.gz
llama-b11434-bin-ubuntu-vulkan-x64.tar.gz llama-b11434-bin-ubuntu-x64.tar.gz llama-b11434-bin-win-cpu-arm64.zip
llama-b11434-bin-win-cpu-x64.zip llama-b11434-bin-win-cuda-12.4-x64.zip llama-b11434-bin-win-cuda-13.4-x64.zip
llama-b11434-bin-win-opencl-adreno-arm64.zip llama-b11434-bin-win-rocm-10.0-x64.zip llama-b11434-bin-win-sycl-x64.zip
llama-b11434-bin-win-vulkan-x64.zip llama-b11434-ui.tar.gz llama-b11434-xcframework.zip
"""
"""What release-publish.yml of b11434 names."""
RELEASE = Release(
    "b11434", tuple(ReleaseAsset(name, 1000, "0" * 64, f"https://x/{name}") for name in PUBLISHED.split())
)

NONE = EngineMachine("linux", "x64", "glibc", (2, 39), has_vulkan=True)
NVIDIA = replace(
    NONE,
    gpus=(Gpu("RTX 3090", "nvidia", Backend.CUDA, 24 << 30, 23 << 30),),
    nvidia_driver="610.10",
    cuda=(13, 4),
    cuda_cards=((8, 6),),
)
PASCAL = replace(NVIDIA, cuda_cards=((6, 1),))
H100 = replace(NVIDIA, gpus=(Gpu("H100", "nvidia", Backend.CUDA, 80 << 30, 80 << 30),), cuda_cards=((9, 0),))
AMD = replace(NONE, gpus=(Gpu("RX 7900", "amd", Backend.ROCM, 24 << 30, 23 << 30),))
INTEL = replace(NONE, gpus=(Gpu("Arc B580", "intel", Backend.SYCL, 12 << 30, 12 << 30),))
INTEGRATED = replace(NONE, gpus=(Gpu("UHD", "intel", Backend.SYCL, None, None, unified=True),))
MAC = EngineMachine("darwin", "arm64", gpus=(Gpu("M3", "apple", Backend.METAL, 1, 1, unified=True),))
JETSON = replace(NVIDIA, processor="arm64", gpus=(replace(NVIDIA.gpus[0], unified=True),), cuda_cards=((12, 1),))
UBUNTU = "llama-b11434-bin-ubuntu-"

TABLE = [
    ("no graphics device", NONE, f"{UBUNTU}x64.tar.gz", "no graphics device was found", ""),
    ("the newest CUDA that the driver knows", NVIDIA, f"{UBUNTU}cuda-13.4-x64.tar.gz", "RTX 3090 is here", ""),
    ("a driver in between", replace(H100, cuda=(13, 0)), f"{UBUNTU}cuda-12.8-x64.tar.gz", "", ""),
    ("the same major, machine code", replace(NVIDIA, cuda=(13, 0)), f"{UBUNTU}cuda-13.4-x64.tar.gz", "", ""),
    ("no CUDA 13 for old cards", PASCAL, f"{UBUNTU}cuda-12.8-x64.tar.gz", "", ""),
    ("a driver that is too old", replace(H100, cuda=(12, 4), nvidia_driver="550.54.14"), f"{UBUNTU}vulkan-x64.tar.gz",
     "H100 is here", "driver 550.54.14 is too old: it knows CUDA 12.4"),
    ("a C library that is too old", replace(NVIDIA, c_library_version=(2, 36)), f"{UBUNTU}vulkan-x64.tar.gz", "",
     "cuda: it needs glibc 2.38, and this system has 2.36"),
    ("NVIDIA on Arm", JETSON, f"{UBUNTU}cuda-13.4-arm64.tar.gz", "", ""),
    ("AMD without ROCm", AMD, f"{UBUNTU}vulkan-x64.tar.gz", "RX 7900", "rocm: ROCm's libraries are not installed"),
    ("AMD with ROCm", replace(AMD, rocm=(10, 0)), f"{UBUNTU}rocm-10.0-x64.tar.gz", "", ""),
    ("AMD with an older ROCm", replace(AMD, rocm=(6, 4)), f"{UBUNTU}vulkan-x64.tar.gz", "", "ROCm 6.4 is installed"),
    ("Intel", INTEL, f"{UBUNTU}vulkan-x64.tar.gz", "", "oneAPI's libraries are not installed"),
    ("Intel with oneAPI", replace(INTEL, has_sycl=True), f"{UBUNTU}sycl-fp32-x64.tar.gz", "", ""),
    ("no Vulkan loader", replace(INTEGRATED, has_vulkan=False), f"{UBUNTU}x64.tar.gz",
     "no build for the graphics device", "vulkan: there is no Vulkan loader"),
    ("a card beside integrated graphics", replace(NVIDIA, gpus=(*INTEGRATED.gpus, *NVIDIA.gpus)),
     f"{UBUNTU}cuda-13.4-x64.tar.gz", "RTX 3090", ""),
    ("a Mac", MAC, "llama-b11434-bin-macos-arm64.tar.gz", "M3", ""),
    ("a Mac of Intel", EngineMachine("darwin", "x64"), "llama-b11434-bin-macos-x64.tar.gz", "", ""),
    ("s390x", replace(NONE, processor="s390x"), f"{UBUNTU}s390x.tar.gz", "", ""),
    ("Windows", EngineMachine("windows", "arm64"), "llama-b11434-bin-win-cpu-arm64.zip", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "name", "reason", "fallback"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_which_build_is_taken(machine: EngineMachine, name: str, reason: str, fallback: str) -> None:
    choice = choose(RELEASE, LLAMA_CPP, machine)
    assert choice.assets[0].name == name
    assert reason in choice.reason
    assert fallback in choice.fallback
    assert bool(choice.fallback) == bool(fallback)
    assert name not in {one.name for one in choice.rejected}


def test_the_libraries_of_cuda_come_along() -> None:
    choice = choose(RELEASE, LLAMA_CPP, NVIDIA)
    assert [asset.name for asset in choice.assets] == [
        f"{UBUNTU}cuda-13.4-x64.tar.gz",
        "cudart-llama-b11434-bin-ubuntu-cuda-13.4-x64.tar.gz",
    ]
    assert choice.total_bytes == 2000
    windows = replace(NVIDIA, system="windows", c_library="", c_library_version=())
    names = [asset.name for asset in choose(RELEASE, LLAMA_CPP, windows).assets]
    assert names == ["llama-b11434-bin-win-cuda-13.4-x64.zip", "cudart-llama-bin-win-cuda-13.4-x64.zip"]


def test_a_build_without_its_libraries_is_not_taken() -> None:
    release = replace(RELEASE, assets=tuple(asset for asset in RELEASE.assets if not asset.name.startswith("cudart")))
    choice = choose(release, LLAMA_CPP, NVIDIA)
    assert choice.backend is Backend.VULKAN
    assert "cudart-llama-b11434-bin-ubuntu-cuda-13.4-x64.tar.gz) are not in the release" in choice.fallback


def test_each_build_that_is_not_taken_has_a_reason() -> None:
    choice = choose(RELEASE, LLAMA_CPP, NVIDIA)
    reasons = {one.name: one.reason for one in choice.rejected}
    assert reasons[f"{UBUNTU}rocm-10.0-x64.tar.gz"] == "there is no AMD device here"
    assert reasons[f"{UBUNTU}arm64.tar.gz"] == "it is for arm64 processors, this is x64"
    assert reasons["llama-b11434-bin-win-cpu-x64.zip"] == "it is for windows, this is linux"
    assert "llama-b11434-ui.tar.gz" not in reasons


def test_a_backend_can_be_named() -> None:
    assert choose(RELEASE, LLAMA_CPP, NVIDIA, "cpu").assets[0].name == f"{UBUNTU}x64.tar.gz"
    assert choose(RELEASE, LLAMA_CPP, NVIDIA, "vulkan").backend is Backend.VULKAN
    # Nobody sees a card in a container that is being built: that is no reason against who knows what they want.
    assert choose(RELEASE, LLAMA_CPP, NONE, "cuda").assets[0].name == f"{UBUNTU}cuda-13.4-x64.tar.gz"
    with pytest.raises(NoBuild, match=r"no metal build for this machine \(linux, x64\)"):
        choose(RELEASE, LLAMA_CPP, NONE, "metal")
    with pytest.raises(NoBuild, match="driver 470 is too old"):
        choose(RELEASE, LLAMA_CPP, replace(NVIDIA, cuda=(11, 4), nvidia_driver="470"), "cuda")
    with pytest.raises(BadRequest, match="no backend is called 'opengl'"):
        choose(RELEASE, LLAMA_CPP, NONE, "opengl")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(NONE, c_library="musl", c_library_version=()), "it needs glibc, and this system has musl"),
        (replace(NONE, c_library_version=(2, 31)), "it needs glibc 2.35, and this system has 2.31"),
        (replace(NONE, processor="riscv64"), "it is for x64 processors, this is riscv64"),
        (EngineMachine("freebsd14", "x64"), "it is for linux, this is freebsd14"),
    ],
)
def test_a_machine_for_which_there_is_none(machine: EngineMachine, words: str) -> None:
    with pytest.raises(NoBuild) as caught:
        choose(RELEASE, LLAMA_CPP, machine)
    assert words in caught.value.message


def test_a_release_that_is_only_just_being_made_is_passed_over() -> None:
    begun = Release("b11435", tuple(asset for asset in RELEASE.assets if asset.name.endswith("ubuntu-x64.tar.gz")))
    choice = newest([begun, RELEASE], LLAMA_CPP, NVIDIA)
    assert (choice.release.tag, choice.backend) == ("b11434", Backend.CUDA)
    assert newest([begun, RELEASE], LLAMA_CPP, NONE).release.tag == "b11435"
    empty = Release("b11436", ())
    assert newest([empty, begun], LLAMA_CPP, NONE).release.tag == "b11435"
    with pytest.raises(NoBuild):
        newest([empty], LLAMA_CPP, NONE)
    with pytest.raises(NoBuild, match="has no releases with builds"):
        newest([Release("v0.6.0", ())], LLAMA_CPP, NONE)


def test_engines_are_entries_of_a_table() -> None:
    assert source_of("llama.cpp") is SOURCES["llama.cpp"]
    with pytest.raises(BadRequest, match="no engine is called 'llama'"):
        source_of("llama")
