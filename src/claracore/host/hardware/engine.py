"""Which devices can the engine itself use?

A llama-server built for processors has no use for a graphics card, and one built for Vulkan numbers and measures cards
in its own way. `llama-server --list-devices` tells (common/arg.cpp of llama.cpp):

    Available devices:
      CUDA0: NVIDIA GeForce RTX 3090 (24135 MiB, 23863 MiB free)

What the engine says wins over what the drivers say; whether memory is shared with RAM only the drivers know.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace

from claracore.core.fit.machine import Backend, Gpu, Hardware
from claracore.core.units import MIB

FLAG = "--list-devices"
SECONDS = 30
"""The first start of a CUDA or ROCm build may take long to wake the cards."""
HEAD = "Available devices:"
DEVICE = re.compile(r" +(([A-Za-z]+)\d+): (.+) \((\d+) MiB, (\d+) MiB free\)")
UMA = re.compile(r"^ggml_(vulkan): (\d+) = .*\| uma: ([01])", re.MULTILINE)
"""Vulkan tells which devices share the processor's memory."""
PCI_ORDER = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
"""CUDA would number the fastest first; models run with this setting, so the question is asked with it."""
BACKENDS = {
    "CUDA": Backend.CUDA,
    "ROCm": Backend.ROCM,
    "Vulkan": Backend.VULKAN,
    "SYCL": Backend.SYCL,
    "Metal": Backend.METAL,
    "MTL": Backend.METAL,
}
VENDORS = ("nvidia", "amd", "intel", "apple")


def list_devices(argv: Sequence[str]) -> str | None:
    """Run the engine with --list-devices and return what it prints; None when it does not answer."""
    try:
        done = subprocess.run(
            [*argv, FLAG], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
            env={**os.environ, PCI_ORDER[0]: PCI_ORDER[1]},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout + done.stderr


def parse_devices(text: str) -> tuple[Gpu, ...] | None:
    """Return the engine's devices in its order; None when the text is no list of devices.

    A build with two backends shows a card twice; those of the first backend count.
    """
    _, head, rest = text.partition(HEAD)
    if not head:
        return None
    shared = {f"{match[1]}{match[2]}" for match in UMA.finditer(text) if match[3] == "1"}
    found: list[Gpu] = []
    for match in filter(None, map(DEVICE.match, rest.splitlines())):
        device, family, name = match[1], match[2], match[3]
        backend = BACKENDS.get(family)
        if backend is not None and (not found or backend is found[0].backend):
            vendor = next((vendor for vendor in VENDORS if vendor in name.lower()), "unknown")
            total, free, unified = int(match[4]) * MIB, int(match[5]) * MIB, device.lower() in shared
            source = f"the engine's {FLAG}"
            found.append(Gpu(name, vendor, backend, total, free, unified, source=source, device=device))
    return tuple(found)


def as_the_engine_sees(hardware: Hardware, devices: tuple[Gpu, ...]) -> Hardware:
    """Return the machine with the engine's devices in place of the drivers'."""
    notes = hardware.notes
    if hardware.gpus and not devices:
        notes = (*notes, "the engine was built without support for graphics devices: they are not used")
    shared = {gpu.vendor for gpu in hardware.gpus if gpu.unified}
    only = {gpu.vendor for gpu in hardware.gpus if not gpu.unified}
    gpus = tuple(replace(gpu, unified=gpu.unified or gpu.vendor in shared - only) for gpu in devices)
    return replace(hardware, gpus=gpus, notes=notes)
