"""Which port is whose, and why?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from claracore.core.config.ranks import master_port_name
from claracore.core.ports.report import ReportView
from claracore.host.cluster.ray_seen import ray_pids
from claracore.host.sockets.observe import listener_words, reasons, running_report, why_running
from claracore.http.api.dependencies import InstallationDep, RayDep, RuntimeDep, SecondDoorDep
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.parts import Installation, Runtime
from claracore.types import ModelState

router = APIRouter(tags=["ports"])


class PortView(BaseModel):
    """One port: its state, a sentence about who has it, and what else there is to know."""

    port: int
    state: str
    sentence: str
    reasons: list[str]


@router.get("/api/ports", dependencies=SNAPSHOT)
async def ports(runtime: RuntimeDep, installation: InstallationDep, second: SecondDoorDep, ray: RayDep) -> ReportView:
    """List the ranges, and every port that is planned or in use."""
    ours = await _ray(runtime, installation)
    more = (*second.findings, *ray.findings)
    return running_report(runtime.keeper, runtime.config, _serving(runtime), more, ours)


@router.get("/api/ports/{port}")
async def port(
    runtime: RuntimeDep, installation: InstallationDep, port: Annotated[int, Path(ge=1, le=65535)]
) -> PortView:
    """Say who has a port and why."""
    ours = await _ray(runtime, installation)
    seen, sentence = await why_running(port, runtime.keeper, _serving(runtime), ours)
    listens = await asyncio.to_thread(listener_words, port, seen)
    more = [listens, *reasons(port, runtime.keeper.plan), seen.note]
    return PortView(port=port, state=seen.state.value, sentence=sentence, reasons=[one for one in more if one])


async def _ray(runtime: Runtime, installation: Installation) -> frozenset[int]:
    """Return the processes of our Ray; nobody is looked for where it has no ports."""
    return await asyncio.to_thread(ray_pids, installation.state_dir) if runtime.keeper.plan.ray else frozenset()


def _serving(runtime: Runtime) -> dict[str, int]:
    """Return the pid of each model that is ready, also by the name of the port where its ranks meet."""
    return {
        name: running.pid
        for model_id, running in runtime.supervisor.all_running().items()
        if running.state is ModelState.READY and running.pid is not None
        for name in (model_id, *([master_port_name(model_id)] if running.ranks else []))
    }
