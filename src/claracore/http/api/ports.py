"""Which port is whose, and why?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from claracore.core.ports.report import ReportJson
from claracore.host.sockets.observe import observe_running, reasons, running_report, sentence, why
from claracore.http.api.dependencies import RuntimeDep
from claracore.http.api.parts import Runtime
from claracore.types import ModelState

router = APIRouter(tags=["ports"])


class PortView(BaseModel):
    """One port: its state, a sentence about who has it, and what else there is to know."""

    port: int
    state: str
    sentence: str
    reasons: list[str]


class WebView(BaseModel):
    """Where the web interface listens."""

    hosts: list[str]
    port: int
    url: str
    state: str
    pid: int | None
    holder: str


class RangeView(BaseModel):
    """One range; `end` is included."""

    name: str
    start: int
    end: int
    members: list[str]


class PortRow(BaseModel):
    """One port that is planned or in use."""

    port: int
    model: str | None
    group: str | None
    state: str
    pid: int | None
    holder: str
    note: str


class PortFinding(BaseModel):
    """One finding about ports, with its place as `file:line:column` or null."""

    severity: str
    message: str
    path: str
    place: str | None
    way_out: str


class ReportView(BaseModel):
    """Everything about ports (`ports.report.ReportJson`)."""

    web: WebView
    ranges: list[RangeView]
    ports: list[PortRow]
    findings: list[PortFinding]


@router.get("/api/ports", response_model=ReportView)
async def ports(runtime: RuntimeDep) -> ReportJson:
    """List the ranges, and every port that is planned or in use."""
    return running_report(runtime.keeper, runtime.config, _serving(runtime))


@router.get("/api/ports/{port}")
async def port(runtime: RuntimeDep, port: Annotated[int, Path(ge=1, le=65535)]) -> PortView:
    """Say who has a port and why."""
    ours = observe_running(runtime.keeper, _serving(runtime)).get(port)
    if ours is not None and ours.holder:
        seen, said = ours, sentence(port, ours)
    else:
        with runtime.keeper.ledger.locked():
            instances = runtime.keeper.ledger.others()
        seen, said = await asyncio.to_thread(why, port, instances)
    more = [*reasons(port, runtime.keeper.plan), *([seen.note] if seen.note else [])]
    return PortView(port=port, state=seen.state.value, sentence=said, reasons=more)


def _serving(runtime: Runtime) -> dict[str, int]:
    """Return the pid of each model that is ready."""
    pids = {}
    for model_id, slot in runtime.supervisor.slots.items():
        life = runtime.supervisor.life(model_id)
        if slot.state is ModelState.READY and life is not None and life.child is not None:
            pids[model_id] = life.child.pid
    return pids
