"""Is it alive, who is it, which version?"""

from __future__ import annotations

import asyncio
import os
import platform
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from claracore import __version__
from claracore.host.engines.find import EngineMissing, find_engine
from claracore.http.api.dependencies import HandingOverDep, InstallationDep, RuntimeDep

router = APIRouter(tags=["system"])

OLLAMA_LEVEL = "0.14.0"
"""The version of Ollama whose clients find here all that they compare it for: since 0.13.4 it has /v1/responses, which
Codex asks for, and since 0.14.0 /v1/messages."""


@router.get("/health")
@router.get("/wol-health", include_in_schema=False)
async def health() -> PlainTextResponse:
    """Answer 200 while the server is alive; says nothing about models."""
    return PlainTextResponse("OK")


@router.get("/api/identity")
async def identity(installation: InstallationDep) -> dict[str, Any]:
    """Say who listens on this port: a second start on it asks."""
    return {
        "name": "claracore",
        "version": __version__,
        "pid": os.getpid(),
        "url": installation.url,
        "started_at": round(installation.started_at, 3),
    }


class VersionsView(BaseModel):
    """What runs here; `engine` is null when this machine has none."""

    claracore: str
    python: str
    system: str
    engine: str | None
    engine_command: list[str]


@router.get("/api/versions")
async def versions(runtime: RuntimeDep) -> VersionsView:
    """Show the versions of ClaraCore and of what it runs on."""
    try:
        engine = await asyncio.to_thread(find_engine, runtime.config.engine)
    except EngineMissing:
        engine = None
    return VersionsView(
        claracore=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        engine=f"{engine.name} {engine.version}" if engine else None,
        engine_command=list(engine.argv) if engine else [],
    )


class UpgradedView(BaseModel):
    """Who serves now, and which models went on without a pause."""

    version: str
    former_version: str
    pid: int
    models: list[str]


@router.post("/api/upgrade")
async def upgrade(handing: HandingOverDep) -> UpgradedView:
    """Have this program, started once more, take over: what was installed meanwhile serves then.

    Answered when it serves; 409 when it cannot, and then nothing has changed.
    """
    done = await handing.upgrade()
    return UpgradedView(version=done.version, former_version=__version__, pid=done.pid, models=list(done.models))


@router.get("/api/version")
async def version() -> dict[str, str]:
    """Show which version of Ollama's API we speak, and our own; with the keys of llama-swap beside them."""
    return {"version": OLLAMA_LEVEL, "claracore": __version__, "commit": "", "build_date": ""}
