"""How busy was the machine lately?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from claracore.host.hardware.samples import Sample
from claracore.http.api.activity import Moment, moment
from claracore.http.api.compat.llama_swap_machine import gpu_stats, system_stats
from claracore.http.api.dependencies import HistoryDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT

router = APIRouter(tags=["hardware"])


class PerformanceView(BaseModel):
    """Samples, the oldest first; none when sampling is switched off. `..._stats` are the same in llama-swap's words."""

    enabled: bool
    every_seconds: float
    samples: list[Sample]
    sys_stats: list[dict[str, Any]]
    gpu_stats: list[dict[str, Any]]


@router.get("/api/performance", dependencies=SNAPSHOT, responses={503: {"description": "Sampling is switched off."}})
async def performance(
    runtime: RuntimeDep,
    history: HistoryDep,
    response: Response,
    after: Moment = None,
) -> PerformanceView:
    """Show the samples of the last hour that are later than `after`."""
    settings = runtime.config.performance
    if settings.disabled:
        response.status_code = 503
    samples = [] if settings.disabled else history.samples.after(moment(after, "after") or 0.0)
    return PerformanceView(
        enabled=not settings.disabled,
        every_seconds=settings.every_seconds,
        samples=samples,
        sys_stats=system_stats(samples),
        gpu_stats=gpu_stats(samples),
    )
