"""Is it alive, who is it, which version?"""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from claracore import __version__
from claracore.api.context import Here

router = APIRouter(tags=["system"])


@router.get("/health")
@router.get("/wol-health", include_in_schema=False)
async def health() -> PlainTextResponse:
    """Tell that the server is alive; says nothing about models."""
    return PlainTextResponse("OK")


@router.get("/api/identity")
async def identity(here: Here) -> dict[str, Any]:
    """Tell who listens on this port, so that a second start can say so."""
    return {
        "name": "claracore",
        "version": __version__,
        "pid": os.getpid(),
        "url": here.url,
        "started_at": round(here.started_at, 3),
    }


@router.get("/api/version")
async def version() -> dict[str, str]:
    """Tell the version, in llama-swap's shape."""
    return {"version": __version__, "commit": "", "build_date": ""}
