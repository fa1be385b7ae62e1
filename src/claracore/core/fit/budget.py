"""How much of each device's memory may models use?

Not all of it: a driver, a desktop and the engine itself need some, and a placement that fills a device to the last byte
fails at the first long prompt. llama.cpp's own `--fit` leaves 1 GiB per device free; so do we.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from claracore.core.fit.machine import Backend
from claracore.core.fit.memory import Estimate
from claracore.core.fit.places import RAM
from claracore.core.units import GIB, MIB, gib

if TYPE_CHECKING:
    from claracore.core.fit.machine import Gpu, Hardware

GPU_MARGIN = GIB
RAM_MARGIN = 2 * GIB
CONTEXT_BYTES = 400 * MIB
"""What a driver takes on a card for each process that uses it: reported are 107 to 555 MiB, more on larger cards.

A guess, until it was measured on this machine (`ProcessBytes`)."""
HEADROOM = 128 * MIB
"""What the margin of a card is at least above that."""
RAM_STEP, GPU_STEP = GIB, 256 * MIB
"""In such steps it counts what other programs use."""
MOST_OF_RAM, MOST_OF_GPU = 3, 2
"""They are left one part in so many at most: who wants them to have more says so (`--ram`, `--vram`)."""
SMALLEST_SHARE = 0.75
"""Of a device so small that the margin would eat it, this much is used at least."""
MAC_SHARE = {True: 3 / 4, False: 2 / 3}
"""What macOS lets the GPU wire when nobody set `iogpu.wired_limit_mb`: 3/4 of RAM above 36 GiB, 2/3 below."""


@dataclass(frozen=True, slots=True)
class ProcessBytes:
    """What each server's process takes beside what is counted of its model."""

    gpus: tuple[int, ...] = ()
    """On each GPU that it uses; CONTEXT_BYTES for those that are not named."""
    ram: int = 0

    def on_gpu(self, index: int) -> int:
        """Return the bytes on a GPU."""
        return self.gpus[index] if index < len(self.gpus) else CONTEXT_BYTES


@dataclass(frozen=True, slots=True)
class UsedByOthers:
    """Bytes that programs use which are no models of ours: a desktop, a browser, a database."""

    ram: int = 0
    gpus: tuple[int, ...] = ()

    def on_gpu(self, index: int) -> int:
        """Return the bytes on a GPU."""
        return self.gpus[index] if index < len(self.gpus) else 0

    def steady(self, before: UsedByOthers) -> UsedByOthers:
        """Return these in steps, and the steps of `before` where little has changed: what is used varies all day."""
        count = len(self.gpus)
        gpus = tuple(_steady(self.gpus[index], before.on_gpu(index), GPU_STEP) for index in range(count))
        return UsedByOthers(_steady(self.ram, before.ram, RAM_STEP), gpus)


def _steady(now: int, before: int, step: int) -> int:
    return before if before % step == 0 and abs(now - before) <= step else now // step * step


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that may be used: per GPU, and of RAM. Bytes on `shared` GPUs count against RAM too."""

    gpus: tuple[int, ...]
    ram: int
    shared: tuple[bool, ...]
    beside: ProcessBytes = ProcessBytes()

    def holds(self, estimate: Estimate) -> bool:
        """Tell whether the estimate fits everywhere at the same time."""
        return min(self.rest(estimate)) >= 0

    def rest(self, estimate: Estimate) -> tuple[int, ...]:
        """Return the bytes that are left beside the estimate of RAM and of each GPU; less than 0 where they lack."""
        used = estimate.by_place
        on_gpus = [used.get(index, 0) for index in range(len(self.gpus))]
        shared = sum(size for size, is_shared in zip(on_gpus, self.shared, strict=True) if is_shared)
        on_each = (limit - size for size, limit in zip(on_gpus, self.gpus, strict=True))
        return (self.ram - used.get(RAM, 0) - shared, *on_each)

    def ram_left(self, estimate: Estimate) -> int:
        """Return the RAM that is free beside the estimate; shared GPUs take theirs from it."""
        return self.without(estimate).ram

    def lacking(self, estimate: Estimate) -> str:
        """Return a sentence about each device on which the estimate takes more than the budget."""
        parts = [
            f"{gib(estimate.on(index))} on GPU {index}, where {gib(limit)} may be used"
            for index, limit in enumerate(self.gpus)
            if estimate.on(index) > limit
        ]
        if estimate.on(RAM) > self.ram or not parts:
            parts.append(f"{gib(estimate.on(RAM))} of RAM, where {gib(self.ram)} may be used")
        return " and ".join(parts)

    def without(self, estimate: Estimate) -> Budget:
        """Return what is left beside a model that is loaded; the margin covers the context of one more process."""
        used = [estimate.on(index) for index in range(len(self.gpus))]
        gpus = tuple(
            limit - size - (self.beside.on_gpu(index) if size and not shared else 0)
            for index, (limit, size, shared) in enumerate(zip(self.gpus, used, self.shared, strict=True))
        )
        shared = sum(estimate.on(index) for index, is_shared in enumerate(self.shared) if is_shared)
        return Budget(gpus, self.ram - estimate.on(RAM) - shared - self.beside.ram, self.shared, self.beside)

    @property
    def whole(self) -> int:
        """Bytes of RAM and GPUs together; a GPU that shares RAM is not counted."""
        return self.ram + sum(limit for limit, shared in zip(self.gpus, self.shared, strict=True) if not shared)


def budget_of(
    hardware: Hardware, *, live: bool = False, beside: ProcessBytes | None = None, others: UsedByOthers | None = None
) -> Budget:
    """Return what models may use: of installed memory, or with `live` of what is free at this moment.

    Of installed memory a margin is left free: what `others` use, if that is more than usual, up to a part of each
    device. `beside` is what each process was seen to take here.
    """
    memory, beside = hardware.memory, beside or ProcessBytes()
    others = others if others is not None and not live else UsedByOthers()
    ram = _less(memory.available_bytes if live else memory.total_bytes, RAM_MARGIN)
    return Budget(
        tuple(
            _gpu(gpu, memory.total_bytes, max(GPU_MARGIN, beside.on_gpu(index) + HEADROOM), live=live)
            - min(others.on_gpu(index), (gpu.total_bytes or 0) // MOST_OF_GPU)
            for index, gpu in enumerate(hardware.gpus)
        ),
        ram - max(0, min(others.ram, memory.total_bytes // MOST_OF_RAM) - RAM_MARGIN),
        tuple(gpu.unified for gpu in hardware.gpus),
        beside,
    )


def _gpu(gpu: Gpu, ram_bytes: int, margin: int, *, live: bool) -> int:
    size = gpu.free_bytes if live and gpu.free_bytes is not None else gpu.total_bytes
    if size is None and gpu.unified:
        size = int(ram_bytes * MAC_SHARE[ram_bytes > 36 * GIB]) if gpu.backend is Backend.METAL else ram_bytes // 2
    return _less(size or 0, margin)


def _less(size: int, margin: int) -> int:
    return max(size - margin, int(size * SMALLEST_SHARE))
