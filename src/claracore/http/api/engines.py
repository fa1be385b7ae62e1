"""How does a person get engines, see which one is meant, and take another one?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.core.engines.choose import AUTO
from claracore.core.engines.job import LATEST, EngineWish
from claracore.core.engines.sources import USUAL
from claracore.host.engines.checks import check_engines
from claracore.host.engines.views import (
    EngineJobView,
    EnginePlanView,
    EnginesCheckView,
    EnginesView,
    InstalledView,
    engines_view,
    installed_view,
    job_view,
    plan_view,
)
from claracore.http.api.dependencies import EngineJobsDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT

router = APIRouter(prefix="/api/engines", tags=["engines"])

ShortText = Annotated[str, Field(min_length=1, max_length=200)]


class EngineOrder(BaseModel):
    """What is wanted: an engine, `latest`, `nightly` or a tag, and a backend or `auto`."""

    name: ShortText = USUAL
    version: ShortText = LATEST
    backend: ShortText = AUTO
    use: bool | None = None
    """Whether it is to be in use afterwards; null: only if no other build of the engine is."""
    build: bool = False
    """Whether llama.cpp is compiled here, from its package on PyPI."""

    def wish(self) -> EngineWish:
        """Return it as the manager takes it."""
        return EngineWish(self.name, self.version, self.backend, self.use, self.build)


class EngineNamed(BaseModel):
    """An installed build: its id, or a part that only one has (`b11434`, `vulkan`)."""

    id: ShortText


class EngineRemoved(BaseModel):
    """The id of a build that is gone."""

    removed: str


@router.get("", dependencies=SNAPSHOT)
async def engines(jobs: EngineJobsDep, runtime: RuntimeDep) -> EnginesView:
    """List the installed builds, which one `llama-server` means, and what is on its way."""
    return await asyncio.to_thread(engines_view, jobs.manager.folders, runtime.config.engine, jobs.all)


@router.post("/plan")
async def plan(jobs: EngineJobsDep, order: EngineOrder) -> EnginePlanView:
    """Say what would be installed here, why, and how large it is; nothing is."""
    choice, devices = await jobs.manager.plan(order.wish())
    return await asyncio.to_thread(plan_view, choice, order.name, jobs.manager.folders, list(devices))


@router.post("/install")
async def install(jobs: EngineJobsDep, order: EngineOrder) -> EngineJobView:
    """Install a build; it goes on by itself, and `engine` events tell how far it is."""
    return job_view(jobs.begin("install", order.wish()))


@router.post("/update")
async def update(jobs: EngineJobsDep, order: EngineOrder) -> EngineJobView:
    """Install the newest build with the backend in use, and use it for the next start of each model."""
    return job_view(jobs.begin("update", order.wish()))


@router.post("/use")
async def use(jobs: EngineJobsDep, named: EngineNamed) -> InstalledView:
    """Put a build in use: the next start of a model takes it, those that run stay."""
    engine = await asyncio.to_thread(jobs.manager.use, named.id)
    await jobs.engines_changed()
    folders = jobs.manager.folders
    return await asyncio.to_thread(lambda: installed_view(engine, folders.use(), folders))


@router.post("/check")
async def check(jobs: EngineJobsDep) -> EnginesCheckView:
    """Try whether each build runs, and ask for the newest."""
    return await check_engines(jobs.manager)


@router.post("/look")
async def look(jobs: EngineJobsDep, runtime: RuntimeDep) -> EnginesView:
    """Look anew which build is in use: somebody else has changed that (`claracore engines use`)."""
    await jobs.engines_changed()
    return await engines(jobs, runtime)


@router.get("/jobs/{job_id}")
async def job(jobs: EngineJobsDep, job_id: str) -> EngineJobView:
    """Show one job."""
    return job_view(jobs.get(job_id))


@router.delete("/jobs/{job_id}")
async def cancel(jobs: EngineJobsDep, job_id: str) -> EngineJobView:
    """Cancel a job; what was fetched stays for the next time."""
    jobs.cancel(job_id)
    return job_view(await jobs.ended(job_id))


@router.delete("/{engine_id}")
async def remove(jobs: EngineJobsDep, engine_id: str) -> EngineRemoved:
    """Delete a build; the one in use is refused."""
    engine = await asyncio.to_thread(jobs.manager.remove, engine_id)
    await jobs.engines_changed()
    return EngineRemoved(removed=engine.id)
