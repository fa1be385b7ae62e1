"""What is wrong, and what is there to do about it?"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.host.setup.check import Check
from claracore.host.setup.doctor import Subject, diagnose
from claracore.host.setup.running_checks import running_checks
from claracore.http.api.dependencies import HistoryDep, InstallationDep, RuntimeDep

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
    failures = {name: failure for name in runtime.config.models if (failure := runtime.supervisor.failure(name))}
    activity_lost = history.activity.path is None and installation.state_dir is not None
    running = running_checks(runtime.keeper, installation.listen, failures, activity_lost=activity_lost)
    return DoctorView(checks=[*await asyncio.to_thread(diagnose, subject), *running])
