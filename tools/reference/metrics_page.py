"""Which metrics does /metrics have: name, type, unit, labels and meaning?"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from claracore.host.activity.counts import Counts
from claracore.host.activity.measures import Family
from claracore.host.hardware.samples import GpuSample, Sample
from claracore.http.api.metrics import gauges
from reference.tables import table

HEAD = """\
# Metrics

<!-- Made from host/activity/counts.py and http/api/metrics.py by tools/docs_reference.py; a test compares it. -->

`GET /metrics` answers in Prometheus' text format 0.0.4, for keys with the scope `read`. Names and labels stay as
they are: dashboards depend on them. [grafana-dashboard.json](../grafana-dashboard.json) is one.

`?engines=1` adds the metrics of the models' servers, under the label `model` (start them with `--metrics`).
`?names=llama-swap` adds what llama-swap measures, under its names.

A family has at most 2,000 series; what would be one more is counted under labels `other`.
"""
COUNTED = """
## Counted since the start

A histogram has `_bucket` (label `le`), `_sum` and `_count`.
"""
NOW = """
## At this moment
"""
UNITS = ("seconds", "bytes", "percent", "celsius", "watts")


def page() -> str:
    """Return docs/reference/metrics.md."""
    return f"{HEAD}{COUNTED}\n{_table(Counts().families)}{NOW}\n{_table(of_this_moment())}"


def of_this_moment() -> tuple[Family, ...]:
    """Return the gauges of a ClaraCore without models on a machine with a graphics device: what there can be."""
    nothing: Any = SimpleNamespace(
        supervisor=SimpleNamespace(slots={}),
        config=SimpleNamespace(models={}),
        pids=dict,
        memory=SimpleNamespace(loaded=dict),
        keeper=SimpleNamespace(leases=SimpleNamespace(blocked=()), conflicts={}),
        followers=(),
        started_at=0.0,
        meters=SimpleNamespace(all=list),
        samples=SimpleNamespace(samples=[_sample()]),
    )
    return gauges(nothing, nothing, nothing, nothing, nothing, ())


def _sample() -> Sample:
    gpu = GpuSample(0, "a device", 2, 1, 0.0, 0.0, 0.0)
    return Sample(0.0, 0.0, (0.0,), 0, 0, 0, 0, (0.0, 0.0, 0.0), 0, 0, (gpu,), {})


def _table(families: Iterable[Family]) -> str:
    rows = ((f"`{family.name}`", family.kind, unit(family.name), _labels(family), family.help) for family in families)
    return table(("name", "type", "unit", "labels", "meaning"), rows)


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)


def unit(name: str) -> str:
    """Return the unit that a name ends with, as Prometheus has it; none for a number of things."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in UNITS else ""
