"""Which requests were there, what do they say together, and how did the swaps go?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, get_type_hints

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from claracore.errors import BadRequest
from claracore.host.activity.queries import Wanted
from claracore.host.activity.rows import COLUMNS, ActivityRow
from claracore.host.activity.statistics import ModelStats, Percentiles, stats_by_model
from claracore.host.activity.swaps import Swap
from claracore.http.api.dependencies import HistoryDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.parts import History

router = APIRouter(tags=["activity"])

Page = Annotated[int, Query(ge=1, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=999)]
Models = Annotated[list[str] | None, Query(description="May be given more than once.")]
Keys = Annotated[list[str] | None, Query(description="Name of a client's key; may be given more than once.")]
Moment = Annotated[str | None, Query(description="RFC 3339, or unix seconds.")]


# The columns are declared once, in `host/activity/rows`; pydantic does not read msgspec's structs.
RowView = create_model(
    "Row",
    __config__=ConfigDict(from_attributes=True),
    __doc__=ActivityRow.__doc__,
    **{name: (hint, ...) for name, hint in get_type_hints(ActivityRow).items() if name in COLUMNS},  # type: ignore[call-overload]
)


class ActivityPage(BaseModel):
    """One page of rows, the newest first."""

    data: list[RowView]  # type: ignore[valid-type] # made at run time
    page: int
    limit: int
    total: int
    total_pages: int
    captures: bool = Field(description="Whether `captureBuffer` keeps what requests and answers say.")


class ModelStatsView(BaseModel):
    """One model: `loads` since ClaraCore started, the rest of the activity that is kept."""

    requests: int
    errors: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_seconds: Percentiles | None
    tokens_per_second: Percentiles | None
    prompt_per_second: Percentiles | None
    loads: int
    load_seconds_total: float


class StatsView(BaseModel):
    """Everything together, and each model."""

    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    models: dict[str, ModelStatsView]


class SwapsView(BaseModel):
    """The last swaps, the newest first."""

    swaps: list[Swap]


@router.get("/api/activity", dependencies=SNAPSHOT)
async def activity(  # noqa: PLR0917 - a query has as many parts as it has
    history: HistoryDep,
    page: Page = 1,
    limit: Limit = 50,
    model: Models = None,
    key: Keys = None,
    status: Annotated[str | None, Query(description="200, 4xx, ok, left or error.")] = None,
    q: Annotated[
        str | None, Query(description="Part of a model, path, client, key, error, machine or request id.")
    ] = None,
    start: Moment = None,
    end: Moment = None,
    sort: str = "id",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
) -> ActivityPage:
    """List requests that are over."""
    if sort not in COLUMNS:
        raise BadRequest(f"sort: one of {', '.join(COLUMNS)}", param="sort")
    wanted = Wanted(
        models=tuple(model or ()),
        keys=tuple(key or ()),
        status=status,
        text=q,
        start=moment(start, "start"),
        end=moment(end, "end"),
        sort=sort,
        descending=order == "desc",
    )
    return await page_of(history, wanted, page, limit)


async def page_of(history: History, wanted: Wanted, page: int, limit: int) -> ActivityPage:
    """Return one page of the wanted rows."""
    rows, total = await asyncio.to_thread(history.activity.rows, wanted, limit=limit, offset=(page - 1) * limit)
    data = [RowView.model_validate(row) for row in rows]
    pages = -(-total // limit)
    kept = history.captures.enabled
    return ActivityPage(data=data, page=page, limit=limit, total=total, total_pages=pages, captures=kept)


def moment(text: str | None, name: str) -> float | None:
    """Read a time. Raises BadRequest."""
    if text is None or not text:
        return None
    try:
        return float(text) if text.replace(".", "", 1).isdigit() else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{name}: {text!r} is neither RFC 3339 nor unix seconds", param=name) from error


@router.get("/api/stats")
async def stats(runtime: RuntimeDep, history: HistoryDep, model: str | None = None) -> StatsView:
    """Show totals and percentiles, together and for each model."""
    wanted = runtime.config.resolve(model) or model if model is not None else None
    by_model = await asyncio.to_thread(stats_by_model, history.activity, wanted)
    return StatsView(
        requests=sum(one.requests for one in by_model.values()),
        errors=sum(one.errors for one in by_model.values()),
        prompt_tokens=sum(one.prompt_tokens for one in by_model.values()),
        completion_tokens=sum(one.completion_tokens for one in by_model.values()),
        models={name: _model_stats(history, name, one) for name, one in sorted(by_model.items())},
    )


def _model_stats(history: History, model: str, stats: ModelStats) -> ModelStatsView:
    loads, seconds = history.counts.load_seconds.total(model)
    return ModelStatsView(**asdict(stats), loads=loads, load_seconds_total=round(seconds, 3))


@router.get("/api/swaps", dependencies=SNAPSHOT)
async def swaps(runtime: RuntimeDep) -> SwapsView:
    """List the last loads of models: why, who had to go, and how long each part took."""
    runtime.look_at_answers()
    return SwapsView(swaps=list(reversed(runtime.swaps.swaps)))
