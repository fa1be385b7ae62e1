"""How long does it take to say where a request goes, with 200 nodes and 5,000 models?

python bench/place.py: the order of places alone (`core.cluster.place`), and all that a request waits for (`Machines`),
with what every node has reported in the table. Times are processor time: what other processes take is no cost of it.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping

from claracore.core.cluster.model import Fit, Node, NodeEvent, NodeKind, NodeModel, NodeReport, NodeTold, NodeUp
from claracore.core.cluster.place import Offer, PlacementWish, places
from claracore.core.config.model import Config
from claracore.core.config.peers import with_found, with_peers
from claracore.core.config.routing import PeerConfig
from claracore.core.scheduler.slot import Slot
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.machines import Machines
from claracore.host.supervisor.preview import LoadPreview
from claracore.types import ModelState

NODES, MODELS, DECISIONS = 200, 5_000, 2_000
CHANCE = random.Random(1)


def measured(decide: Callable[[int], object], what: str) -> None:
    """Print the median and the worst percentile of one decision."""
    taken = []
    for turn in range(DECISIONS):
        begun = time.thread_time()
        decide(turn)
        taken.append((time.thread_time() - begun) * 1e6)
    print(f"{what}: median {statistics.median(taken):.0f} us, p99 {statistics.quantiles(taken, n=100)[-1]:.0f} us")


def order_alone(copies: int) -> None:
    """Order the places of names that are on so many nodes."""
    offers = [
        [
            Offer(f"n{node}/x", f"n{node}", CHANCE.choice(list(ModelState)), fit=CHANCE.choice(list(Fit)))
            for node in CHANCE.sample(range(NODES), copies)
        ]
        for _ in range(MODELS if copies < NODES else 100)
    ]
    wish = PlacementWish(prefer=("n3", "n7"), avoid=frozenset({"n9"}))
    measured(lambda turn: places(offers[turn % len(offers)], wish, turn), f"order of {copies:3} places")


class Nobody:
    """Follows nothing, runs nothing and hears nothing."""

    slots: Mapping[str, Slot] = {}

    async def follow(self) -> AsyncIterator[NodeEvent]:
        """Give nothing."""
        await asyncio.Event().wait()
        yield NodeUp("", 0)

    def reconfigure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Do nothing."""

    def look_soon(self, node: str) -> None:
        """Do nothing."""

    def preview(self, model_id: str) -> LoadPreview:
        """Return that nothing would follow."""
        del model_id
        return LoadPreview()

    def models_found(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Do nothing."""

    def node_lost(self, node: Node) -> None:
        """Do nothing."""

    def node_up(self, node: Node) -> None:
        """Do nothing."""

    def hears(self, name: str) -> bool:
        """Hear nothing."""
        del name
        return False

    def node_changed(self, name: str) -> None:
        """Do nothing."""


async def whole(copies: int) -> None:
    """Decide with the table of nodes as it is in a server."""
    count = MODELS if copies < NODES else MODELS // copies
    on: dict[str, list[str]] = {f"n{number}": [] for number in range(NODES)}
    for model in range(count):
        for name in CHANCE.sample(list(on), copies):
            on[name].append(f"m{model}")
    config = Config(peers={name: PeerConfig(proxy="http://x", models="auto") for name in on})
    found = with_peers(with_found(config, {name: tuple(models) for name, models in on.items()}))
    cluster = Cluster(lambda _: Nobody())
    cluster.begin(found, Nobody())
    for name, models in on.items():
        cluster.take(NodeUp(name, 0))
        told = tuple(NodeModel(model, CHANCE.choice(list(ModelState)), CHANCE.choice(list(Fit))) for model in models)
        cluster.take(NodeTold(name, 0, NodeReport(NodeKind.CLARACORE, told)))
    machines = Machines(cluster, Nobody())
    machines.reconfigure(found)
    names = list(machines.shared)
    measured(
        lambda turn: machines.best(machines.shared[names[turn % len(names)]]),
        f"decision with {len(found.models)} models on {NODES} nodes, {copies:3} places",
    )
    await cluster.close()


def main() -> None:
    """Measure."""
    for copies in (2, 20, NODES):
        order_alone(copies)
        asyncio.run(whole(copies))


if __name__ == "__main__":
    main()
