"""Which requests are in flight, and how is one ended?"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.errors import NotFound
from claracore.http.api.dependencies import GatewayDep, RuntimeDep
from claracore.http.api.events.snapshot import SNAPSHOT
from claracore.http.api.views import RequestView, former_requests, request_views

router = APIRouter(tags=["requests"])


class RequestsView(BaseModel):
    """Requests in flight, the oldest first."""

    requests: list[RequestView]
    former: dict[str, int]
    """How many of each model the process answers to their end that served before an upgrade."""


class Cancelled(BaseModel):
    """The request was ended."""

    cancelled: bool = True


@router.get("/api/requests", dependencies=SNAPSHOT)
async def requests(runtime: RuntimeDep) -> RequestsView:
    """List the requests that wait for a model or are being answered."""
    return RequestsView(requests=request_views(runtime), former=former_requests(runtime))


@router.post("/api/requests/{id}/cancel")
@router.post("/api/inflight/{id}/cancel", include_in_schema=False)
async def cancel(gateway: GatewayDep, id: int) -> Cancelled:  # noqa: A002 - the name in the path
    """End one request."""
    if not gateway.cancel(id):
        raise NotFound(f"no request {id} is in flight")
    return Cancelled()
