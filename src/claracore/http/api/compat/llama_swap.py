"""What do clients of llama-swap (github.com/mostlygeek/llama-swap) read of the activity?

`/api/metrics/activity` and `/api/metrics/stats`, with its keys. What else is llama-swap's is ours too: `/running`,
`/unload`, `/logs`, `/upstream` and `/api/profiles` stand with their subjects, its events in `llama_swap_events`.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from math import ceil, log2
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from claracore.errors import BadRequest
from claracore.host.activity.queries import Wanted
from claracore.host.activity.rows import ActivityRow
from claracore.host.activity.statistics import newest_speeds, percentiles, stats_by_model
from claracore.http.api.activity import Limit, Models, Moment, Page, moment, page_of
from claracore.http.api.compat.numbers import known, rfc3339
from claracore.http.api.dependencies import HistoryDep, RuntimeDep

router = APIRouter(tags=["llama-swap"], include_in_schema=False)

SORTS = {
    "id": "id",
    "time": "at",
    "model": "model",
    "req_path": "path",
    "resp_status_code": "status",
    "resp_content_type": "content_type",
    "cached": "cached_tokens",
    "prompt": "prompt_tokens",
    "generated": "completion_tokens",
    "drafted": "draft_tokens",
    "prompt_speed": "prompt_per_second",
    "gen_speed": "tokens_per_second",
    "duration": "total_seconds",
}
"""llama-swap's names of the columns, and ours."""


@router.get("/api/metrics/activity")
async def activity(  # noqa: PLR0917 - a query has as many parts as it has
    history: HistoryDep,
    page: Page = 1,
    limit: Limit = 25,
    sort: str = "id",
    order: Literal["asc", "desc"] = "desc",
    model: Models = None,
    start: Moment = None,
    end: Moment = None,
    min_id: Annotated[int | None, Query(ge=0)] = None,
    max_id: Annotated[int | None, Query(ge=0)] = None,
) -> dict[str, Any]:
    """List requests as llama-swap does."""
    if sort not in SORTS:
        raise BadRequest(f"sort: one of {', '.join(SORTS)}", param="sort")
    wanted = Wanted(
        models=tuple(model or ()),
        start=moment(start, "start"),
        end=moment(end, "end"),
        min_id=min_id,
        max_id=max_id,
        sort=SORTS[sort],
        descending=order == "desc",
    )
    found = await page_of(history, wanted, page, limit)
    return {**found.model_dump(exclude={"data", "captures"}), "data": [activity_row(row) for row in found.data]}


def activity_row(row: ActivityRow) -> dict[str, Any]:
    """Return a row as llama-swap shows it: input without what was cached, 0 for a count that is not known."""
    return {
        "id": row.id,
        "timestamp": rfc3339(row.at),
        "model": row.model,
        "req_path": row.path,
        "resp_content_type": row.content_type,
        "resp_status_code": row.status,
        "tokens": {
            "cache_tokens": known(row.cached_tokens),
            "draft_tokens": known(row.draft_tokens),
            "draft_acc_tokens": known(row.accepted_tokens),
            "input_tokens": max(0, (row.prompt_tokens or 0) - (row.cached_tokens or 0)),
            "output_tokens": row.completion_tokens or 0,
            "prompt_per_second": known(row.prompt_per_second),
            "tokens_per_second": known(row.tokens_per_second),
        },
        "duration_ms": round(row.total_seconds * 1000),
        "has_capture": row.has_capture,
        "error_msg": row.error or "",
        "metadata": metadata_of(row.selector, row.priority),
    }


def metadata_of(selector: str | None, priority: int | None) -> dict[str, str]:
    """Return what llama-swap notes of a request: which selector chose its model, and its place in the queue."""
    noted = {"selector": selector or None, "fifo_priority": None if priority is None else str(priority)}
    return {name: value for name, value in noted.items() if value is not None}


@router.get("/api/metrics/stats")
async def stats(runtime: RuntimeDep, history: HistoryDep, model: str | None = None) -> dict[str, Any]:
    """Show totals and speeds, together and for each model."""
    wanted = runtime.config.resolve(model) or model if model is not None else None
    by_model = await asyncio.to_thread(stats_by_model, history.activity, wanted)
    reading, writing = await asyncio.to_thread(newest_speeds, history.activity, wanted)
    return {
        "total_requests": sum(one.requests for one in by_model.values()),
        "total_input_tokens": sum(max(0, one.prompt_tokens - one.cached_tokens) for one in by_model.values()),
        "total_cache_tokens": sum(one.cached_tokens for one in by_model.values()),
        "total_output_tokens": sum(one.completion_tokens for one in by_model.values()),
        "prompt_histogram": histogram(reading),
        "gen_histogram": histogram(writing),
        "models": {name: asdict(one) for name, one in by_model.items()},
    }


def histogram(values: list[float]) -> dict[str, Any] | None:
    """Return how values are spread, as llama-swap does: equal bins, as many as Sturges' rule says, 5 to 20."""
    if not values:
        return None
    least, most = min(values), max(values)
    count = min(20, max(5, ceil(log2(len(values))) + 1)) if least < most else 1
    width = (most - least) / count
    bins = [0] * count
    for value in values:
        bins[min(count - 1, int((value - least) / width)) if width else 0] += 1
    ranks = percentiles(values)
    return {"bins": bins, "min": least, "max": most, "binSize": width, **(asdict(ranks) if ranks else {})}
