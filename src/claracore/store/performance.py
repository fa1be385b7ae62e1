"""How busy was the machine during the last hour?"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from claracore.hardware.probe import probe, probe_memory

KEPT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class GpuSample:
    """The memory of one graphics device; None is "could not be read"."""

    index: int
    name: str
    total_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine at one moment; counters of the network since the machine started."""

    at: float
    cpu_percent: float
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    load_average: tuple[float, float, float]
    network_received_bytes: int
    network_sent_bytes: int
    gpus: tuple[GpuSample, ...]


def sample(*, with_gpus: bool = True) -> Sample:
    """Look at the machine; blocking, 1.3 ms, half of it without the GPUs."""
    gpus = probe().gpus if with_gpus else ()
    memory, swap, network = probe_memory(), psutil.swap_memory(), psutil.net_io_counters()
    return Sample(
        at=round(time.time(), 3),
        cpu_percent=psutil.cpu_percent(None),
        memory_total_bytes=memory.total_bytes,
        memory_available_bytes=memory.available_bytes,
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        load_average=psutil.getloadavg(),
        network_received_bytes=network.bytes_recv if network else 0,
        network_sent_bytes=network.bytes_sent if network else 0,
        gpus=tuple(GpuSample(index, gpu.name, gpu.total_bytes, gpu.free_bytes) for index, gpu in enumerate(gpus)),
    )


class Performance:
    """Samples of the last hour."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque()
        self.on_sample: Callable[[Sample], None] = lambda _: None

    def after(self, at: float) -> list[Sample]:
        """Return the samples later than `at` (unix seconds)."""
        return [its for its in self.samples if its.at > at]

    async def run(self, every_seconds: Callable[[], float | None]) -> None:
        """Take samples until cancelled; `every_seconds` is asked each time, None means not now.

        A machine on which no GPU was found is not searched again: an idle ClaraCore is to cost nothing.
        """
        with_gpus = True
        while True:
            wait = every_seconds()
            if wait is not None:
                its = await asyncio.to_thread(sample, with_gpus=with_gpus)
                with_gpus = bool(its.gpus)
                self._keep(its)
            await asyncio.sleep(wait or 5.0)

    def _keep(self, its: Sample) -> None:
        self.samples.append(its)
        while self.samples[0].at < its.at - KEPT_SECONDS:
            self.samples.popleft()
        self.on_sample(its)
