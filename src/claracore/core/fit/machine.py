"""What does a machine have that a model can use?

Values only: `hardware/` reads them from the machine, `overridden` replaces what the person says is different. Nothing
here is guessed: what could not be read is `None`, and a note says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from claracore.core.units import GIB


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
    device: str = ""
    """What the engine calls it (`CUDA0`), for `--device`; "" when it was not asked."""


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
    """Those that models may use together."""
    platform: str = "linux"
    notes: tuple[str, ...] = field(default=())
    """What could not be read, and what was overridden, as sentences."""
    idle: tuple[Gpu, ...] = ()
    """Devices that the engine may see, too, but that are not to be used."""

    @property
    def has_devices(self) -> bool:
        """Whether there is a graphics device that an engine could use unasked."""
        return bool(self.gpus or self.idle)

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
        hardware = replace(hardware, idle=(*hardware.idle, *gpus))
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


def teamed(hardware: Hardware, backend: str | None = None) -> Hardware:
    """Return the machine with only those devices in use that can work on one model together, as llama.cpp chooses.

    An engine is built for one family of devices (Vulkan: for all), and integrated graphics, which share RAM and are
    slower than most processors' own cores, only slow down a card beside them. The rest becomes `idle`, with a note.
    """
    families = {gpu.backend for gpu in hardware.gpus}
    if backend in families:
        best = Backend(str(backend))
    elif len(families) > 1 and backend in (None, "auto", ""):
        best = max(hardware.gpus, key=lambda gpu: (not gpu.unified, _size_of_family(hardware.gpus, gpu))).backend
    else:
        best = None
    same = [gpu for gpu in hardware.gpus if best in (None, gpu.backend)]
    cards = [gpu for gpu in same if not gpu.unified]
    used = tuple(cards or same[:1])
    idle = tuple(gpu for gpu in hardware.gpus if gpu not in used)
    notes = tuple(f"{_called(gpu)} is not used beside {_called(used[0])}: {_why_idle(gpu, used[0])}" for gpu in idle)
    return replace(hardware, gpus=used, idle=(*hardware.idle, *idle), notes=(*hardware.notes, *notes))


def _size_of_family(gpus: tuple[Gpu, ...], member: Gpu) -> int:
    return sum(gpu.total_bytes or 0 for gpu in gpus if (gpu.backend, gpu.unified) == (member.backend, member.unified))


def _called(gpu: Gpu) -> str:
    return f"{gpu.name} ({gpu.device})" if gpu.device else gpu.name


def _why_idle(gpu: Gpu, used: Gpu) -> str:
    if gpu.unified:
        return "it shares RAM and would slow it down"
    return f"an engine for {used.backend} has no use for it (one for Vulkan would: --backend vulkan)"


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
