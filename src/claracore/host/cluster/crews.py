"""Which machines may run ranks of a model now, and which of them are taken?

What the cluster knows of machines goes through `core.cluster.crew`. Two models of this head never take the same
machine, for the head remembers; with Ray a placement group is made besides, so that two drivers of one Ray do not
either. Last word has the machine itself, which runs one rank at a time (`held_ranks.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from claracore.core.cluster.crew import Crew, CrewNeed, CrewOffer, crew_of, missing
from claracore.core.cluster.model import Node, NodeState
from claracore.core.config.model import ModelConfig
from claracore.core.config.ranks import serves_rpc
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError
from claracore.host.cluster.addresses import routed_address, some_address
from claracore.host.cluster.cluster import Cluster

RETRY_AFTER_SECONDS: Final = 10
FIRST_SECONDS: Final = 10.0
"""A look takes 2 s at most; before the first one ClaraCore itself may still be starting."""


class MachinesMissing(ClaraCoreError):
    """Too few machines can run a rank of the model now; 503."""

    status = 503
    code = "machines_missing"
    cause = "A model that several machines run together (`nodes`) has not got as many now."
    way_out = "The message says of each machine why: `claracore nodes` shows them; unload what they run."


class Crews:
    """Finds machines for the ranks of models."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._taken: dict[str, str] = {}

    def take(self, node: str, model_id: str) -> bool:
        """Note that a machine is to run a rank of a model; False where another model has it."""
        return self._taken.setdefault(node, model_id) == model_id

    def free(self, node: str, model_id: str) -> None:
        """Note that it runs none of this model any more."""
        if self._taken.get(node) == model_id:
            del self._taken[node]

    def end(self, model_id: str, start: str) -> None:
        """Let others have what a start of a model has taken or reserved."""
        self._taken = {node: model for node, model in self._taken.items() if model != model_id}
        self._give_back(start)

    async def able(self, model: ModelConfig, start: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the machines that may run a rank, the best first, at least as many as are needed, and their addresses.

        As many of the first as are needed are taken until `end`. Raises MachinesMissing, which says of each why not.
        """
        need = _need(model)
        await self._first_heard()
        addresses = await asyncio.to_thread(self._addresses)
        crew = crew_of(self._offers(addresses), need, self.cluster.wish)
        if len(crew.able) < need.others:
            raise _missing(model, need, crew)
        reserved = await self._reserved(crew, need, start)
        if reserved is None:
            known = self.cluster.reservations
            taken = {each: "Ray has reserved it for another start" for each in crew.able if known and known.knows(each)}
            raise _missing(model, need, Crew((), {**crew.unable, **taken}))
        for node in reserved[: need.others]:
            self.take(node, model.id)
        return reserved, addresses

    async def foreseen(self, model: ModelConfig) -> MachinesMissing | None:
        """Return what a start of a model fails with, whichever models of this head make room for it."""
        need = _need(model)
        await self._first_heard()
        addresses = await asyncio.to_thread(self._addresses)
        offers = [replace(offer, taken_by="") for offer in self._offers(addresses)]
        crew = crew_of(offers, need, self.cluster.wish)
        return _missing(model, need, crew) if len(crew.able) < need.others else None

    async def _reserved(self, crew: Crew, need: CrewNeed, start: str) -> tuple[str, ...] | None:
        """Reserve machines where there is somebody who does that and knows enough of them."""
        reservations, able = self.cluster.reservations, crew.able
        known = tuple(node for node in able if reservations is not None and reservations.knows(node))
        if reservations is None or not known:
            return able
        unknown = tuple(node for node in able if node not in known)
        wanted, fewest = sum(node in known for node in able[: need.others]), max(0, need.others - len(unknown))
        for count in dict.fromkeys((max(wanted, fewest), fewest)):
            found = await reservations.reserve(start, known, count) if count else ()
            # A machine that another model of this head has taken meanwhile is not there any more.
            free = tuple(node for node in (*(found or ()), *unknown) if node not in self._taken)
            if found is not None and len(free) >= need.others:
                return free
            self._give_back(start)
        return None

    def _give_back(self, start: str) -> None:
        if self.cluster.reservations is not None:
            self.cluster.reservations.give_back(start)

    def short(self, model: ModelConfig, refused: dict[str, str]) -> MachinesMissing:
        """Return the error of a model whose machines did not take its ranks."""
        return _missing(model, _need(model), Crew((), refused))

    def peer(self, node: str) -> PeerConfig | None:
        """Return how a machine is asked; None for one that is followed no more."""
        return self.cluster.peers.get(node)

    async def _first_heard(self) -> None:
        """Wait a moment for the first word of machines, of which none is known right after a start of this one."""
        heard = asyncio.Event()
        watched: set[str] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self.cluster.complete.wait()
                while unheard := {name for name, node in self.cluster.nodes.items() if _is_unheard(node)}:
                    for name in unheard - watched:
                        self.cluster.watch(name, heard.set)
                    watched |= unheard
                    await heard.wait()
                    heard.clear()
        for name in watched:
            self.cluster.unwatch(name, heard.set)

    def _addresses(self) -> dict[str, str]:
        """Return the address of each machine that is followed; a name that nobody knows stays one. Blocking."""
        return {name: some_address(urlsplit(peer.proxy).hostname or "") for name, peer in self.cluster.peers.items()}

    def _offers(self, addresses: dict[str, str]) -> list[CrewOffer]:
        cluster, drained = self.cluster, self.cluster.drained
        return [
            CrewOffer(
                name,
                address,
                node.state,
                node.why,
                node.report.kind if node.report is not None else None,
                name in drained or cluster.is_ourselves(name),
                self._taken.get(name, ""),
                node.report.memory if node.report is not None else (),
            )
            for name, address in addresses.items()
            if (node := cluster.nodes.get(name)) is not None
        ]


async def master_address(towards: str) -> str:
    """Return the address of this machine from which another one is reached, and at which that one reaches it."""
    return await asyncio.to_thread(routed_address, towards)


def _is_unheard(node: Node) -> bool:
    """Whether it may still answer for the first time."""
    return node.report is None and node.state is NodeState.SILENT


def _need(model: ModelConfig) -> CrewNeed:
    return CrewNeed(model.nodes - 1, model.memory, is_open=serves_rpc(model))


def _missing(model: ModelConfig, need: CrewNeed, crew: Crew) -> MachinesMissing:
    return MachinesMissing(missing(model.id, need, crew), retry_after_seconds=RETRY_AFTER_SECONDS)
