"""How do 200 machines, 5,000 models and thousands of requests a second behave, in virtual time, by the real decisions?

`watch` says how a node is, the table of `Cluster` keeps it, `Machines` says where a request goes, `Journey` that it
goes to each place once. Machines die, hang and come back meanwhile. `bench/crowd.py` has the numbers.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from claracore.core.cluster.journey import Journey
from claracore.core.cluster.model import Fit, Node, NodeEvent, NodeKind, NodeLost, NodeModel, NodeReport, NodeState
from claracore.core.cluster.place import places
from claracore.core.cluster.watch import (
    MOST_ANSWERS,
    Look,
    LookAnswered,
    LookMissed,
    LookRefused,
    followed,
    looked,
    unheard,
)
from claracore.core.config.model import Config
from claracore.core.config.peers import with_found, with_peers
from claracore.core.config.routing import PeerConfig
from claracore.core.scheduler.policy import ModelPolicy
from claracore.core.scheduler.slot import Slot
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.machines import Machines
from claracore.host.supervisor.preview import LoadPreview
from claracore.types import ModelState

SLOTS = 4
"""How many requests a model answers at once."""
HOLDS = 8
"""How many models fit a machine."""


@dataclass(slots=True)
class Asking:
    """One request of a client."""

    number: int
    name: str
    seconds: float
    """How long its answer takes."""
    journey: Journey = field(default_factory=Journey)
    where: str = ""
    """The id of the model that it is with."""
    answers_from: set[str] = field(default_factory=set)
    ends: int = 0


@dataclass(slots=True)
class Box:
    """One machine as it really is."""

    name: str
    models: tuple[str, ...]
    alive: bool = True
    hangs: bool = False
    loaded: dict[str, None] = field(default_factory=dict)
    """The model that was used last stands last."""
    asked: dict[str, deque[Asking]] = field(default_factory=dict)

    def look(self) -> Look:
        if not self.alive:
            return LookRefused("refused")
        if self.hangs:
            return LookMissed("late")
        is_full = len(self.loaded) >= HOLDS
        return LookAnswered(NodeReport(NodeKind.CLARACORE, tuple(self._say(model, is_full) for model in self.models)))

    def _say(self, model: str, is_full: bool) -> NodeModel:  # noqa: FBT001 - one of two
        state = ModelState.READY if model in self.loaded else ModelState.STOPPED
        fit = Fit.AFTER if is_full else Fit.NOW
        return NodeModel(model, state, fit, len(self.asked.get(model, ())), SLOTS)

    def serve(self, model: str, asking: Asking) -> None:
        """Take a request; a model that is not loaded takes the place of one that is idle."""
        self.loaded.pop(model, None)
        self.loaded[model] = None
        if len(self.loaded) > HOLDS:
            idle = next((each for each in self.loaded if not self.asked.get(each)), model)
            del self.loaded[idle]
        self.asked.setdefault(model, deque()).append(asking)


class Crowd:
    """All of it: a `Membership`, what the supervisor of the head tells, and a `ClusterListener`."""

    def __init__(self, nodes: int, models: int, copies: int, seed: int, accidents: float = 0.002) -> None:
        """Have so many models, each on so many machines; `accidents`: the share of machines that die in a second."""
        self.accidents = accidents
        self.chance = random.Random(seed)
        on: dict[str, list[str]] = {f"n{number}": [] for number in range(nodes)}
        for model in range(models):
            for name in self.chance.sample(list(on), copies):
                on[name].append(f"m{model}")
        self.boxes = {name: Box(name, tuple(has)) for name, has in on.items()}
        self.now = 0.0
        self.known: dict[str, Node] = {name: unheard(name, 0.0) for name in self.boxes}
        self.slots: dict[str, Slot] = {}
        """What is with each model from here."""
        self.open: set[int] = set()
        self.over: list[Asking] = []
        self.asked, self.refused, self.moved = 0, 0, 0
        config = Config(peers={name: PeerConfig(proxy="http://x", models="auto") for name in on})
        found = with_peers(with_found(config, {name: tuple(has) for name, has in on.items()}))
        self.cluster = Cluster(lambda _: self)
        self.cluster.begin(found, self)
        self.machines = Machines(self.cluster, self)
        self.machines.reconfigure(found)
        self.names = list(self.machines.shared)
        self.decide: Callable[[Asking], str | None] = self.next_place

    # What the head is told, and by whom it is asked: a membership that says nothing by itself, and no listener.

    async def follow(self) -> AsyncIterator[NodeEvent]:
        await asyncio.Event().wait()
        yield NodeLost("", 0, "")

    def reconfigure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Follow them anyway."""

    def look_soon(self, node: str) -> None:
        """Look at its time."""

    def preview(self, model_id: str) -> LoadPreview:
        del model_id
        return LoadPreview()

    async def load(self, model_id: str) -> None:
        """Load nothing."""

    async def unload(self, model_ids: Iterable[str]) -> None:
        """Unload nothing."""

    def models_found(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Have them already."""

    def node_lost(self, node: Node) -> None:
        for asking in self._leave(node.name):
            self._go(asking)

    def node_up(self, node: Node) -> None:
        """Do nothing."""

    def hears(self, name: str) -> bool:
        del name
        return False

    def node_changed(self, name: str) -> None:
        """Do nothing."""

    # What happens.

    def second(self, rate: int) -> None:
        """Have a second pass in which so many requests come."""
        self.now += 1
        self.look()
        for _ in range(rate):
            # Few names are asked for often.
            name = self.names[int(len(self.names) * self.chance.random() ** 1.5)]
            self.asked += 1
            asking = Asking(self.asked, name, self.chance.uniform(0.2, 2.0))
            self.open.add(asking.number)
            self._go(asking)
        self._accidents()
        for box in self.boxes.values():
            self._answer(box)

    def look(self) -> None:
        """Look at every machine once."""
        for name, box in self.boxes.items():
            for event in looked(self.known[name], box.look(), self.now):
                self.known[name] = followed(self.known[name], event)
                self.cluster.take(event)

    def _accidents(self) -> None:
        for box in self.boxes.values():
            fate = self.chance.random()
            if fate < self.accidents:
                box.alive = False
                box.loaded.clear()
                for asking in self._leave(box.name):
                    self._go(asking)  # its connection is reset
            elif fate < 2 * self.accidents:
                box.hangs = True
            elif fate > 0.85:
                box.alive, box.hangs = True, False

    def _leave(self, name: str) -> list[Asking]:
        """Return the requests that are with a machine, which has them no more."""
        box = self.boxes[name]
        left = [asking for asked in box.asked.values() for asking in asked]
        box.asked.clear()
        for asking in left:
            self.slots[asking.where].serving.discard(asking.number)
        return left

    def next_place(self, asking: Asking) -> str | None:
        """Decide where a request goes: the first time only the best place is looked for."""
        if not asking.journey.been:
            best = self.machines.best(self.machines.shared[asking.name])
            return asking.journey.next([best.model_id] if best is not None else [])
        return asking.journey.next(place.model_id for place in self.machines.places_of(asking.name))

    def places_anew(self, name: str) -> tuple[str, ...]:
        """Return the places of a name, best first, without anything that was kept."""
        offers = [self.machines.offer(model_id) for model_id in self.machines.shared[name]]
        return tuple(place.model_id for place in places(offers, self.cluster.wish))

    def places_kept(self, name: str) -> tuple[str, ...]:
        """Return the same by what `Machines` keeps."""
        self.machines._turn = -1
        return tuple(place.model_id for place in self.machines.places_of(name))

    def _go(self, asking: Asking) -> None:
        while True:
            model_id = self.decide(asking)
            self.moved += len(asking.journey.been) > 1
            if model_id is None:
                self.refused += 1
                self._end(asking)
                return
            box = self.boxes[model_id.partition("/")[0]]
            if box.alive:
                asking.where = model_id
                slot = self.slots.setdefault(model_id, Slot(model_id, ModelPolicy()))
                slot.serving.add(asking.number)
                box.serve(asking.name, asking)
                return

    def _answer(self, box: Box) -> None:
        """Have a machine answer for a second, in order, so many at once."""
        if not box.alive or box.hangs:
            return
        for asked in box.asked.values():
            left = float(SLOTS)
            while asked and left > 0:
                asking = asked[0]
                asking.journey.began = True
                asking.answers_from.add(box.name)
                spent = min(left, asking.seconds)
                left -= spent
                asking.seconds -= spent
                if asking.seconds > 0:
                    break
                asked.popleft()
                self.slots[asking.where].serving.discard(asking.number)
                self._end(asking)

    def _end(self, asking: Asking) -> None:
        asking.ends += 1
        self.open.remove(asking.number)
        self.over.append(asking)

    def recover(self) -> None:
        """Have every machine be well again, and answer all that there is."""
        for box in self.boxes.values():
            box.alive, box.hangs = True, False
        looks = 0
        while self.open or looks < MOST_ANSWERS:
            looks += 1
            self.now += 1
            self.look()
            for box in self.boxes.values():
                self._answer(box)

    @property
    def up(self) -> int:
        """How many machines are up, as far as the head knows."""
        return sum(node.state is NodeState.UP for node in self.known.values())
