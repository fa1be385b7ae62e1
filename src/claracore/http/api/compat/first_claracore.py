"""What do clients of the first ClaraCore (the program in Go) read? Its downloads are beside this file.

`/api/metrics`, `/info`, `/api/system/*` and `/api/settings/system`, with its keys. An empty list is `[]` where it said
`null`.
"""

from __future__ import annotations

import asyncio
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from claracore.core.units import GIB
from claracore.host.activity.queries import Wanted
from claracore.host.activity.rows import ActivityRow
from claracore.host.disk_space import free_at
from claracore.host.hardware.probe import probe
from claracore.host.setup.settings import SystemSettings
from claracore.http.api.compat.numbers import known, rfc3339
from claracore.http.api.dependencies import HistoryDep, InstallationDep, RuntimeDep, SurveyorDep
from claracore.types import ModelState

router = APIRouter(tags=["first ClaraCore"], include_in_schema=False)

MOST_ROWS = 999
CONTEXTS = [4096, 8192, 16384, 32768]


@router.get("/api/metrics")
async def metrics(history: HistoryDep) -> list[dict[str, Any]]:
    """List the last requests, the oldest first."""
    rows, _total = await asyncio.to_thread(history.activity.rows, Wanted(), limit=MOST_ROWS)
    return [metric_row(row) for row in reversed(rows)]


def metric_row(row: ActivityRow) -> dict[str, Any]:
    """Return a row as the first ClaraCore showed it."""
    return {
        "id": row.id,
        "timestamp": rfc3339(row.at),
        "model": row.model,
        "cache_tokens": known(row.cached_tokens),
        "input_tokens": known(row.prompt_tokens),
        "output_tokens": known(row.completion_tokens),
        "prompt_per_second": known(row.prompt_per_second),
        "tokens_per_second": known(row.tokens_per_second),
        "duration_ms": round(row.total_seconds * 1000),
    }


@router.get("/info")
async def info(runtime: RuntimeDep) -> dict[str, Any]:
    """List the models with their ports."""
    rows = []
    for model_id, model in sorted(runtime.config.models.items()):
        running = runtime.supervisor.running(model_id)
        endpoint = running.endpoint if running else None
        planned = runtime.keeper.plan.assignment.get(model_id) or runtime.keeper.plan.fixed.get(model_id)
        port = runtime.port_of(model_id) or planned
        rows.append(
            {
                "model": model_id,
                "port": str(port or ""),
                "proxy": f"http://{endpoint}" if endpoint else model.proxy.replace("${PORT}", str(port or "")),
                "running": runtime.supervisor.state(model_id) is ModelState.READY,
                "name": model.name,
                "description": model.description,
            }
        )
    return {"models": rows, "total": len(rows)}


@router.get("/api/system/specs")
async def specs(installation: InstallationDep) -> dict[str, Any]:
    """Show memory, processors and disk, in bytes."""
    machine = await asyncio.to_thread(probe)
    free = await asyncio.to_thread(free_at, installation.state_dir or Path.cwd())
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
async def settings(surveyor: SurveyorDep) -> dict[str, Any]:
    """Show what a person has set for the setup; null when nothing was."""
    saved = await asyncio.to_thread(surveyor.settings.load)
    return {"settings": saved.model_dump(by_alias=True) if saved is not None else None}


@router.post("/api/settings/system")
async def save(surveyor: SurveyorDep, wished: SystemSettings) -> dict[str, str]:
    """Keep what a person wants the setup to plan with."""
    await asyncio.to_thread(surveyor.settings.save, wished)
    return {"status": "saved"}
