"""How do clients of llama-swap and of the first ClaraCore hear of what happens? (`/api/events`)

Server-sent frames `event:message` whose data is `{"type", "data"}`, where `data` is JSON once more, in a string. Types
of llama-swap: modelStatus (all models), logData, activity, inflight, uiConfig, profileChanged. The first ClaraCore,
which came from llama-swap, has metrics and downloadProgress besides.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from claracore.host.activity.captures import headers_of
from claracore.host.activity.record import Record
from claracore.host.activity.rows import ActivityRow
from claracore.host.library.views import DownloadView
from claracore.host.logs.proxy import ProxyLog
from claracore.http.access.keys import Grant
from claracore.http.api.compat.first_claracore import metric_row
from claracore.http.api.compat.first_claracore_downloads import download_info
from claracore.http.api.compat.llama_swap import metadata_of
from claracore.http.api.compat.numbers import rfc3339
from claracore.http.api.dependencies import EventsDep, GrantDep, ProxyLogDep, RuntimeDep
from claracore.http.api.events.announcer import PROXY
from claracore.http.api.events.broadcaster import Broadcaster, Event, Follower
from claracore.http.api.events.stream import HEARTBEAT_SECONDS
from claracore.http.api.models import abilities_of
from claracore.http.api.parts import Events, Runtime
from claracore.http.api.views import known_state
from claracore.http.wire import sse
from claracore.http.wire.request_id import id_line

router = APIRouter(tags=["llama-swap"], include_in_schema=False)

HISTORY_LINES = 500


@router.get("/api/events")
async def events(runtime: RuntimeDep, log: ProxyLogDep, sources: EventsDep, grant: GrantDep) -> StreamingResponse:
    """Follow events in the shape of llama-swap and the first ClaraCore."""
    frames = _frames(runtime, log, sources, grant)
    return StreamingResponse(frames, media_type=sse.MEDIA_TYPE)


async def _frames(runtime: Runtime, log: ProxyLog, sources: Events, grant: Grant | None) -> AsyncIterator[bytes]:
    follower = LlamaSwapFollower(sources.broadcaster, runtime)
    with sources.broadcaster.add(follower), sources.open_streams.holding(follower, grant):
        yield _beginning(runtime, log)
        while not follower.ended:
            yield await follower.next(HEARTBEAT_SECONDS)


class LlamaSwapFollower(Follower):
    """Translates events as they come."""

    def __init__(self, broadcaster: Broadcaster, runtime: Runtime) -> None:
        super().__init__(broadcaster, None)
        self._runtime = runtime
        self._models_moved = False

    def push(self, event: Event) -> None:
        """Queue an event in llama-swap's shape, if it has one there."""
        if event.type in ("model", "models", "resync"):
            self._models_moved = True
            self.wake()
            return
        translated = self._translated(event)
        if translated is not None:
            super().push(Event(event.id, event.topic, event.type, event.data, translated))

    def _translated(self, event: Event) -> bytes | None:
        match event.type, event.data:
            case "request", {"id": int(id_), "state": state}:
                return _in_flight(self._runtime, id_, over=state == "finished")
            case _:
                return _translated(event)

    async def next(self, heartbeat_seconds: float) -> bytes:
        """Return what has come, with the list of models if one of them has changed."""
        out = await super().next(heartbeat_seconds)
        if self._models_moved:
            self._models_moved = False
            out = message("modelStatus", model_status(self._runtime)) + out
        return out


def _translated(event: Event) -> bytes | None:
    match event.type, event.data:
        case "log", {"source": source, "text": text}:
            return message("logData", {"source": PROXY if source == PROXY else "upstream", "data": f"{text}\n"})
        case "activity", ActivityRow() as row:
            return message("activity", {"id": row.id}) + message("metrics", [metric_row(row)])
        case "profile", {"active": active}:
            return message("profileChanged", {"active": active})
        case "download", {"id": id_}:
            info = download_info(DownloadView.model_validate(event.data))
            return message("downloadProgress", {"downloadId": id_, "info": info})
        case _:
            return None


def _in_flight(runtime: Runtime, id_: int, *, over: bool) -> bytes | None:
    if over:
        return message("inflight", {"operation": "remove", "id": str(id_)})
    request = runtime.in_flight.get(id_)
    if request is None:
        return None
    return message("inflight", {"operation": "upsert", "request": in_flight_entry(id_, request.record)})


def in_flight_entry(id_: int, record: Record) -> dict[str, Any]:
    """Return a request in flight as llama-swap shows it; headers that may be secrets are masked."""
    elapsed = max(0.0, asyncio.get_running_loop().time() - record.arrived_at)
    chosen = (id_line(record.request_id),) if record.id_is_chosen else ()
    headers = headers_of((*record.header_lines, *chosen))
    answered = {"Content-Type": record.content_type} if record.content_type else {}
    return {
        "id": str(id_),
        "timestamp": rfc3339(time.time() - elapsed),
        "model": record.model,
        "req_path": record.path,
        "method": record.method,
        "req_headers": {"-".join(part.capitalize() for part in name.split("-")): value for name, value in headers},
        "remote_ip": record.client,
        "resp_headers": answered,
        "resp_bytes": record.response_bytes,
        "elapsed_ms": round(elapsed * 1000),
        "metadata": metadata_of(record.selector, record.priority),
    }


def _beginning(runtime: Runtime, log: ProxyLog) -> bytes:
    proxy = "".join(f"{line}\n" for line in log.ring.tail(HISTORY_LINES))
    upstream = "".join(
        f"{line}\n"
        for model in sorted(runtime.config.models)
        for line in runtime.supervisor.output(model).tail(HISTORY_LINES)
    )
    in_flight = [in_flight_entry(id_, request.record) for id_, request in sorted(runtime.in_flight.items())]
    return b"".join(
        (
            message("logData", {"source": PROXY, "data": proxy}),
            message("logData", {"source": "upstream", "data": upstream}),
            message("modelStatus", model_status(runtime)),
            message("uiConfig", {"activity": {"session_id": list(runtime.config.ui.activity.session_id)}}),
            message("profileChanged", {"active": runtime.profile.name}),
            message("inflight", {"operation": "snapshot", "requests": in_flight}),
        )
    )


def model_status(runtime: Runtime) -> list[dict[str, Any]]:
    """Return every model as llama-swap shows it."""
    rows = []
    for model_id, model in sorted(runtime.config.models.items()):
        running = runtime.supervisor.running(model_id)
        endpoint = running.endpoint if running else None
        row = {
            "id": model_id,
            "name": model.name,
            "description": model.description,
            "state": known_state(runtime, model_id).value,
            "unlisted": model.unlisted,
            "aliases": list(model.plain_aliases),
            "peerID": runtime.config.peer_of(model_id) or "",
            "proxyUrl": f"http://{endpoint}" if endpoint else "",
        }
        abilities = abilities_of(model)
        rows.append({**row, "capabilities": abilities} if abilities else row)
    return rows


def message(type_: str, data: object) -> bytes:
    """Return one frame."""
    text = json.dumps({"type": type_, "data": json.dumps(data)})
    return sse.event(text.encode(), name=b"message", colon=b":")  # without spaces, as llama-swap writes them
