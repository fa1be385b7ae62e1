"""How busy was the machine lately?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from claracore.host.hardware.samples import Sample
from claracore.http.api.context import Here

router = APIRouter(tags=["hardware"])


class PerformanceView(BaseModel):
    """Samples, the oldest first; none when sampling is switched off."""

    enabled: bool
    every_seconds: float
    samples: list[Sample]


@router.get("/api/performance", responses={503: {"description": "Sampling is switched off."}})
async def performance(
    here: Here, response: Response, after: Annotated[float, Query(description="Unix seconds.")] = 0.0
) -> PerformanceView:
    """Show the samples of the last hour that are later than `after`."""
    its = here.config.performance
    if its.disabled:
        response.status_code = 503
    samples = [] if its.disabled else here.performance.after(after)
    return PerformanceView(enabled=not its.disabled, every_seconds=its.every_seconds, samples=samples)
