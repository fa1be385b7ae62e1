"""Which port is whose, and why?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from claracore.api.context import Here

router = APIRouter(tags=["ports"])


@router.get("/api/ports")
async def ports(here: Here) -> dict[str, Any]:
    """List the ranges and every port in use."""
    return {"web": {"port": here.listen.port}}
