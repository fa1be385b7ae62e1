"""How are the machines that are followed, and their models, for whoever asks at this moment?

The table of nodes, kept by the events of a `Membership`. Everything here is a look-up: it is asked for every request
that several machines could answer, and not at all where no peer is followed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
    NodeExplained,
    NodeGone,
    NodeKind,
    NodeLost,
    NodeModel,
    NodeState,
    NodeTold,
    NodeUp,
)
from claracore.core.cluster.place import PlacementWish
from claracore.core.cluster.watch import Witness, WitnessOf, followed, unheard
from claracore.core.config.model import Config
from claracore.core.config.routing import PeerConfig, WakeConfig
from claracore.host.cluster.identity import IDENTITY
from claracore.host.cluster.members import Membership, Reservations
from claracore.host.cluster.models_known import KnownModels
from claracore.host.cluster.wake import send_magic_packet
from claracore.types import ModelState

OURSELVES = "it is this very server"


class ClusterListener(Protocol):
    """Who acts by what becomes of nodes. Called in the event loop; quick; raises nothing."""

    def models_found(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Note which models each node has, by its name: they are others than before."""

    def node_lost(self, node: Node) -> None:
        """Note that a node is lost: what waits there for its first byte is to move on."""

    def node_up(self, node: Node) -> None:
        """Note that a node is there, for the first time or again."""

    def hears(self, name: str) -> bool:
        """Return whether anything has come from a node of late."""

    def node_changed(self, name: str) -> None:
        """Note that the state of a node, or of its models, is another one."""


def _is_back(event: NodeEvent, former: Node) -> bool:
    return isinstance(event, NodeUp) or (former.state is NodeState.LOST and not isinstance(event, NodeExplained))


def _nothing(_model_id: str) -> None:
    return None


