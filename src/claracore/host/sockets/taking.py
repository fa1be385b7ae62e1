"""How are the models' ports taken when ClaraCore starts?"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from claracore.core.ports.ranges import PortPlan
from claracore.host.sockets.given_ports import GivenPorts
from claracore.host.sockets.ports import PortKeeper

logger = logging.getLogger("claracore")


async def take_ports(
    plan: PortPlan,
    url: str,
    state_dir: Path | None,
    hold: bool,  # noqa: FBT001 - for a line
    given: GivenPorts | None = None,
) -> PortKeeper:
    """Take the ports, after model servers that a dead instance has left were ended; or those that were `given`."""
    keeper = PortKeeper(plan, state_dir=state_dir, hold=hold, given=given)
    keeper.ledger.set_url(url)
    for orphan in await asyncio.to_thread(keeper.ledger.sweep):
        logger.warning("ended a model server that a dead ClaraCore left behind: %s", orphan)
    return keeper
