"""How busy was the machine during the last hour?"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claracore.core.fit.machine import Gpu
    from claracore.host.hardware.gauges import Gauges, GpuGauges

KEPT_SECONDS = 3600.0
FIRST_SECONDS = 0.1
"""The first sample says how busy the machine was during that time."""


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One graphics device at one moment; None is "could not be read"."""

    index: int
    name: str
    total_bytes: int | None
    free_bytes: int | None
    busy_percent: float | None
    temperature_celsius: float | None
    power_watts: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine at one moment; counters of the network since the machine started."""

    at: float
    cpu_percent: float
    core_percents: tuple[float, ...]
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    load_average: tuple[float, float, float]
    network_received_bytes: int
    network_sent_bytes: int
    gpus: tuple[GpuSample, ...]
    models: dict[str, int]
    """Resident bytes of each model's server, by id."""


def take_sample(pids: Mapping[str, int], core_percents: Sequence[float], gauges: GpuGauges | None = None) -> Sample:
    """Measure the machine and the memory of models' servers, by pid; blocking, 1.3 ms, half of it without the GPUs.

    Those are looked at with `gauges` only.
    """
    import psutil  # noqa: PLC0415 - 30 ms together, for which no start need wait

    from claracore.host.hardware.probe import probe, probe_memory  # noqa: PLC0415
    from claracore.host.hardware.usage import memory_bytes  # noqa: PLC0415

    gpus = probe().gpus if gauges is not None else ()
    memory, swap, network = probe_memory(), psutil.swap_memory(), psutil.net_io_counters()
    return Sample(
        at=round(time.time(), 3),
        cpu_percent=round(sum(core_percents) / max(1, len(core_percents)), 1),
        core_percents=tuple(core_percents),
        memory_total_bytes=memory.total_bytes,
        memory_available_bytes=memory.available_bytes,
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        load_average=psutil.getloadavg(),
        network_received_bytes=network.bytes_recv if network else 0,
        network_sent_bytes=network.bytes_sent if network else 0,
        gpus=tuple(_gpu(index, gpu, gauges.read(gpu)) for index, gpu in enumerate(gpus)) if gauges is not None else (),
        models={model: used for model, pid in pids.items() if (used := memory_bytes(pid)) is not None},
    )


def _gpu(index: int, gpu: Gpu, gauges: Gauges) -> GpuSample:
    return GpuSample(
        index,
        gpu.name,
        gpu.total_bytes,
        gpu.free_bytes,
        busy_percent=gauges.busy_percent,
        temperature_celsius=gauges.temperature_celsius,
        power_watts=gauges.power_watts,
    )


class SampleHistory:
    """The samples of the last hour, the oldest first."""

    def __init__(self, on_sample: Callable[[Sample], None]) -> None:
        self.samples: deque[Sample] = deque()
        self._on_sample = on_sample

    def after(self, at: float) -> list[Sample]:
        """Return the samples later than `at` (unix seconds)."""
        return [sample for sample in self.samples if sample.at > at]

    async def run(self, every_seconds: Callable[[], float | None], pids: Callable[[], Mapping[str, int]]) -> None:
        """Take samples until cancelled; both are asked each time: how long to rest (None is not now), who runs.

        A machine on which no GPU was found is not searched again: an idle ClaraCore is to cost nothing.
        """
        import psutil  # noqa: PLC0415 - as above

        from claracore.host.hardware.gauges import GpuGauges  # noqa: PLC0415

        # Says how busy it was since the last call from the same thread: never in a worker.
        psutil.cpu_percent(None, percpu=True)
        await asyncio.sleep(FIRST_SECONDS)
        gauges: GpuGauges | None = GpuGauges()
        while True:
            wait = every_seconds()
            if wait is not None:
                cores = psutil.cpu_percent(None, percpu=True)
                taken = await asyncio.to_thread(take_sample, pids(), cores, gauges)
                gauges = gauges if taken.gpus else None
                self._keep(taken)
            await asyncio.sleep(wait or 5.0)

    def _keep(self, taken: Sample) -> None:
        self.samples.append(taken)
        while self.samples[0].at < taken.at - KEPT_SECONDS:
            self.samples.popleft()
        self._on_sample(taken)