class Cluster:
    """All nodes that are followed, by name."""

    def __init__(self, new_membership: Callable[[WitnessOf], Membership]) -> None:
        """`new_membership` is called, once, when the first peer is to be followed."""
        self.witnesses: dict[str, Witness] = {}
        """What Ray knows of the nodes that it has, by their names."""
        self.lacking: Callable[[str], NodeModel | None] = _nothing
        """How a model of our own head's is here whose files are missing; None for all others."""
        self.wish = PlacementWish()
        """Which machines are preferred."""
        self.drained: frozenset[str] = frozenset()
        """Those that get no new requests."""
        self.complete = asyncio.Event()
        """Set when all are followed that were, before this start too."""
        self.reservations: Reservations | None = None
        """Who reserves nodes for models that several of them run."""
        self.known: Mapping[str, KnownModels] = {}
        """What machines had before this start, by their names."""
        self._new_membership = new_membership
        self._membership: Membership | None = None
        self.peers: Mapping[str, PeerConfig] = {}
        """Those that are followed."""
        self._followed: Mapping[str, PeerConfig] = {}
        self._own: frozenset[str] = frozenset()
        """Ids of models of this machine that look like those of another one."""
        self.nodes: dict[str, Node] = {}
        self._models: dict[str, dict[str, NodeModel]] = {}
        self.changes: Counter[str] = Counter()
        """How often each node has become another one, apart from its models."""
        self._listener: ClusterListener | None = None
        self._back: set[str] = set()
        """Nodes that are there again, and whose watchers do not know it yet."""
        self._watchers: dict[str, set[Callable[[], None]]] = {}
        self._following: asyncio.Task[None] | None = None

    # --- what follows ---------------------------------------------------------------------------------------------

    def begin(self, config: Config, listener: ClusterListener) -> None:
        """Follow the peers of a configuration, and tell a listener."""
        self._listener = listener
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Follow the peers of another configuration, once it was begun."""
        if self._listener is None:
            return
        self._own = frozenset(id_ for id_ in config.models if "/" in id_ and config.peer_of(id_) is None)
        followed_peers = {name: peer for name, peer in config.peers.items() if peer.follows}
        self.peers = {name: peer.model_copy(update={"found": ()}) for name, peer in followed_peers.items()}
        if self._membership is None and self.peers:
            self._membership = self._new_membership(self._witness)
            self._following = asyncio.create_task(self._follow(self._membership), name="follow the other machines")
        self._await(self.peers.keys() - self.nodes.keys())
        if self._membership is not None and self.peers != self._followed:
            self._followed = self.peers
            self._membership.reconfigure(self.peers)

    def _await(self, names: Iterable[str]) -> None:
        """Take in machines that are followed from now on; they have what they had, until they say something else."""
        is_news = False
        for name in names:
            self.nodes[name] = unheard(name, asyncio.get_running_loop().time())
            known = self.known.get(name)
            if known is not None and known.url == self.peers[name].proxy:
                self._models[name] = {model: NodeModel(model) for model in known.models}
                is_news = True
        if is_news and self._listener is not None:
            self._listener.models_found(self.found())

    def _witness(self, name: str) -> Witness:
        """Return what is known of a node from elsewhere: what comes from there says more than Ray."""
        hears = self._listener is not None and self._listener.hears(name)
        return Witness.THERE if hears else self.witnesses.get(name, Witness.NONE)

    async def close(self) -> None:
        """Follow nobody any more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self, membership: Membership) -> None:
        async for event in membership.follow():
            self.take(event)

    def take(self, event: NodeEvent) -> None:
        """Take what has become of a node."""
        name, listener = event.node, self._listener
        if isinstance(event, NodeGone):
            self._models.pop(name, None)
            if name in self.peers:  # it has another address now
                self.nodes[name] = unheard(name, event.at)
            else:
                self.nodes.pop(name, None)
        else:
            former = self.nodes.get(name) or unheard(name, event.at)
            node = self.nodes[name] = followed(former, event)
            if isinstance(event, NodeTold):
                if not self._told_news(node, former) and name not in self._back:
                    return
                self._back.discard(name)
            elif isinstance(event, NodeLost) and listener is not None:
                listener.node_lost(node)
            elif listener is not None and _is_back(event, former):
                listener.node_up(node)
        if not isinstance(event, NodeTold):
            self.changes[name] += 1
        if isinstance(event, NodeUp):
            self._back.add(name)  # what it has is told right after that
        self._has_changed(name, is_known=not isinstance(event, NodeUp))

    def _has_changed(self, name: str, *, is_known: bool = True) -> None:
        if is_known:
            for watcher in tuple(self._watchers.get(name, ())):
                watcher()
        if self._listener is not None:
            self._listener.node_changed(name)

    def _told_news(self, node: Node, former: Node) -> bool:
        """Take in what a node says of its models; return whether anything is new."""
        report = node.report
        if report is None or (former.report == report and node.name in self._models):
            return not node.why and former.state is not node.state
        is_self = report.identity == IDENTITY
        before = self._models.get(node.name)
        # A model that is as it was stays the same object: by that `Machines` knows it.
        kept = before or {}
        named = {} if is_self else {model.name: model for model in report.models}
        models = {name: kept[name] if kept.get(name) == model else model for name, model in named.items()}
        if former.report is None or former.report.part != report.part:
            self.changes[node.name] += 1
        self._models[node.name] = models
        if (before is None or before.keys() != models.keys()) and self._listener is not None:
            self._listener.models_found(self.found())
        return True

    def answered(self, model_id: str, *, is_stream: bool) -> None:
        """Take that a model answers: it is loaded there, which its node would say with its next report only.

        A stream may have begun while it loads: then the node is asked, and nothing is taken for granted.
        """
        found = self.model(model_id)
        if found is None or found[1].state is ModelState.READY or (report := found[0].report) is None:
            return
        node, former = found
        if report.kind is NodeKind.CLARACORE:
            self.look_soon(node.name)  # a report that is under way may be older than the answer
        models = self._models.get(node.name, {})
        if is_stream or former.name not in models:
            return
        models[former.name] = model = replace(former, state=ModelState.READY)
        # In what it has said, too: with that its next report is compared.
        reported = tuple(model if each.name == model.name else each for each in report.models)
        self.nodes[node.name] = replace(node, report=replace(report, models=reported))
        self._has_changed(node.name)

    def known_now(self) -> dict[str, KnownModels]:
        """Return what each machine has that is followed, to be known after the next start."""
        found = self._models.items()
        return {
            name: KnownModels(self.peers[name].proxy, tuple(models)) for name, models in found if name in self.peers
        }

    def found(self) -> dict[str, tuple[str, ...]]:
        """Return the models of each node, by its name, in the order in which it lists them."""
        return {name: tuple(models) for name, models in self._models.items()}

    # --- what is asked ----------------------------------------------------------------------------------------------

    def parts(self, model_id: str) -> tuple[str, str] | None:
        """Return node and name there of a model that is followed; None for any other."""
        name, slash, model = model_id.partition("/")
        return (name, model) if slash and name in self.peers and model_id not in self._own else None

    def model(self, model_id: str) -> tuple[Node, NodeModel] | None:
        """Return a model that is followed, as its node reported it last; None for any other."""
        parts = self.parts(model_id) if self.peers else None
        if parts is None or (node := self.nodes.get(parts[0])) is None:
            return None
        return node, self.told(*parts) or NodeModel(parts[1])

    def told(self, name: str, model: str) -> NodeModel | None:
        """Return what a node has told of a model; the same object as long as that is the same."""
        models = self._models.get(name)
        return models.get(model) if models is not None else None

    def state(self, model_id: str) -> ModelState | None:
        """Return the state of a model that is followed; None for any other. On a lost node everything is stopped."""
        found = self.model(model_id)
        if found is None:
            return None
        node, model = found
        return ModelState.STOPPED if node.state is NodeState.LOST else model.state

    def is_ourselves(self, name: str) -> bool:
        """Whether a peer is this very server."""
        node = self.nodes.get(name)
        return node is not None and node.report is not None and node.report.identity == IDENTITY

    # --- waiting for a node -------------------------------------------------------------------------------------------

    def watch(self, name: str, watcher: Callable[[], None]) -> None:
        """Call a watcher whenever the state of a node, or what it says, is another one."""
        self._watchers.setdefault(name, set()).add(watcher)

    def unwatch(self, name: str, watcher: Callable[[], None]) -> None:
        """Call it no more."""
        self._watchers.get(name, set()).discard(watcher)

    def look_soon(self, name: str) -> None:
        """Have a node looked at as soon as possible."""
        if self._membership is not None:
            self._membership.look_soon(name)

    def witnessed(self, found: Mapping[str, Witness]) -> None:
        """Take what Ray knows of its nodes now; of others it knows nothing."""
        gone = {name for name, each in found.items() if each is Witness.GONE and self.witnesses.get(name) is not each}
        self.witnesses.clear()
        self.witnesses.update(found)
        for name in gone:
            self.look_soon(name)

    def wakes(self, name: str) -> WakeConfig | None:
        """Return how a node is woken; None when it is not."""
        peer = self.peers.get(name)
        return peer.wake if peer is not None else None

    def wake(self, name: str) -> None:
        """Send a node the packet that wakes it, if it has one. Raises OSError."""
        if (wake := self.wakes(name)) is not None:
            send_magic_packet(wake.mac, wake.broadcast)
            self.look_soon(name)
