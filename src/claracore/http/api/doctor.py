"""What is wrong, and what is there to do about it?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.host.setup.doctor import Check, Subject, diagnose
from claracore.http.api.dependencies import HistoryDep, InstallationDep, RuntimeDep
from claracore.http.api.parts import History, Installation, Runtime

router = APIRouter(tags=["system"])


class DoctorView(BaseModel):
    """Everything that was looked at."""

    checks: list[Check]


@router.get("/api/doctor")
async def doctor(runtime: RuntimeDep, history: HistoryDep, installation: InstallationDep) -> DoctorView:
    """Look at engine, machine, configuration, disk, versions, ports and models."""
    sources = runtime.configuration.sources
    subject = Subject(
        sources.file,
        sources.folder,
        installation.listen,
        installation.state_dir,
        runtime.configuration.environ,
        runtime.config.engine,
    )
    return DoctorView(checks=[*await asyncio.to_thread(diagnose, subject), *_running(runtime, history, installation)])


def _running(runtime: Runtime, history: History, installation: Installation) -> Iterator[Check]:
    """Return what only a running server knows."""
    for port, why in sorted(runtime.keeper.leases.blocked.items()):
        yield Check("ports", ok=False, message=f"port {port}: {why}", way_out=f"claracore ports why {port}")
    if not runtime.keeper.leases.blocked:
        planned = len({*runtime.keeper.plan.assignment.values(), *runtime.keeper.plan.fixed.values()})
        yield Check(
            "ports", ok=True, message=f"{installation.listen} is ours, and nobody else has one of {planned} for models"
        )
    for model_id in sorted(runtime.config.models):
        failure = runtime.supervisor.failure(model_id)
        if failure is not None:
            way_out = f"its last lines: claracore logs {model_id}"
            yield Check("models", ok=False, message=failure.message.partition("\n")[0], way_out=way_out)
    if history.activity.path is None and installation.state_dir is not None:
        message = "activity is kept in memory only: its file could not be opened, the log says why"
        yield Check("activity", ok=False, message=message, way_out="free the disk or correct store.path; start again")
