"""How fast do models answer, one after the other and all together?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from claracore.host.activity.pace import Pace, pace, recent_speeds
from claracore.http.api.dependencies import HistoryDep
from claracore.http.api.events.snapshot import SNAPSHOT

router = APIRouter(tags=["activity"])

Seconds = Annotated[float, Query(ge=10, le=86_400)]
Steps = Annotated[int, Query(ge=1, le=1_000)]


class SpeedsView(BaseModel):
    """Tokens per second of each model's last answers, the oldest first."""

    models: dict[str, list[float]]


@router.get("/api/speeds", dependencies=SNAPSHOT)
async def speeds(history: HistoryDep) -> SpeedsView:
    """Show how fast each model's last answers were written."""
    return SpeedsView(models=await asyncio.to_thread(recent_speeds, history.activity))


@router.get("/api/pace", dependencies=SNAPSHOT)
async def pace_over_time(history: HistoryDep, seconds: Seconds = 3600, steps: Steps = 120) -> Pace:
    """Show tokens per second, requests answered and requests waiting in equal steps of the last time."""
    return await asyncio.to_thread(pace, history.activity, seconds, steps)
