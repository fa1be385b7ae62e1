"""What exactly was sent and answered? (when capturing is on)"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from claracore.errors import NotFound
from claracore.http.api.dependencies import HistoryDep
from claracore.http.wire.framing import Chunked, MalformedBody

router = APIRouter(tags=["activity"])


class CaptureView(BaseModel):
    """One request and its answer; bodies are base64, `cut` when their end was not kept."""

    id: int
    method: str
    req_path: str
    req_headers: dict[str, str]
    req_body: str
    req_body_cut: bool
    req_body_bytes: int
    resp_status: int
    resp_headers: dict[str, str]
    resp_body: str
    resp_body_cut: bool
    resp_body_bytes: int


@router.get("/api/captures/{id}")
async def capture(history: HistoryDep, row: Annotated[int, Path(alias="id", ge=0, lt=1 << 62)]) -> CaptureView:
    """Show what was captured of the request in this row of the activity."""
    found = history.captures.get(row)
    if found is None:
        why = "it was forgotten, or never made" if history.captures.enabled else "captureBuffer switches capturing on"
        raise NotFound(f"there is no capture of request {row}: {why}")
    body = _payload(found.response.data) if found.in_chunks else found.response.data
    return CaptureView(
        id=row,
        method=found.method,
        req_path=found.path,
        req_headers=dict(found.request_headers),
        req_body=b64encode(found.request.data).decode(),
        req_body_cut=found.request.cut,
        req_body_bytes=found.request.size,
        resp_status=found.status,
        resp_headers=dict(found.response_headers),
        resp_body=b64encode(body).decode(),
        resp_body_cut=found.response.cut,
        resp_body_bytes=found.response.size if found.response.cut else len(body),
    )


def _payload(data: bytes) -> bytes:
    """Return what stands in the chunks of a body whose end may be missing."""
    pieces: list[bytes] = []
    with suppress(MalformedBody):  # what was whole before it is shown
        Chunked().feed(data, 0, pieces)
    return b"".join(pieces)
