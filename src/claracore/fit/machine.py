"""What does a machine have that a model can use?

Values only: `hardware/` reads them from the machine, `overridden` replaces what the person says is different. Nothing
here is guessed: what could not be read is `None`, and a note says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

GIB = 1024**3
MIB = 1024**2


class Backend(StrEnum):
    """Which family of llama.cpp backend computes; the names are what `--backend` accepts."""

    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"
    VULKAN = "vulkan"
    METAL = "metal"
    SYCL = "sycl"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One graphics device, in the order in which its driver counts.

    `total_bytes` and `free_bytes` are memory that a model may use; for a `unified` device they are a share of RAM and
    not in addition to it. `None` is "could not be read".
    """

    name: str
    vendor: str
    backend: Backend
    total_bytes: int | None
    free_bytes: int | None
    unified: bool = False
    address: str = ""
    """PCI address or UUID: what tells two cards of one kind apart."""
    source: str = ""
    """Where the numbers come from, e.g. `NVML`, `sysfs mem_info_vram_total`."""


@dataclass(frozen=True, slots=True)
class Memory:
    """RAM that this process may use: the machine's, or a smaller limit of its cgroup."""

    total_bytes: int
    available_bytes: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Processor:
    """Processors that this process may use.

    `performance_cores` are physical cores without efficiency cores, hyper-thread siblings counted once, restricted to
    the process's affinity. `quota` is the cgroup's limit in processors, None when there is none.
    """

    name: str
    logical: int
    physical_cores: int
    performance_cores: int
    quota: float | None = None
    source: str = ""

    @property
    def threads(self) -> int:
        """Threads that compute without standing in each other's way; at least 1."""
        cores = self.performance_cores or self.physical_cores or self.logical
        if self.quota is not None:
            cores = min(cores, int(self.quota))
        return max(1, cores)


@dataclass(frozen=True, slots=True)
class Hardware:
    """Everything a placement depends on."""

    processor: Processor
    memory: Memory
    gpus: tuple[Gpu, ...] = ()
    platform: str = "linux"
    notes: tuple[str, ...] = field(default=())
    """What could not be read, and what was overridden, as sentences."""

    @property
    def backend(self) -> Backend:
        """The backend that the first device asks for; CPU without a device."""
        return self.gpus[0].backend if self.gpus else Backend.CPU


def overridden(
    hardware: Hardware, *, backend: str | None = None, vram_gb: float | None = None, ram_gb: float | None = None
) -> Hardware:
    """Return `hardware` as the person describes it; GB are GiB, as every tool prints them.

    `backend="cpu"` takes the GPUs away. `vram_gb` replaces what was read: it is divided among the GPUs there are in
    proportion to their size, or makes one declared GPU where none was found. Raises ValueError for an unknown backend.
    """
    notes = list(hardware.notes)
    gpus, memory = hardware.gpus, hardware.memory
    chosen = None if backend in (None, "auto", "") else _backend(str(backend))
    if chosen is Backend.CPU or vram_gb == 0:
        if gpus:
            notes.append("graphics devices are not used: the CPU was asked for")
        gpus = ()
    elif vram_gb is not None:
        gpus = _with_vram(gpus, int(vram_gb * GIB), chosen)
        notes.append(f"video memory is taken as {vram_gb:g} GiB, as given")
    if chosen is not None and gpus:
        gpus = tuple(replace(gpu, backend=chosen) for gpu in gpus)
    if ram_gb is not None:
        memory = Memory(int(ram_gb * GIB), int(ram_gb * GIB), "as given")
        notes.append(f"RAM is taken as {ram_gb:g} GiB, as given")
    return replace(hardware, gpus=gpus, memory=memory, notes=tuple(notes))


def _backend(text: str) -> Backend:
    try:
        return Backend(text.lower())
    except ValueError as error:
        known = ", ".join(["auto", *Backend])
        raise ValueError(f"unknown backend {text!r}: it is one of {known}") from error


def _with_vram(gpus: tuple[Gpu, ...], wanted: int, backend: Backend | None) -> tuple[Gpu, ...]:
    if not gpus:
        return (Gpu("declared device", "unknown", backend or Backend.CUDA, wanted, wanted, source="as given"),)
    sizes = [gpu.total_bytes or 0 for gpu in gpus]
    whole = sum(sizes)
    shares = [size / whole if whole else 1 / len(gpus) for size in sizes]
    return tuple(
        replace(gpu, total_bytes=int(wanted * share), free_bytes=int(wanted * share), source="as given")
        for gpu, share in zip(gpus, shares, strict=True)
    )
