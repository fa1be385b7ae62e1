"""Who answers for a model when it is not simply our child, and what should people be told about that?"""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass

from claracore.core.config.model import ModelConfig
from claracore.core.ports import messages
from claracore.core.ports.address import is_this_host
from claracore.core.ports.containers import Container
from claracore.host.sockets.bound import BoundSocket
from claracore.host.sockets.host import own_hosts
from claracore.host.sockets.owner import Grounds, Ownership, listeners_on, verify
from claracore.host.sockets.ports import Lease, PortKeeper
from claracore.host.supervisor.child import Exit
from claracore.host.supervisor.verified import OwnerCheck
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")

LEFTOVER_SECONDS = 2.0
"""How long a runtime may take to end its listeners after the container's client has."""
Announced = set[tuple[str, Grounds | None]]
"""The models, and the grounds on which somebody else than a child is accepted for each, that are in the log."""


@dataclass(slots=True)
class Acceptance:
    """The verdict by which one run of a model's server became ready; None where nothing was to be verified."""

    model: ModelConfig
    keeper: PortKeeper
    announced: Announced
    verdict: Ownership | None = None

    def check(self, endpoint: Endpoint, pid: int, lease: Lease | None) -> OwnerCheck | None:
        """Return the check that who answers at the endpoint belongs to the process, or is accepted instead of it.

        None where that is not for us to see: the server is on another machine, and the command only a way to it.
        """
        if endpoint.unix_path is None and not (is_this_host(endpoint.host) or is_this_host(endpoint.host, own_hosts())):
            return None

        def seal(listeners: frozenset[BoundSocket]) -> bool:
            if lease is None:
                return True
            self.keeper.learn(lease, pid, host=endpoint.host)  # before sealing changes what it learns
            return self.keeper.seal(lease, pid, listeners)

        return OwnerCheck(
            endpoint,
            pid,
            look=lambda: self._look(endpoint, pid, lease),
            seal=seal,
            take=self.take,
            hint=messages.came_later() if self.model.id in self.keeper.plan.detached else "",
        )

    def _look(self, endpoint: Endpoint, pid: int, lease: Lease | None) -> Ownership:
        """Return who answers at the endpoint now, and whether that is who is meant."""
        whose = self.model.owner
        if whose == "child" and self.model.id in self.keeper.plan.containers:
            whose = "runtime"
        external = lease.external if lease else frozenset[BoundSocket]()
        return verify(endpoint.port, pid, host=endpoint.host, whose=whose, external=external)

    def take(self, verdict: Ownership) -> None:
        """Keep the verdict, and tell people what is special about it, once for each model."""
        self.verdict = verdict
        what = (self.model.id, verdict.grounds)
        if verdict.note and what not in self.announced:
            self.announced.add(what)
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
        message = messages.container_left(where.port, container, has_stop=bool(self.model.cmd_stop))
        logger.warning("model %s: %s", self.model.id, message)
