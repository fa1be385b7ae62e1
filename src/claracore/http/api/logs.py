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
from claracore.host.logs.proxy import LogEntry
from claracore.http.access.keys import Grant
from claracore.http.api.context import Context, Here, Holder

router = APIRouter(tags=["logs"])

PROXY, UPSTREAM = "proxy", "upstream"
HISTORY_LINES = 2_000
BUNCH_SECONDS = 0.05
"""Lines of this long are sent together: one by one, three followers of a model that prints without end made everybody
else wait 14 ms instead of 3."""
Lines = Annotated[int, Query(ge=1, le=HISTORY_LINES)]


class LineView(BaseModel):
    """One line; models' output has neither time nor level of its own."""

    at: float | None
    level: str | None
    text: str


class LogView(BaseModel):
    """The last lines of one source."""

    source: str
    lines: list[LineView]


@router.get("/api/logs")
async def last_lines(here: Here, source: str = PROXY, lines: Lines = 200) -> LogView:
    """Show the last lines of ClaraCore's own log (`proxy`) or of a model."""
    if source == PROXY and PROXY not in here.config.models:
        entries = list(here.log.entries)[-lines:]
    else:
        source = here.resolve(source)
        entries = [LogEntry(line) for line in here.supervisor.output(source).tail(lines)]
    return LogView(source=source, lines=[LineView(at=it.at, level=it.level, text=it.text) for it in entries])


@router.get("/logs")
async def history(here: Here, request: Request) -> Response:
    """Show the last lines as text; a browser is sent to the web interface."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui/logs", 302)
    return PlainTextResponse("".join(f"{line}\n" for ring in _mixed(here) for line in ring.tail(HISTORY_LINES)))


@router.get("/logs/stream")
async def stream_mixed(here: Here, holder: Holder, request: Request) -> StreamingResponse:
    """Follow what `logToStdout` names: ClaraCore's own log, the models' output, or both."""
    return _stream(here, holder, _mixed(here), request)


@router.get("/logs/stream/{source:path}")
async def stream_one(here: Here, holder: Holder, request: Request, source: str) -> StreamingResponse:
    """Follow ClaraCore's own log (`proxy`), the output of all models (`upstream`), or of one model."""
    if source == PROXY:
        return _stream(here, holder, [here.log.ring], request)
    if source == UPSTREAM:
        return _stream(here, holder, _models(here), request)
    model_id = here.config.resolve(source)
    if model_id is None:
        raise BadRequest(f"no log {source!r}: it is {PROXY}, {UPSTREAM} or the id of a model")
    return _stream(here, holder, [here.supervisor.output(model_id)], request)


def _models(here: Context) -> list[OutputRing]:
    return [here.supervisor.output(model_id) for model_id in sorted(here.config.models)]


def _mixed(here: Context) -> list[OutputRing]:
    match here.config.log_to_stdout:
        case "upstream":
            return _models(here)
        case "both":
            return [here.log.ring, *_models(here)]
        case _:
            return [here.log.ring]


def _stream(here: Context, holder: Grant | None, rings: list[OutputRing], request: Request) -> StreamingResponse:
    wanted = 0 if "no-history" in request.query_params else HISTORY_LINES
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(here, holder, rings, wanted), media_type="text/plain", headers=headers)


async def _lines(
    here: Context, holder: Grant | None, rings: list[OutputRing], history_lines: int
) -> AsyncIterator[str]:
    """Give the lines of several rings: the past of each, then what comes; a reader that is too slow is told so."""
    first, *others = rings or [OutputRing()]
    with ExitStack() as leaving:
        merged = leaving.enter_context(first.subscribe(history=history_lines, limit=HISTORY_LINES))
        leaving.enter_context(here.streaming(merged, holder))
        for ring in others:
            for line in ring.tail(history_lines):
                merged.push(line)
            ring.attach(merged)
            leaving.callback(ring.detach, merged)
        yield ""  # sends the head: a client is not to wait for the first line
        told = merged.dropped
        async for lines in merged.bunches():
            lost, told = merged.dropped - told, merged.dropped
            note = f"... {lost} lines were lost: the reader was too slow\n" if lost else ""
            yield note + "".join(f"{line}\n" for line in lines)
            await asyncio.sleep(BUNCH_SECONDS)
