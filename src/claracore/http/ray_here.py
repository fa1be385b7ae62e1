"""Does Ray run beside this ClaraCore, and as whose: a head's, a node's?

A machine that has joined runs a node's; one that others have joined, or may, a head's. Without Ray everything works as
well: what is in its way is logged and told, and raises nothing.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from claracore.core.cluster.ray_ports import RayRole, waiting_words
from claracore.core.config.program import ClusterConfig
from claracore.errors import BadRequest
from claracore.host.cluster.addresses import own_address
from claracore.host.cluster.ray_control import RayAccess, RayControl
from claracore.host.cluster.ray_seen import holders
from claracore.types import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claracore.core.cluster.joined import HeadOfNode, Remembered
    from claracore.http.api.parts import Installation, Runtime

logger = logging.getLogger("claracore.cluster")


async def _certify(head: HeadOfNode, request: str) -> tuple[str, str]:
    from claracore.host.cluster.parting import ask_certificate  # noqa: PLC0415 - its client of HTTP takes a while

    return await ask_certificate(head, request)


class RayHere:
    """Runs Ray, where it can run and is wanted."""

    def __init__(self, runtime: Runtime, installation: Installation) -> None:
        self._configuration = runtime.configuration
        self._keeper = runtime.keeper
        self._installation = installation
        environ, witnessed = runtime.configuration.environ, runtime.machines.cluster.witnessed
        self.control = RayControl(installation.state_dir, environ, witnessed, self._blocked)
        runtime.machines.cluster.reservations = self.control.link

    @property
    def _cluster(self) -> ClusterConfig | None:
        return self._configuration.now.config.cluster

    @property
    def ports(self) -> ClusterConfig:
        """Which ports Ray has, where it runs."""
        return self._cluster or ClusterConfig()

    async def be_head(self, known: Remembered) -> RayAccess:
        """Run the head's Ray if it does not run yet, and return what nodes need of it; nothing without."""
        if not self.control.usable(self._cluster) or (known.head is not None and known.head.gcs):
            return RayAccess()
        try:
            address = known.address or await asyncio.to_thread(own_address, self._installation.listen)
            await self._configuration.ray_comes(RayRole.HEAD)
            return await self.control.be_head(address, self.ports)
        except (OSError, BadRequest) as error:
            logger.warning("Ray cannot run here: %s", error)
            return RayAccess()

    async def be_node(self, head: HeadOfNode, token: str = "") -> None:
        """Run a node's Ray; `token` is the cluster's, where it is another than before."""
        if self.control.usable(self._cluster):
            try:
                await self._configuration.ray_comes(RayRole.NODE)
                await self.control.be_node(head, self.ports, token, partial(_certify, head))
            except (OSError, BadRequest) as error:
                logger.warning("Ray cannot run here: %s", error)

    async def leave(self) -> None:
        """End Ray, and forget the secret of the cluster that this machine was in."""
        await self.control.leave()
        await self._configuration.ray_comes(RayRole.NONE)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a person should know of Ray's ports at this moment."""
        waits = self.control.waits
        out = "stop who has it, or give Ray other ports (`cluster`)"
        return (Finding("warning", waits, "cluster", None, out),) if waits else ()

    def _blocked(self, needed: Mapping[int, str]) -> str:
        """Say for which ports Ray waits, and who has them. In a thread."""
        found = holders(needed)
        models = {port: model_id for model_id, port in list(self._keeper.leases.given.items())}
        return waiting_words(
            {port: f'model "{models[port]}"' if port in models else found[port] for port in found}, needed
        )

    async def close(self) -> None:
        """End what runs of Ray here."""
        await self.control.close()
