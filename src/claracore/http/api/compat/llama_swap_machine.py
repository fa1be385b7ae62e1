"""What do clients of llama-swap read of the machine?

`sys_stats` and `gpu_stats` of GET /api/performance, and the families of its GET /metrics (`names=llama-swap`), whose
names and labels dashboards know, with its counts of models' requests. What is not measured here (fans, the memory's
temperature) or not told by a driver is 0, as llama-swap has it; its families are left out. Its network is told by
interface, ours as a whole, named `all`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from claracore.core.units import MIB
from claracore.host.activity.measures import Family, Gauge
from claracore.host.activity.statistics import ModelStats
from claracore.host.hardware.samples import GpuSample, Sample
from claracore.http.api.compat.numbers import rfc3339

ALL = "all"


def system_stats(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return what llama-swap tells of processors and memory, in MiB."""
    return [_system(sample) for sample in samples]


def _system(sample: Sample) -> dict[str, Any]:
    one, five, fifteen = sample.load_average
    network = {"name": ALL, "bytes_recv": sample.network_received_bytes, "bytes_sent": sample.network_sent_bytes}
    return {
        "timestamp": rfc3339(sample.at),
        "cpu_util_per_core": list(sample.core_percents),
        "mem_total_mb": sample.memory_total_bytes // MIB,
        "mem_used_mb": (sample.memory_total_bytes - sample.memory_available_bytes) // MIB,
        "mem_free_mb": sample.memory_available_bytes // MIB,
        "swap_total_mb": sample.swap_total_bytes // MIB,
        "swap_used_mb": sample.swap_used_bytes // MIB,
        "load_avg_1": one,
        "load_avg_5": five,
        "load_avg_15": fifteen,
        "net_io": [network],
    }


def gpu_stats(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return what llama-swap tells of graphics devices, each at each moment."""
    return [_gpu(sample, gpu) for sample in samples for gpu in sample.gpus if gpu.total_bytes is not None]


def _gpu(sample: Sample, gpu: GpuSample) -> dict[str, Any]:
    total, used = gpu.total_bytes or 0, _used(gpu)
    return {
        "timestamp": rfc3339(sample.at),
        "id": gpu.index,
        "name": gpu.name,
        "uuid": "",
        "temp_c": round(gpu.temperature_celsius or 0),
        "vram_temp_c": 0,
        "gpu_util_pct": gpu.busy_percent or 0.0,
        "mem_util_pct": _percent(used, total),
        "mem_used_mb": used // MIB,
        "mem_total_mb": total // MIB,
        "fan_speed_pct": 0.0,
        "power_draw_w": gpu.power_watts or 0.0,
    }


def _used(gpu: GpuSample) -> int:
    return (gpu.total_bytes or 0) - gpu.free_bytes if gpu.free_bytes is not None else 0


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def families(sample: Sample) -> Iterator[Family]:
    """Give the newest sample under the names of llama-swap's GET /metrics."""
    cores = [((str(number),), percent) for number, percent in enumerate(sample.core_percents)]
    yield Gauge("llamaswap_cpu_util_percent", "CPU utilization per core (0-100).", ("core",), cores)
    used = sample.memory_total_bytes - sample.memory_available_bytes
    for name, help_text, value in (
        ("memory_total_bytes", "Total memory.", sample.memory_total_bytes),
        ("memory_used_bytes", "Used memory.", used),
        ("memory_free_bytes", "Free memory.", sample.memory_available_bytes),
        ("swap_total_bytes", "Total swap.", sample.swap_total_bytes),
        ("swap_used_bytes", "Used swap.", sample.swap_used_bytes),
    ):
        yield Gauge(f"llamaswap_{name}", help_text, (), [((), float(value))])
    loads = [((f"{minutes}m",), load) for minutes, load in zip((1, 5, 15), sample.load_average, strict=True)]
    yield Gauge("llamaswap_load_average", "Load average.", ("interval",), loads)
    network = [
        ((ALL, "recv"), float(sample.network_received_bytes)),
        ((ALL, "sent"), float(sample.network_sent_bytes)),
    ]
    labels = ("interface", "direction")
    yield Gauge("llamaswap_network_bytes_total", "Network bytes transferred.", labels, network, kind="counter")
    yield from _gpu_families([gpu for gpu in sample.gpus if gpu.total_bytes is not None])


def model_families(by_model: Mapping[str, ModelStats]) -> Iterator[Family]:
    """Give what is counted of each model, as far as its activity is kept, under llama-swap's names."""
    read = {model: max(0, one.prompt_tokens - one.cached_tokens) for model, one in by_model.items()}
    for name, help_text, counts in (
        ("requests", "Requests.", {model: one.requests for model, one in by_model.items()}),
        ("input_tokens", "Input tokens that were read.", read),
        ("output_tokens", "Output tokens.", {model: one.completion_tokens for model, one in by_model.items()}),
        ("cache_tokens", "Cached input tokens.", {model: one.cached_tokens for model, one in by_model.items()}),
    ):
        values = [((model,), float(count)) for model, count in sorted(counts.items())]
        yield Gauge(f"llamaswap_model_{name}_total", help_text, ("model",), values, kind="counter")


def _gpu_families(gpus: list[GpuSample]) -> Iterator[Family]:
    used_percents = [_percent(_used(gpu), gpu.total_bytes or 0) for gpu in gpus]
    for name, help_text, values in (
        ("memory_util_percent", "GPU memory utilization (0-100).", used_percents),
        ("memory_used_bytes", "GPU memory used.", [float(_used(gpu)) for gpu in gpus]),
        ("memory_total_bytes", "GPU memory.", [float(gpu.total_bytes or 0) for gpu in gpus]),
    ):
        labelled = [((str(gpu.index), gpu.name), value) for gpu, value in zip(gpus, values, strict=True)]
        yield Gauge(f"llamaswap_gpu_{name}", help_text, ("id", "name"), labelled)
