"""Who answers for a model when it is not simply our child, and what should people be told about that?"""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass

from claracore.config.model import ModelConfig
from claracore.ports import messages
from claracore.ports.containers import Container
from claracore.sockets.owner import Grounds, Verdict, listeners_on
from claracore.sockets.ports import PortKeeper
from claracore.supervisor.child import Exit
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")

LEFTOVER_SECONDS = 2.0
"""How long a runtime may take to end its listeners after the container's client has."""
Told = set[tuple[str, Grounds | None]]
"""Of which models people were told on which grounds somebody else than a child is accepted."""


@dataclass(slots=True)
class Accepted:
    """The verdict by which one run of a model's server became ready; None where nothing was to be verified."""

    model: ModelConfig
    keeper: PortKeeper
    told: Told
    verdict: Verdict | None = None

    def take(self, verdict: Verdict) -> None:
        """Keep the verdict, and tell people what is special about it, once for each model."""
        self.verdict = verdict
        what = (self.model.id, verdict.grounds)
        if verdict.note and what not in self.told:
            self.told.add(what)
            level = logging.WARNING if verdict.grounds is Grounds.ANY else logging.INFO
            logger.log(level, "model %s: %s", self.model.id, verdict.note)

    def after(self, how: Exit, where: Endpoint) -> None:
        """See whether a container goes on although its client has ended, and say how to end it.

        At once when the client was killed and could tell nobody; else the runtime has a moment for it.
        """
        if self.verdict is None or self.verdict.grounds is not Grounds.RUNTIME:
            return
        if how.signal == signal.SIGKILL:
            self._look_for_leftover(where)
        else:
            asyncio.get_running_loop().call_later(LEFTOVER_SECONDS, self._look_for_leftover, where)

    def _look_for_leftover(self, where: Endpoint) -> None:
        if self.verdict is None or not self.verdict.listeners & listeners_on(where.port, where.host):
            return
        container = self.keeper.plan.containers.get(self.model.id) or self.verdict.container or Container("docker")
        told = messages.container_left(where.port, container, has_stop=bool(self.model.cmd_stop))
        logger.warning("model %s: %s", self.model.id, told)
