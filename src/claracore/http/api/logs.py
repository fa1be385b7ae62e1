"""What was logged, by ClaraCore and by the models' servers?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel

from claracore.errors import BadRequest
from claracore.host.logs.output import OutputRing
from claracore.host.logs.proxy import LogEntry, ProxyLog
from claracore.http.access.keys import Grant
from claracore.http.api.dependencies import EventsDep, GrantDep, ProxyLogDep, RuntimeDep
from claracore.http.api.events.announcer import PROXY
from claracore.http.api.events.open_streams import OpenStreams
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.logs_of_others import LineView, lines_of_another, model_there, stream_of_another
from claracore.http.api.parts import Runtime

router = APIRouter(tags=["logs"])

UPSTREAM = "upstream"
"""The output of all models."""
HISTORY_LINES = 2_000
BUNCH_SECONDS = 0.05
"""Lines of this long are sent together: one by one, three followers of a model that prints without end made everybody
else wait 14 ms instead of 3."""
Lines = Annotated[int, Query(ge=1, le=HISTORY_LINES)]


class LogView(BaseModel):
    """The last lines of one source."""

    source: str
    lines: list[LineView]


@router.get("/api/logs", dependencies=SNAPSHOT)
async def last_lines(
    runtime: RuntimeDep, log: ProxyLogDep, request: Request, source: str = PROXY, lines: Lines = 200
) -> LogView:
    """Show the last lines of ClaraCore's own log (`proxy`) or of a model, wherever it runs."""
    if source == PROXY and PROXY not in runtime.config.models:
        entries = list(log.entries)[-lines:]
    else:
        source = runtime.resolve(source)
        if (there := model_there(runtime, source, request)) is not None:
            return LogView(source=source, lines=await lines_of_another(there, lines))
        entries = [LogEntry(line) for line in runtime.supervisor.output(source).tail(lines)]
    views = [LineView(at=entry.at, level=entry.level, text=entry.text) for entry in entries]
    return LogView(source=source, lines=views)


@router.get("/logs")
async def history(runtime: RuntimeDep, log: ProxyLogDep, request: Request) -> Response:
    """Show the last lines as text; a browser is sent to the web interface."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui/logs", 302)
    rings = _named_by_config(runtime, log)
    return PlainTextResponse("".join(f"{line}\n" for ring in rings for line in ring.tail(HISTORY_LINES)))


@router.get("/logs/stream")
async def stream_mixed(
    runtime: RuntimeDep, log: ProxyLogDep, events: EventsDep, grant: GrantDep, request: Request
) -> StreamingResponse:
    """Follow what `logToStdout` names: ClaraCore's own log, the models' output, or both."""
    return _stream(_named_by_config(runtime, log), events.open_streams, grant, request)


@router.get("/logs/stream/{source:path}")
async def stream_one(  # noqa: PLR0917 - FastAPI gives them by name
    runtime: RuntimeDep,
    log: ProxyLogDep,
    events: EventsDep,
    grant: GrantDep,
    request: Request,
    source: str,
) -> StreamingResponse:
    """Follow ClaraCore's own log (`proxy`), the output of all models (`upstream`), or of one model."""
    model_id = None if source in {PROXY, UPSTREAM} else runtime.config.resolve(source)
    if model_id is not None and (there := model_there(runtime, model_id, request)) is not None:
        return await stream_of_another(there, runtime, events.open_streams, grant, request)
    return _stream(_named(runtime, log, source), events.open_streams, grant, request)


def _named(runtime: Runtime, log: ProxyLog, source: str) -> list[OutputRing]:
    if source == PROXY:
        return [log.ring]
    if source == UPSTREAM:
        return _models(runtime)
    model_id = runtime.config.resolve(source)
    if model_id is None:
        raise BadRequest(f"no log {source!r}: it is {PROXY}, {UPSTREAM} or the id of a model")
    return [runtime.supervisor.output(model_id)]


def _named_by_config(runtime: Runtime, log: ProxyLog) -> list[OutputRing]:
    match runtime.config.log_to_stdout:
        case "upstream":
            return _models(runtime)
        case "both":
            return [log.ring, *_models(runtime)]
        case _:
            return [log.ring]


def _models(runtime: Runtime) -> list[OutputRing]:
    return [runtime.supervisor.output(model_id) for model_id in sorted(runtime.config.models)]


def _stream(
    rings: list[OutputRing], open_streams: OpenStreams, grant: Grant | None, request: Request
) -> StreamingResponse:
    history_lines = 0 if "no-history" in request.query_params else HISTORY_LINES
    headers = {"X-Content-Type-Options": "nosniff"}
    lines = _lines(rings, open_streams, grant, history_lines)
    return StreamingResponse(lines, media_type="text/plain", headers=headers)


async def _lines(
    rings: list[OutputRing], open_streams: OpenStreams, grant: Grant | None, history_lines: int
) -> AsyncIterator[str]:
    """Give the lines of several rings: the past of each, then what comes; a reader that is too slow is told so."""
    first, *others = rings or [OutputRing()]
    with ExitStack() as leaving:
        merged = leaving.enter_context(first.subscribe(history=history_lines, limit=HISTORY_LINES))
        leaving.enter_context(open_streams.holding(merged, grant))
        for ring in others:
            for line in ring.tail(history_lines):
                merged.push(line)
            ring.attach(merged)
            leaving.callback(ring.detach, merged)
        yield ""  # sends the head: a client is not to wait for the first line
        reported = merged.dropped
        async for lines in merged.bunches():
            lost, reported = merged.dropped - reported, merged.dropped
            note = f"... {lost} lines were lost: the reader was too slow\n" if lost else ""
            yield note + "".join(f"{line}\n" for line in lines)
            await asyncio.sleep(BUNCH_SECONDS)
