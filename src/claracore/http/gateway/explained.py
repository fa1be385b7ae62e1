"""Why has an answer broken off that several machines gave together?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.http.gateway.inflight import ANSWERING

if TYPE_CHECKING:
    from claracore.http.gateway.request import ModelRequest


async def broken_off(request: ModelRequest, reason: str, break_off: Callable[[str], None]) -> None:
    """End an answer whose server has gone, with what is known of the machine that is the cause; after a moment."""
    target = request.target
    why = ""
    if target is not None and target.destination is not None:
        why = await request.relay.supervisor.why_lost(request.record.model, target.destination.endpoint)
    if request.phase is ANSWERING:
        break_off(why or reason)
