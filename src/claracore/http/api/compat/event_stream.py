"""How do old clients hear of what happens? (`/api/events`, COMPAT 2.7 and part 2)

Frames are `event:message` with `{"type", "data"}`, the data again as JSON in a string. Types: modelStatus (all models),
logData, activity (llama-swap), metrics (the first ClaraCore), inflight,
downloadProgress.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from claracore.host.activity.rows import Row
from claracore.http.access.keys import Grant
from claracore.http.api.compat.first_claracore import old_info
from claracore.http.api.compat.llama_swap import oldest_row
from claracore.http.api.context import Context, Here, Holder
from claracore.http.api.download_views import DownloadView
from claracore.http.api.events.broadcaster import Event, Follower
from claracore.http.api.events.stream import HEARTBEAT_SECONDS, SSE_HEADERS
from claracore.http.api.views import request_views
from claracore.http.wire import sse

router = APIRouter(tags=["old clients"], include_in_schema=False)

HISTORY_LINES = 500


@router.get("/api/events")
async def events(here: Here, holder: Holder) -> StreamingResponse:
    """Follow events in the shape of llama-swap and the first ClaraCore."""
    return StreamingResponse(_frames(here, holder), media_type=sse.MEDIA_TYPE, headers=SSE_HEADERS)


async def _frames(here: Context, holder: Grant | None) -> AsyncIterator[bytes]:
    follower = OldFollower(here)
    with here.hub.add(follower), here.streaming(follower, holder):
        yield _beginning(here)
        while not follower.ended:
            yield await follower.next(HEARTBEAT_SECONDS)


class OldFollower(Follower):
    """Translates events as they come."""

    def __init__(self, here: Context) -> None:
        super().__init__(here.hub, None)
        self._here = here
        self._models_moved = False

    def push(self, event: Event) -> None:
        """Queue an event in its old shape, if it has one."""
        if event.type in ("model", "models", "resync"):
            self._models_moved = True
            self.wake()
            return
        translated = _translated(event)
        if translated is not None:
            super().push(Event(event.id, event.topic, event.type, event.data, translated))

    async def next(self, heartbeat_seconds: float) -> bytes:
        """Return what has come, with the list of models if one of them has changed."""
        out = await super().next(heartbeat_seconds)
        if self._models_moved:
            self._models_moved = False
            out = message("modelStatus", model_status(self._here)) + out
        return out


def _translated(event: Event) -> bytes | None:
    match event.type, event.data:
        case "log", {"source": source, "text": text}:
            return message("logData", {"source": "proxy" if source == "proxy" else "upstream", "data": f"{text}\n"})
        case "activity", Row() as row:
            return message("activity", {"id": row.id}) + message("metrics", [oldest_row(row)])
        case "request", {"id": id_, "state": state}:
            operation = "remove" if state == "finished" else "upsert"
            return message("inflight", {"operation": operation, "id": id_, "request": event.data})
        case "profile", {"active": active}:
            return message("profileChanged", {"active": active})
        case "download", {"id": id_}:
            info = old_info(DownloadView.model_validate(event.data))
            return message("downloadProgress", {"downloadId": id_, "info": info})
        case _:
            return None


def _beginning(here: Context) -> bytes:
    proxy = "".join(f"{line}\n" for line in here.log.ring.tail(HISTORY_LINES))
    upstream = "".join(
        f"{line}\n"
        for model in sorted(here.config.models)
        for line in here.supervisor.output(model).tail(HISTORY_LINES)
    )
    in_flight = [view.model_dump(mode="json") for view in request_views(here)]
    return b"".join(
        (
            message("logData", {"source": "proxy", "data": proxy}),
            message("logData", {"source": "upstream", "data": upstream}),
            message("modelStatus", model_status(here)),
            message("uiConfig", {"activity": {"session_id": list(here.config.ui.activity.session_id)}}),
            message("profileChanged", {"active": here.profile.name}),
            message("inflight", {"operation": "snapshot", "requests": in_flight}),
        )
    )


def model_status(here: Context) -> list[dict[str, Any]]:
    """Return every model in the old shape."""
    rows = []
    for model_id, model in sorted(here.config.models.items()):
        running = here.supervisor.running(model_id)
        endpoint = running.endpoint if running else None
        rows.append(
            {
                "id": model_id,
                "name": model.name,
                "description": model.description,
                "state": here.supervisor.state(model_id).value,
                "unlisted": model.unlisted,
                "aliases": list(model.aliases),
                "peerID": here.config.peer_of(model_id) or "",
                "proxyUrl": f"http://{endpoint}" if endpoint else "",
            }
        )
    return rows


def message(type_: str, data: object) -> bytes:
    """Return one frame."""
    told = json.dumps({"type": type_, "data": json.dumps(data)})
    return sse.event(told.encode(), name=b"message", colon=b":")  # without spaces, as llama-swap writes them
