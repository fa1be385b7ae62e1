"""What of this machine decides which build of an engine runs on it?"""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import Final

from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.objections import version
from claracore.host.hardware import nvidia
from claracore.host.hardware.c_library import load_first
from claracore.host.hardware.nvidia_driver import read_driver
from claracore.host.hardware.probe import probe

SYSTEMS: Final = {"win32": "windows"}
PROCESSORS: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
VULKAN: Final = {
    "win32": ("vulkan-1.dll",),
    "darwin": ("libvulkan.1.dylib",),
}


def read_engine_machine() -> EngineMachine:
    """Read the machine; takes some milliseconds, starts no process on Linux, raises nothing."""
    driver = read_driver(nvidia.load_library())
    c_library, c_library_version = read_c_library()
    machine = platform.machine().lower()
    return EngineMachine(
        system=SYSTEMS.get(sys.platform, sys.platform),
        processor=PROCESSORS.get(machine, machine),
        c_library=c_library,
        c_library_version=c_library_version,
        gpus=probe().gpus,
        nvidia_driver=driver.version,
        cuda=driver.cuda,
        cuda_cards=driver.cards,
        rocm=_rocm(),
        has_vulkan=load_first(VULKAN.get(sys.platform, ("libvulkan.so.1",))) is not None,
        has_sycl=_has_sycl(),
    )


def read_c_library() -> tuple[str, tuple[int, ...]]:
    """Return `glibc` or `musl` and the version, as far as the system says it; empty where that is no matter."""
    if sys.platform != "linux":
        return "", ()
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):  # another C library than GNU's
        name, number = "", ""
    if name == "glibc":
        return name, version(number)
    return ("musl", ()) if any(Path("/lib").glob("ld-musl-*.so.1")) else ("another C library", ())


def _rocm() -> tuple[int, ...] | None:
    """Return the version of ROCm, which its packages write into a file."""
    folder = Path(os.environ.get("ROCM_PATH") or "/opt/rocm")
    try:
        text = (folder / ".info" / "version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.match(r"\d+(\.\d+)*", text.strip())
    return version(found[0])[:2] if found else None


def _has_sycl() -> bool:
    root = Path(os.environ.get("ONEAPI_ROOT") or "/opt/intel/oneapi")
    try:
        return any(root.glob("compiler/*/lib/libsycl.so*"))
    except OSError:
        return False
