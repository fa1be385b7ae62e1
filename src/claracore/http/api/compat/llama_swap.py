"""What do clients of llama-swap and of the first ClaraCore read? (COMPAT, part 1 section 2 and part 2 section 4)

The same facts as elsewhere in their shapes; nothing new is offered here.
"""

from __future__ import annotations

import asyncio
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from math import ceil, log2
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from claracore.core.units import GIB
from claracore.errors import BadRequest
from claracore.host.activity.rows import Row, Wanted
from claracore.host.activity.statistics import newest_speeds, percentiles, stats_by_model
from claracore.host.disk_space import free_at
from claracore.host.hardware.probe import probe
from claracore.host.setup.settings import SystemSettings
from claracore.http.api.activity import Limit, Models, Moment, Page, moment, page_of
from claracore.http.api.context import Here
from claracore.types import ModelState

router = APIRouter(tags=["old clients"], include_in_schema=False)

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
FIRST_ROWS = 999
CONTEXTS = [4096, 8192, 16384, 32768]


@router.get("/api/metrics")
async def metrics(here: Here) -> list[dict[str, Any]]:
    """List the last requests, the oldest first, as the first ClaraCore did (an empty list instead of its `null`)."""
    rows, _total = await asyncio.to_thread(here.activity.rows, Wanted(), limit=FIRST_ROWS)
    return [oldest_row(row) for row in reversed(rows)]


