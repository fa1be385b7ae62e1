"""How does a client hear of everything as it happens? (server-sent events)"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from claracore import __version__
from claracore.http.access.keys import Grant
from claracore.http.api.dependencies import EventsDep, GrantDep
from claracore.http.api.events.broadcaster import Follower, frame
from claracore.http.api.parts import Events
from claracore.http.wire.sse import MEDIA_TYPE

router = APIRouter(tags=["events"])

HEARTBEAT_SECONDS = 15.0


@router.get("/api/stream", response_class=StreamingResponse)
async def stream(
    events: EventsDep,
    grant: GrantDep,
    topics: Annotated[
        str, Query(description="Comma-separated: model, request, log, log:MODEL, ...; all if empty.")
    ] = "",
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Follow events: hello, then model, models, request, activity, swap, ports, config, setup, log and others."""
    wanted = frozenset(topic.strip() for topic in topics.split(",") if topic.strip()) or None
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else None
    follower = events.broadcaster.follow(wanted, after=after)
    frames = _frames(events, follower, grant, after)
    return StreamingResponse(frames, media_type=MEDIA_TYPE)


async def _frames(events: Events, follower: Follower, grant: Grant | None, after: int | None) -> AsyncIterator[bytes]:
    with follower, events.open_streams.holding(follower, grant):
        last_id = events.broadcaster.last_id
        # Who resumes has not heard yet what comes after its own last id, and must be able to ask for it again.
        yield frame(last_id if after is None else after, "hello", {"version": __version__, "last_id": last_id})
        while not follower.ended:
            yield await follower.next(HEARTBEAT_SECONDS)
