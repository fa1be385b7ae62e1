"""Which machine answers a request that several could answer, and how is each of them at this moment?

Between the gateway and the cluster: states and loads of models wherever they are, and the places of a name. Asked for
names that several machines have and for selectors only; all other requests pass it by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import is_not
from typing import TYPE_CHECKING, Protocol

from claracore.core.cluster.model import Fit, NodeKind, NodeModel, NodeState
from claracore.core.cluster.part_state import WantedPart, is_outdated
from claracore.core.cluster.place import (
    LOCAL,
    OUTDATED,
    ModelPlace,
    Offer,
    PlaceCandidate,
    PlacementWish,
    best,
    candidate,
    ordered,
    why_no_place,
)
from claracore.core.cluster.watch import NOT_HEARD_YET
from claracore.core.config.peers import shared_names
from claracore.errors import ClaraCoreError
from claracore.host.cluster.lacking import files_not_there
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.core.config.model import Config
    from claracore.core.scheduler.slot import Slot
    from claracore.host.cluster.cluster import Cluster
    from claracore.host.cluster.logs_there import ModelThere
    from claracore.host.supervisor.preview import LoadPreview


class MachineDrained(ClaraCoreError):
    """The machine that is asked for by name gets no new requests; 503."""

    status = 503
    code = "machine_drained"
    cause = "The machine that is asked for by name gets no new requests."
    way_out = "Ask for the model without the machine's name, or let it have requests again: `claracore nodes use NAME`."


class MachineOutdated(ClaraCoreError):
    """The machine that is asked for by name has an older configuration of the model, and loads it no more; 503."""

    status = 503
    code = "machine_outdated"
    cause = "The machine that is asked for by name has an older configuration of the model."
    way_out = "`claracore nodes` says why; ask for the model without the machine's name meanwhile."


class LocalModels(Protocol):
    """What is asked of the supervisor."""

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State, requests in progress and waiting, by model id."""

    def preview(self, model_id: str) -> LoadPreview:
        """Return what would follow if this model, which is stopped, started now."""

    async def load(self, model_id: str) -> None:
        """Return when the model is ready. Raises what a request for it would be refused with."""

    async def unload(self, model_ids: Iterable[str]) -> None:
        """Return when none of the models' present servers runs any more."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """How good a model is, and for what: it is looked up as long as that is the same."""

    own: int
    """Our requests with it."""
    node: str
    changes: int
    name: str
    """What it is called there."""
    model: NodeModel | None
    chosen: PlaceCandidate | None


class Machines:
    """Models wherever they are."""

    def __init__(self, cluster: Cluster, supervisor: LocalModels, *, are_awaited: bool = False) -> None:
        """`supervisor` runs the models of this machine; `are_awaited`: whether there are others, which may be late."""
        self.cluster = cluster
        self._supervisor = supervisor
        self.begun_at = asyncio.get_running_loop().time()
        self.shared: Mapping[str, tuple[str, ...]] = {}
        """The names that several machines have, each with the ids of its models."""
        self.are_awaited = are_awaited
        """Whether models may be missing because their machines have had no time to answer since the start."""
        self.parts: Mapping[str, WantedPart] = {}
        """What of the configuration each machine is to have, by its name."""
        self._turn = 0
        self._known: dict[str, _Remembered] = {}
        """How good models of other machines are, as far as that was asked for."""
        self._known_for: tuple[object, ...] = ()
        """What else that depends on."""

    def reconfigure(self, config: Config) -> None:
        """Use another configuration."""
        self.shared = shared_names(config) if self.cluster.peers else {}
        wish = config.placement
        self.cluster.wish = PlacementWish(wish.prefer, frozenset(wish.avoid), wish.spread)

    @property
    def unheard(self) -> bool:
        """Whether a machine that is followed has neither answered nor failed to since it is."""
        return any(node.why == NOT_HEARD_YET for node in self.cluster.nodes.values())

    @property
    def drained(self) -> frozenset[str]:
        """The machines that get no new requests."""
        return self.cluster.drained

    @drained.setter
    def drained(self, names: frozenset[str]) -> None:
        self.cluster.drained = names

    def node_of(self, model_id: str) -> str:
        """Return the name of the machine that is followed and has a model; empty for any other."""
        parts = self.cluster.parts(model_id) if self.cluster.peers else None
        return parts[0] if parts is not None else ""

    def state(self, model_id: str) -> ModelState | None:
        """Return the state of a model on another machine that is followed; None for all others."""
        return self.offer(model_id).state if self.node_of(model_id) else None

    def is_there(self, model_id: str) -> bool:
        """Whether a model is not on a machine that is lost for good, or that is drained."""
        offer = self.offer(model_id) if self.node_of(model_id) else None
        gets = offer is None or not (offer.drained or offer.outdated)
        return gets and (offer is None or offer.node_state is not NodeState.LOST or offer.wakes)

    def check(self, node: str, model_id: str) -> None:
        """Raise MachineDrained, or MachineOutdated, for a machine that gets no new requests for a model of it."""
        if node in self.drained:
            raise MachineDrained(f"machine {node!r} is drained: it gets no new requests")
        if node in self.parts and self.offer(model_id).outdated:
            raise MachineOutdated(f"{model_id!r}: {OUTDATED}")

    def check_files(self, model_id: str) -> None:
        """Raise FilesNotThere for a model of this machine whose files are still to come."""
        if (lacking := self.cluster.lacking(model_id)) is not None:
            raise files_not_there(model_id, lacking, "this machine")

    async def load(self, model_id: str) -> None:
        """Return when a model is ready, wherever it is. Raises what a request for it would be refused with."""
        parts = self.cluster.parts(model_id) if self.cluster.peers else None
        if parts is not None and parts[0] in self.parts and self.offer(model_id).outdated:
            raise MachineOutdated(f"{model_id!r}: {OUTDATED}")
        if parts is None:
            self.check_files(model_id)
        await self._supervisor.load(model_id)  # of another machine: it is there, or was woken
        if parts is not None and self.state(model_id) is not ModelState.READY:
            from claracore.host.cluster.orders import load_there  # noqa: PLC0415 - its client of HTTP, as in members.py

            await load_there(parts[0], self.kind_of(parts[0]), self.cluster.peers[parts[0]], parts[1])
            self.cluster.look_soon(parts[0])

    async def unload(self, model_id: str) -> None:
        """Return when a model is unloaded, wherever it is. Raises ClaraCoreError where another machine does not."""
        await self._supervisor.unload([model_id])
        parts = self.cluster.parts(model_id) if self.cluster.peers else None
        if parts is not None and self.state(model_id) is not ModelState.STOPPED:
            from claracore.host.cluster.orders import unload_there  # noqa: PLC0415 - as above

            await unload_there(parts[0], self.kind_of(parts[0]), self.cluster.peers[parts[0]], parts[1])
            self.cluster.look_soon(parts[0])

    def model_there(self, config: Config, model_id: str) -> ModelThere | None:
        """Return a model that another machine has, as it is asked about it there; None for one of this machine."""
        if (node := config.peer_of(model_id)) is None:
            return None
        from claracore.host.cluster.logs_there import ModelThere  # noqa: PLC0415 - as above

        return ModelThere(node, self.kind_of(node), config.peers[node], model_id.removeprefix(f"{node}/"))

    def kind_of(self, name: str) -> NodeKind:
        """Return which program serves the models of a machine; OTHER as long as that is not known."""
        node = self.cluster.nodes.get(name)
        return node.report.kind if node is not None and node.report is not None else NodeKind.OTHER

    def requests(self, model_id: str) -> int:
        """Return how many requests are with a model from here, waiting ones too."""
        slot = self._supervisor.slots.get(model_id)
        return len(slot.serving) + len(slot.waiting) if slot is not None else 0

    def offer(self, model_id: str) -> Offer:
        """Return how a model is where it is."""
        own = self.requests(model_id)
        found = self.cluster.model(model_id) if self.cluster.peers else None
        if found is None:
            return self._local(model_id, own)
        node, model = found
        state = model.state
        wakes, is_lost = self.cluster.wakes(node.name) is not None, node.state is NodeState.LOST
        if is_lost or state is ModelState.STOPPED:
            # Our requests have it loaded, or wake its machine; it has not said so yet.
            state = ModelState.STARTING if own and (wakes or not is_lost) else ModelState.STOPPED
        requests = max(own, model.requests)
        wanted = self.parts.get(node.name)
        outdated = wanted is not None and is_outdated(model, node, wanted)
        drained = node.name in self.drained
        return Offer(
            model_id, node.name, state, node.state, model.fit, requests, model.slots, wakes, drained, outdated,
            model.why,
        )  # fmt: skip

    def _local(self, model_id: str, own: int) -> Offer:
        slot = self._supervisor.slots.get(model_id)
        state = slot.state if slot is not None else ModelState.STOPPED
        fit = Fit.UNKNOWN
        lacking = self.cluster.lacking(model_id) if state is ModelState.STOPPED else None
        if lacking is not None:
            return Offer(model_id, LOCAL, state, fit=lacking.fit, requests=own, why=lacking.why)
        if state is ModelState.STOPPED:
            preview = self._supervisor.preview(model_id)
            fit = Fit.NEVER if preview.refused is not None else Fit.AFTER if preview.unloads else Fit.NOW
        return Offer(model_id, LOCAL, state, fit=fit, requests=own)

    def places(self, model_ids: tuple[str, ...]) -> tuple[ModelPlace, ...]:
        """Return where a request for one of these models may go, the best place first."""
        self._turn += 1
        return ordered(self._candidates(model_ids), self.cluster.wish, self._turn)

    def best(self, model_ids: tuple[str, ...]) -> ModelPlace | None:
        """Return the first of `places`."""
        self._turn += 1
        return best(self._candidates(model_ids), self.cluster.wish, self._turn)

    def _candidates(self, model_ids: tuple[str, ...]) -> list[PlaceCandidate | None]:
        """Return how good each of these models is, as far as possible as it was found before."""
        cluster = self.cluster
        present = (cluster.wish, cluster.drained, cluster.peers, self.parts)
        if len(self._known_for) != len(present) or any(map(is_not, self._known_for, present)):
            self._known, self._known_for = {}, present
        known, changes, slots = self._known, cluster.changes, self._supervisor.slots
        found = []
        for model_id in model_ids:
            slot, before = slots.get(model_id), known.get(model_id)
            own = len(slot.serving) + len(slot.waiting) if slot is not None else 0
            if (
                before is not None
                and before.own == own
                and before.changes == changes[before.node]
                and before.model is cluster.told(before.node, before.name)
            ):
                found.append(before.chosen)
                continue
            chosen = candidate(self.offer(model_id), cluster.wish)
            if (parts := cluster.parts(model_id)) is not None:
                node, name = parts
                known[model_id] = _Remembered(own, node, changes[node], name, cluster.told(node, name), chosen)
            found.append(chosen)
        return found

    def places_of(self, name: str) -> tuple[ModelPlace, ...]:
        """Return the places of a name that several machines have; none for any other."""
        return self.places(self.shared.get(name, ()))

    def no_places(self, model_ids: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Return the machines that have one of these models and are no place for it, each with the reason in words."""
        offers = map(self.offer, model_ids)
        return tuple((offer.node, reason) for offer in offers if (reason := why_no_place(offer)))