@router.get("/api/metrics/activity")
async def activity(  # noqa: PLR0917 - a query has as many parts as it has
    here: Here,
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
    found = await page_of(here, wanted, page, limit)
    return {**found.model_dump(exclude={"data"}), "data": [old_row(row) for row in found.data]}


def old_row(row: Row) -> dict[str, Any]:
    """Return a row as llama-swap shows it."""
    return {
        "id": row.id,
        "timestamp": _time(row.at),
        "model": row.model,
        "req_path": row.path,
        "resp_content_type": row.content_type,
        "resp_status_code": row.status,
        "tokens": {
            "cache_tokens": _known(row.cached_tokens),
            "draft_tokens": _known(row.draft_tokens),
            "draft_acc_tokens": _known(row.accepted_tokens),
            "input_tokens": _known(row.prompt_tokens),
            "output_tokens": _known(row.completion_tokens),
            "prompt_per_second": _known(row.prompt_per_second),
            "tokens_per_second": _known(row.tokens_per_second),
        },
        "duration_ms": round(row.total_seconds * 1000),
        "has_capture": row.has_capture,
        "error_msg": row.error or "",
        "metadata": {},
    }


def oldest_row(row: Row) -> dict[str, Any]:
    """Return a row as the first ClaraCore showed it."""
    return {
        "id": row.id,
        "timestamp": _time(row.at),
        "model": row.model,
        "cache_tokens": _known(row.cached_tokens),
        "input_tokens": _known(row.prompt_tokens),
        "output_tokens": _known(row.completion_tokens),
        "prompt_per_second": _known(row.prompt_per_second),
        "tokens_per_second": _known(row.tokens_per_second),
        "duration_ms": round(row.total_seconds * 1000),
    }


def _known(value: float | None) -> float:
    """Return a number; their clients know -1 as "not known"."""
    return -1 if value is None else value


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@router.get("/api/metrics/stats")
async def stats(here: Here, model: str | None = None) -> dict[str, Any]:
    """Show totals and speeds, together and for each model."""
    wanted = here.config.resolve(model) or model if model is not None else None
    by_model = await asyncio.to_thread(stats_by_model, here.activity, wanted)
    reading, writing = await asyncio.to_thread(newest_speeds, here.activity, wanted)
    return {
        "total_requests": sum(its.requests for its in by_model.values()),
        "total_input_tokens": sum(its.prompt_tokens for its in by_model.values()),
        "total_cache_tokens": sum(its.cached_tokens for its in by_model.values()),
        "total_output_tokens": sum(its.completion_tokens for its in by_model.values()),
        "prompt_histogram": histogram(reading),
        "gen_histogram": histogram(writing),
        "models": {name: asdict(its) for name, its in by_model.items()},
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


@router.get("/info")
async def info(here: Here) -> dict[str, Any]:
    """List the models with their ports."""
    rows = []
    for model_id, model in sorted(here.config.models.items()):
        running = here.supervisor.running(model_id)
        endpoint = running.endpoint if running else None
        planned = here.keeper.plan.assignment.get(model_id) or here.keeper.plan.fixed.get(model_id)
        port = endpoint.port if endpoint and endpoint.port else planned
        rows.append(
            {
                "model": model_id,
                "port": str(port or ""),
                "proxy": f"http://{endpoint}" if endpoint else model.proxy.replace("${PORT}", str(port or "")),
                "running": here.supervisor.state(model_id) is ModelState.READY,
                "name": model.name,
                "description": model.description,
            }
        )
    return {"models": rows, "total": len(rows)}


@router.get("/api/system/specs")
async def specs(here: Here) -> dict[str, Any]:
    """Show memory, processors and disk, in bytes."""
    machine = await asyncio.to_thread(probe)
    free = await asyncio.to_thread(free_at, here.state_dir or Path.cwd())
    return {
        "totalRAM": machine.memory.total_bytes,
        "availableRAM": machine.memory.available_bytes,
        "totalVRAM": sum(gpu.total_bytes or 0 for gpu in machine.gpus),
        "availableVRAM": sum(gpu.free_bytes or 0 for gpu in machine.gpus),
        "cpuCores": machine.processor.logical,
        "gpuName": machine.gpus[0].name if machine.gpus else "",
        "diskSpace": free,
    }


@router.get("/api/system/detection")
async def detection() -> dict[str, Any]:
    """Show what was found of the machine, and what follows from it."""
    machine = await asyncio.to_thread(probe)
    backend = machine.backend.value
    gpus = machine.gpus
    vram = sum(gpu.total_bytes or 0 for gpu in gpus) / GIB
    ram = machine.memory.total_bytes / GIB
    primary = [{"name": gpu.name, "brand": gpu.vendor, "vramGB": (gpu.total_bytes or 0) / GIB} for gpu in gpus[:1]]
    return {
        "detectionQuality": "basic" if machine.notes else "excellent",
        "platform": machine.platform,
        "arch": platform.machine(),
        "gpuDetected": bool(gpus),
        "gpuTypes": sorted({gpu.vendor for gpu in gpus}),
        "primaryGPU": primary[0] if primary else None,
        "totalRAMGB": round(ram, 1),
        "availableRAMGB": round(machine.memory.available_bytes / GIB, 1),
        "recommendedBackends": [backend],
        "supportedBackends": sorted({backend, "cpu"}),
        "recommendedContextSizes": CONTEXTS,
        "maxRecommendedContextSize": CONTEXTS[-1],
        "recommendations": {
            "primaryBackend": backend,
            "fallbackBackend": "cpu",
            "suggestedContextSize": CONTEXTS[1],
            "suggestedVRAMAllocation": round(vram, 1),
            "suggestedRAMAllocation": round(ram * 0.8, 1),
            "throughputFirst": True,
            "notes": list(machine.notes),
        },
        "detectionTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@router.get("/api/settings/system")
async def settings(here: Here) -> dict[str, Any]:
    """Show what a person has set for the setup; null when nothing was."""
    saved = await asyncio.to_thread(here.settings.load)
    return {"settings": saved.model_dump(by_alias=True) if saved is not None else None}


@router.post("/api/settings/system")
async def save(here: Here, wished: SystemSettings) -> dict[str, str]:
    """Keep what a person wants the setup to plan with."""
    await asyncio.to_thread(here.settings.save, wished)
    return {"status": "saved"}
