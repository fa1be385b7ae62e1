"""How does one hear of the machines that are followed?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from claracore.core.cluster.model import NodeEvent
from claracore.core.cluster.watch import WitnessOf, no_witness
from claracore.core.config.routing import PeerConfig


class Membership(Protocol):
    """Whoever finds out how nodes are. `polled.PolledPeers` asks each of them; another may be told."""

    def follow(self) -> AsyncIterator[NodeEvent]:
        """Give what becomes of nodes, as it happens, for ever. Times are of the event loop's clock."""

    def reconfigure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Follow these from now on, by name: `NodeGone` comes of those that are not among them."""

    def look_soon(self, node: str) -> None:
        """Look at a node as soon as possible: something has just gone wrong, or right, with it."""


class Reservations(Protocol):
    """Whoever can reserve machines for one start, over several heads."""

    def knows(self, node: str) -> bool:
        """Whether it has a machine, so that it can be reserved."""

    async def reserve(self, start: str, nodes: Sequence[str], count: int) -> tuple[str, ...] | None:
        """Reserve so many of these machines, all or none; return which, None when they are not to be had now."""

    def give_back(self, start: str) -> None:
        """Let others have them."""


def polled_peers(witness_of: WitnessOf = no_witness) -> Membership:
    """Return a membership of peers that are asked how they are; importing it takes a while, so only when wanted."""
    from claracore.host.cluster.polled import PolledPeers  # noqa: PLC0415 - its client of HTTP, see above

    return PolledPeers(witness_of)
