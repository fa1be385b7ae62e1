"""What is wrong, and what is there to do about it?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.host.setup.doctor import Check, Subject, diagnose
from claracore.http.api.context import Context, Here

router = APIRouter(tags=["system"])


class DoctorView(BaseModel):
    """Everything that was looked at."""

    checks: list[Check]


@router.get("/api/doctor")
async def doctor(here: Here) -> DoctorView:
    """Look at engine, machine, configuration, disk, versions, ports and models."""
    sources = here.configuration.sources
    subject = Subject(
        sources.file,
        sources.folder,
        here.listen,
        here.state_dir,
        here.configuration.environ,
        here.config.engine,
    )
    return DoctorView(checks=[*await asyncio.to_thread(diagnose, subject), *_running(here)])


def _running(here: Context) -> Iterator[Check]:
    """Return what only a running server knows."""
    for port, why in sorted(here.keeper.leases.blocked.items()):
        yield Check("ports", ok=False, message=f"port {port}: {why}", way_out=f"claracore ports why {port}")
    if not here.keeper.leases.blocked:
        planned = len({*here.keeper.plan.assignment.values(), *here.keeper.plan.fixed.values()})
        yield Check("ports", ok=True, message=f"{here.listen} is ours, and nobody else has one of {planned} for models")
    for model_id in sorted(here.config.models):
        failure = here.supervisor.failure(model_id)
        if failure is not None:
            way_out = f"its last lines: claracore logs {model_id}"
            yield Check("models", ok=False, message=failure.message.partition("\n")[0], way_out=way_out)
    if here.activity.path is None and here.state_dir is not None:
        message = "activity is kept in memory only: its file could not be opened, the log says why"
        yield Check("activity", ok=False, message=message, way_out="free the disk or correct store.path; start again")
