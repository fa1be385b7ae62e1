"""What does Prometheus read?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psutil
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from claracore import __version__
from claracore.errors import ClaraCoreError
from claracore.host.activity.measures import Family, Gauge, exposition, merged
from claracore.host.hardware.usage import memory_bytes
from claracore.http.api.context import Context, Here
from claracore.http.api.scrape import scrape
from claracore.types import ModelState

router = APIRouter(tags=["metrics"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(here: Here, *, engines: bool = False) -> PlainTextResponse:
    """Write counts since the start and gauges of this moment; with `engines=1` the model servers' own as well."""
    text = exposition([*here.counts.families, *gauges(here)])
    if engines:
        text = merged(text, await _of_engines(here))
    return PlainTextResponse(text, media_type=MEDIA_TYPE)


def gauges(here: Context) -> Iterator[Family]:
    """Return what is true at this moment."""
    slots = {model: slot for model, slot in here.supervisor.slots.items() if model in here.config.models}
    states = {(model, str(state)): float(slot.state is state) for model, slot in slots.items() for state in ModelState}
    yield Gauge("claracore_model_state", "1 for the state in which a model is.", ("model", "state"), states.items())
    serving = {(model,): float(len(slot.serving)) for model, slot in slots.items()}
    yield Gauge("claracore_requests_in_flight", "Requests that a model is answering.", ("model",), serving.items())
    waiting = {(model,): float(len(slot.waiting)) for model, slot in slots.items()}
    yield Gauge("claracore_requests_waiting", "Requests that wait for a model.", ("model",), waiting.items())
    memory: dict[tuple[str], float] = {}
    for model, running in here.supervisor.all_running().items():
        used = memory_bytes(running.pid) if model in slots and running.pid is not None else None
        if used is not None:
            memory[model,] = float(used)
    yield Gauge("claracore_model_memory_bytes", "Resident memory of a model's processes.", ("model",), memory.items())
    conflicts = {(model,): float(here.keeper.conflicts[model]) for model in here.config.models}
    yield Gauge(
        "claracore_port_conflicts_total",
        "Times a model could not have the port that it was to have.",
        ("model",),
        conflicts.items(),
        kind="counter",
    )
    blocked = float(len(here.keeper.leases.blocked))
    yield Gauge("claracore_ports_blocked", "Planned ports that somebody else has.", (), [((), blocked)])
    yield Gauge("claracore_stream_followers", "Clients that follow events.", (), [((), float(len(here.hub.followers)))])
    yield Gauge("claracore_start_time_seconds", "When ClaraCore started.", (), [((), here.started_at)])
    yield Gauge("claracore_build_info", "The version.", ("version",), [((__version__,), 1.0)])
    yield from _process()
    yield from _machine(here)


def _process() -> Iterator[Family]:
    """Return what ClaraCore itself uses, under the names that every exporter has."""
    process = psutil.Process()
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info().rss
    seconds = round(times.user + times.system, 3)
    yield Gauge("process_cpu_seconds_total", "Processor time of ClaraCore.", (), [((), seconds)], kind="counter")
    yield Gauge("process_resident_memory_bytes", "Resident memory of ClaraCore.", (), [((), float(memory))])


def _machine(here: Context) -> Iterator[Family]:
    if not here.performance.samples:
        return
    its = here.performance.samples[-1]
    for name, help_text, value in (
        ("claracore_cpu_percent", "Use of all processors.", its.cpu_percent),
        ("claracore_memory_total_bytes", "RAM that ClaraCore may use.", its.memory_total_bytes),
        ("claracore_memory_available_bytes", "RAM that is free for use.", its.memory_available_bytes),
        ("claracore_swap_used_bytes", "Swap space in use.", its.swap_used_bytes),
        ("claracore_load_average_1m", "Load average of a minute.", its.load_average[0]),
    ):
        yield Gauge(name, help_text, (), [((), float(value))])
    labels = ("gpu", "name")
    totals = {(str(gpu.index), gpu.name): float(gpu.total_bytes) for gpu in its.gpus if gpu.total_bytes is not None}
    free = {(str(gpu.index), gpu.name): float(gpu.free_bytes) for gpu in its.gpus if gpu.free_bytes is not None}
    yield Gauge("claracore_gpu_memory_total_bytes", "Memory of a graphics device.", labels, totals.items())
    yield Gauge("claracore_gpu_memory_free_bytes", "Free memory of a graphics device.", labels, free.items())


async def _of_engines(here: Context) -> dict[str, str]:
    """Return what the servers of the models that are ready say under /metrics; who does not answer is left out."""
    inside = here.inside
    if inside is None:
        return {}
    ready = [model for model, running in here.supervisor.all_running().items() if running.state is ModelState.READY]

    async def ask(model: str) -> tuple[str, str]:
        with contextlib.suppress(ClaraCoreError, TimeoutError, ValueError):
            return model, await scrape(inside, model, "/metrics")
        return model, ""

    return dict(await asyncio.gather(*map(ask, ready)))
