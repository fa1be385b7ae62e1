"""What does Prometheus read?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import psutil
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from claracore import __version__
from claracore.core.memory.footprint import DeviceMemory
from claracore.errors import ClaraCoreError
from claracore.host.activity.measures import Family, Gauge, Named, exposition, merged
from claracore.host.activity.statistics import stats_by_model
from claracore.host.hardware.usage import memory_bytes
from claracore.http.access.keyring import KeyRing
from claracore.http.api.compat.llama_swap_machine import families, model_families
from claracore.http.api.dependencies import EventsDep, GatewayDep, HistoryDep, InstallationDep, KeyRingDep, RuntimeDep
from claracore.http.api.events.broadcaster import Broadcaster
from claracore.http.api.parts import History, Installation, Runtime
from claracore.http.api.scrape import scrape
from claracore.http.gateway.inside import Inside
from claracore.types import ModelState

router = APIRouter(tags=["metrics"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(  # noqa: PLR0917 - one for each part that has numbers
    runtime: RuntimeDep,
    history: HistoryDep,
    installation: InstallationDep,
    events: EventsDep,
    gateway: GatewayDep,
    ring: KeyRingDep,
    *,
    engines: bool = False,
    names: Literal["llama-swap"] | None = None,
) -> PlainTextResponse:
    """Write counts since the start and gauges of this moment; with `engines=1` the model servers' own as well.

    With `names=llama-swap` what llama-swap knows is there under its names, too.
    """
    devices = await runtime.memory.sampled()
    now = gauges(runtime, history, installation, events.broadcaster, ring, devices)
    theirs = await _of_llama_swap(history) if names else ()
    text = exposition([*history.counts.families, *now, *theirs], partial(_with_node, runtime))
    if engines:
        text = merged(text, await _of_engines(runtime, gateway.inside))
    return PlainTextResponse(text, media_type=MEDIA_TYPE)


def _with_node(runtime: Runtime, named: Named) -> Named:
    """Return the labels of a sample, with `node` behind `model` where another machine has the model."""
    node = next((runtime.node_of(text) for name, text in named if name == "model"), None)
    return [*named, ("node", node)] if node else named


def gauges(  # noqa: PLR0917 - one for each part that has numbers
    runtime: Runtime,
    history: History,
    installation: Installation,
    broadcaster: Broadcaster,
    ring: KeyRing,
    devices: Sequence[DeviceMemory],
) -> tuple[Family, ...]:
    """Return the numbers of this moment."""
    return (
        *_models(runtime),
        *_footprints(runtime, devices),
        *_ports(runtime),
        *_keys(ring),
        *_self(installation, broadcaster),
        *_process(),
        *_machine(history),
    )


def _models(runtime: Runtime) -> Iterator[Family]:
    """Return states, queues and memory of the models."""
    model = ("model",)
    slots = {model_id: slot for model_id, slot in runtime.supervisor.slots.items() if model_id in runtime.config.models}
    states = {(name, str(state)): float(slot.state is state) for name, slot in slots.items() for state in ModelState}
    yield Gauge("claracore_model_state", "1 for the state in which a model is.", (*model, "state"), states.items())
    serving = {(name,): float(len(slot.serving)) for name, slot in slots.items()}
    yield Gauge("claracore_requests_in_flight", "Requests that a model is answering.", model, serving.items())
    waiting = {(name,): float(len(slot.waiting)) for name, slot in slots.items()}
    yield Gauge("claracore_requests_waiting", "Requests that wait for a model.", model, waiting.items())
    pids = {name: pid for name, pid in runtime.pids().items() if name in slots}
    used = {name: memory_bytes(pid, runtime.memory.inside.get(name, ())) for name, pid in pids.items()}
    memory = {(name,): float(size) for name, size in used.items() if size is not None}
    yield Gauge("claracore_model_memory_bytes", "Resident memory of a model's processes.", model, memory.items())


def _footprints(runtime: Runtime, devices: Sequence[DeviceMemory]) -> Iterator[Family]:
    """Return what the loaded models take of each device, and what each device has left for models."""
    loaded = runtime.memory.loaded()
    taken = {
        (name, device, footprint.source.value): float(size)
        for name, footprint in loaded.items()
        for device, size in footprint.by_device.items()
    }
    words = "What a loaded model takes of a device: declared, measured or estimated."
    yield Gauge("claracore_model_footprint_bytes", words, ("model", "device", "source"), taken.items())
    for name, help_text, values in (
        ("claracore_device_memory_bytes", "Memory of a device.", {d.id: d.total for d in devices}),
        ("claracore_device_budget_bytes", "What models may use of it together.", {d.id: d.budget for d in devices}),
        ("claracore_device_reserved_bytes", "What is kept free of it.", {d.id: d.reserved for d in devices}),
        ("claracore_device_other_bytes", "What others than models use of it.", {d.id: d.other for d in devices}),
        ("claracore_device_free_bytes", "What is left.", {d.id: d.free_beside(loaded.values()) for d in devices}),
    ):
        yield Gauge(name, help_text, ("device",), [((device,), float(size)) for device, size in values.items()])


def _ports(runtime: Runtime) -> Iterator[Family]:
    conflicts = {(model_id,): float(runtime.keeper.conflicts[model_id]) for model_id in runtime.config.models}
    yield Gauge(
        "claracore_port_conflicts_total",
        "Times a model could not have the port that it was to have.",
        ("model",),
        conflicts.items(),
        kind="counter",
    )
    blocked = float(len(runtime.keeper.leases.blocked))
    yield Gauge("claracore_ports_blocked", "Planned ports that somebody else has.", (), [((), blocked)])


def _keys(ring: KeyRing) -> Iterator[Family]:
    """Return what keys with limits were refused, and have at this moment."""
    meters, unix = ring.meters.all(), time.time()
    refused = [((meter.name, limit.value), float(often)) for meter in meters for limit, often in meter.refused.items()]
    words = "Requests that were refused because their key has reached a limit."
    yield Gauge("claracore_key_refused_requests_total", words, ("key", "limit"), refused, kind="counter")
    running = [((meter.name,), float(len(meter.running))) for meter in meters if meter.limits.any]
    words = "Requests in flight with a key that has limits."
    yield Gauge("claracore_key_requests_in_flight", words, ("key",), running)
    tokens = [((meter.name,), float(meter.tokens(unix))) for meter in meters]
    yield Gauge("claracore_key_tokens_today", "Tokens of this day of UTC, by key.", ("key",), tokens)


def _self(installation: Installation, broadcaster: Broadcaster) -> Iterator[Family]:
    followers = float(len(broadcaster.followers))
    yield Gauge("claracore_stream_followers", "Clients that follow events.", (), [((), followers)])
    yield Gauge("claracore_start_time_seconds", "When ClaraCore started.", (), [((), installation.started_at)])
    yield Gauge("claracore_build_info", "The version.", ("version",), [((__version__,), 1.0)])


def _process() -> Iterator[Family]:
    """Return what ClaraCore itself uses, under the names that every exporter has."""
    process = psutil.Process()
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info().rss
    seconds = round(times.user + times.system, 3)
    yield Gauge("process_cpu_seconds_total", "Processor time of ClaraCore.", (), [((), seconds)], kind="counter")
    yield Gauge("process_resident_memory_bytes", "Resident memory of ClaraCore.", (), [((), float(memory))])


def _machine(history: History) -> Iterator[Family]:
    if not history.samples.samples:
        return
    sample = history.samples.samples[-1]
    for name, help_text, value in (
        ("claracore_cpu_percent", "Use of all processors.", sample.cpu_percent),
        ("claracore_memory_total_bytes", "RAM that ClaraCore may use.", sample.memory_total_bytes),
        ("claracore_memory_available_bytes", "RAM that is free for use.", sample.memory_available_bytes),
        ("claracore_swap_used_bytes", "Swap space in use.", sample.swap_used_bytes),
        ("claracore_load_average_1m", "Load average of a minute.", sample.load_average[0]),
    ):
        yield Gauge(name, help_text, (), [((), float(value))])
    labels = ("gpu", "name")
    totals = {(str(gpu.index), gpu.name): float(gpu.total_bytes) for gpu in sample.gpus if gpu.total_bytes is not None}
    free = {(str(gpu.index), gpu.name): float(gpu.free_bytes) for gpu in sample.gpus if gpu.free_bytes is not None}
    yield Gauge("claracore_gpu_memory_total_bytes", "Memory of a graphics device.", labels, totals.items())
    yield Gauge("claracore_gpu_memory_free_bytes", "Free memory of a graphics device.", labels, free.items())
    for name, help_text, values in (
        ("claracore_gpu_busy_percent", "Use of a graphics device.", [gpu.busy_percent for gpu in sample.gpus]),
        ("claracore_gpu_temperature_celsius", "How hot it is.", [gpu.temperature_celsius for gpu in sample.gpus]),
        ("claracore_gpu_power_watts", "Power that it draws.", [gpu.power_watts for gpu in sample.gpus]),
    ):
        pairs = zip(sample.gpus, values, strict=True)
        known = [((str(gpu.index), gpu.name), value) for gpu, value in pairs if value is not None]
        yield Gauge(name, help_text, labels, known)


async def _of_llama_swap(history: History) -> list[Family]:
    """Return what llama-swap has, under its names."""
    by_model = await asyncio.to_thread(stats_by_model, history.activity)
    samples = history.samples.samples
    return [*(families(samples[-1]) if samples else ()), *model_families(by_model)]


async def _of_engines(runtime: Runtime, inside: Inside) -> dict[str, str]:
    """Return what the servers of the models that are ready say under /metrics; who does not answer is left out."""
    running = runtime.supervisor.all_running()
    ready = [model_id for model_id, server in running.items() if server.state is ModelState.READY and not server.asleep]

    async def ask(model_id: str) -> tuple[str, str]:
        with contextlib.suppress(ClaraCoreError, TimeoutError, ValueError):
            return model_id, await scrape(inside, model_id, "/metrics")
        return model_id, ""

    return dict(await asyncio.gather(*map(ask, ready)))
