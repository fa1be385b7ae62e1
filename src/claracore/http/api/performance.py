"""How busy was the machine lately?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from claracore.host.hardware.samples import Sample
from claracore.http.api.dependencies import HistoryDep, RuntimeDep

router = APIRouter(tags=["hardware"])


class PerformanceView(BaseModel):
    """Samples, the oldest first; none when sampling is switched off."""

    enabled: bool
    every_seconds: float
    samples: list[Sample]


@router.get("/api/performance", responses={503: {"description": "Sampling is switched off."}})
async def performance(
    runtime: RuntimeDep,
    history: HistoryDep,
    response: Response,
    after: Annotated[float, Query(description="Unix seconds.")] = 0.0,
) -> PerformanceView:
    """Show the samples of the last hour that are later than `after`."""
    settings = runtime.config.performance
    if settings.disabled:
        response.status_code = 503
    samples = [] if settings.disabled else history.samples.after(after)
    return PerformanceView(enabled=not settings.disabled, every_seconds=settings.every_seconds, samples=samples)
