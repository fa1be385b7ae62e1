"""Which events does an answer know already?

A page shows an answer and changes it with the events of `GET /api/stream`. The answer names the last event that it
knows, so that none is lost between both and none that is older is put on top.
"""

from __future__ import annotations

from fastapi import Depends, Response

from claracore.http.api.dependencies import EventsDep

HEADER = "Last-Event-ID"


async def name_last_event(response: Response, events: EventsDep) -> None:
    """Put the id of the last event into the answer's head, before what it shows is looked at."""
    response.headers[HEADER] = str(events.broadcaster.settle())


SNAPSHOT = [Depends(name_last_event)]
"""For the routes whose answers events change."""
