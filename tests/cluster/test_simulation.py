"""Machines die, hang, come back and lie about memory, clocks differ, and Ray says what is not so.

Every request ends once, whole or not at all. In virtual time, by the real decisions: `watch` (how is a node), `place`
(where to), `journey` (once a place).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from claracore.core.cluster.journey import Journey
from claracore.core.cluster.model import Fit, Node, NodeKind, NodeLost, NodeModel, NodeReport, NodeState, NodeTold
from claracore.core.cluster.place import Offer, PlacementWish, places
from claracore.core.cluster.watch import (
    MOST_ANSWERS,
    Look,
    LookAnswered,
    LookMissed,
    LookRefused,
    Witness,
    followed,
    looked,
    unheard,
)
from claracore.types import ModelState

STEPS = 10_000
LOOK_EVERY_SECONDS = 1.0


@dataclass
class Machine:
    """One machine as it really is; what it says of itself may be wrong."""

    name: str
    clock_off: float
    alive: bool = True
    hangs: bool = False
    loaded: bool = False
    lies: bool = False

    def look(self, now: float) -> Look:
        if not self.alive:
            return LookRefused("refused")
        if self.hangs:
            return LookMissed("late")
        state = ModelState.READY if self.loaded else ModelState.STOPPED
        fit = Fit.NOW if self.lies else Fit.AFTER
        # Its own clock stands in what it says, and must change nothing here.
        return LookAnswered(
            NodeReport(NodeKind.CLARACORE, (NodeModel("x", state, fit),), version=str(now + self.clock_off))
        )


@dataclass
class Asking:
    """One request of a client."""

    number: int
    journey: Journey = field(default_factory=Journey)
    where: str = ""
    bytes_from: set[str] = field(default_factory=set)
    ends: int = 0


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.witnesses = list(Witness)
        """What Ray may say of any machine at any moment, true or not."""
        self.machines = {f"m{n}": Machine(f"m{n}", self.random.uniform(-1e6, 1e6)) for n in range(5)}
        self.nodes: dict[str, Node] = {name: unheard(name, 0.0) for name in self.machines}
        self.open: list[Asking] = []
        self.over: list[Asking] = []
        self.turn = 0
        self.moved = 0

    def offers(self) -> list[Offer]:
        found = []
        for node in self.nodes.values():
            model = node.report.models[0] if node.report is not None else NodeModel("x")
            busy = sum(each.where == node.name for each in self.open)
            found.append(Offer(f"{node.name}/x", node.name, model.state, node.state, model.fit, busy))
        return found

    def end(self, asking: Asking) -> None:
        asking.ends += 1
        self.open.remove(asking)
        self.over.append(asking)

    def go(self, asking: Asking) -> None:
        """Send a request to the best place where it has not been; it ends when there is none."""
        self.turn += 1
        found = places(self.offers(), PlacementWish(), self.turn)
        model_id = asking.journey.next(place.model_id for place in found)
        if model_id is None:
            self.end(asking)
            return
        asking.where = model_id.removesuffix("/x")
        self.moved += len(asking.journey.been) > 1
        machine = self.machines[asking.where]
        if not machine.alive or (machine.lies and not machine.loaded):
            self.go(asking)  # refused at once
        elif not machine.hangs:
            machine.loaded = True

    def failed_at(self, name: str, *, unanswered_only: bool) -> None:
        for asking in [each for each in self.open if each.where == name]:
            if not asking.journey.began:
                self.go(asking)
            elif not unanswered_only:
                self.end(asking)

    # What happens.

    def ask(self) -> None:
        asking = Asking(len(self.open) + len(self.over))
        self.open.append(asking)
        self.go(asking)

    def answer(self) -> None:
        """Some machine sends a byte of an answer."""
        able = [each for each in self.open if self.speaks(each.where)]
        if able:
            asking = self.random.choice(able)
            asking.journey.began = True
            asking.bytes_from.add(asking.where)
            if self.random.random() < 0.5:
                self.end(asking)

    def speaks(self, name: str) -> bool:
        return self.machines[name].alive and not self.machines[name].hangs

    def die(self) -> None:
        machine = self.random.choice(list(self.machines.values()))
        if machine.alive:
            machine.alive = machine.loaded = False
            self.failed_at(machine.name, unanswered_only=False)  # connections are reset

    def hang(self) -> None:
        self.random.choice(list(self.machines.values())).hangs = True

    def come_back(self) -> None:
        machine = self.random.choice(list(self.machines.values()))
        machine.alive, machine.hangs = True, False

    def lie(self) -> None:
        machine = self.random.choice(list(self.machines.values()))
        machine.lies = not machine.lies

    def look(self) -> None:
        self.now += LOOK_EVERY_SECONDS
        for name, machine in self.machines.items():
            witness = self.random.choice(self.witnesses)
            for event in looked(self.nodes[name], machine.look(self.now), self.now, witness):
                self.nodes[name] = followed(self.nodes[name], event)
                if isinstance(event, NodeLost):
                    self.failed_at(name, unanswered_only=False)
                if isinstance(event, NodeTold):
                    assert self.nodes[name].heard_at == self.now, "by our clock"

    def step(self) -> None:
        acts = (self.ask, self.answer, self.look, self.die, self.hang, self.come_back, self.lie)
        self.random.choices(acts, (30, 30, 20, 4, 3, 8, 2))[0]()

    def check(self) -> None:
        for asking in self.open:
            assert asking.ends == 0
            assert len(asking.bytes_from) <= 1, "nobody gets the beginnings of two answers"
            assert len(set(asking.journey.been)) == len(asking.journey.been), "once a place"


@pytest.mark.parametrize("seed", range(4))
def test_every_request_ends_once(seed: int) -> None:
    world = World(seed)
    for _ in range(STEPS // 4):
        world.step()
        world.check()
    # All machines are well again, or lost for good: nothing may be left over.
    for machine in world.machines.values():
        machine.alive, machine.hangs, machine.lies = True, False, False
    for _ in range(MOST_ANSWERS):
        world.look()
    assert all(node.state is NodeState.UP for node in world.nodes.values())
    while world.open:
        world.answer()
    assert all(asking.ends == 1 and len(asking.bytes_from) <= 1 for asking in world.over)
    assert world.moved > 10, "nothing was put to the test"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("witness", "looks"), [(Witness.NONE, 10), (Witness.GONE, 2), (Witness.THERE, 65)])
def test_a_hang_that_lasts_ends_every_wait(seed: int, witness: Witness, looks: int) -> None:
    world = World(seed)
    world.witnesses = [witness]
    world.look()
    for _ in range(20):
        world.ask()
    for machine in world.machines.values():
        machine.hangs = True
    for _ in range(looks):
        world.look()
    assert not world.open
    assert len(world.over) == 20
