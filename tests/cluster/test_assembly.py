"""A model on several machines starts as a whole, ends as a whole, and leaves nothing behind."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from claracore.core.cluster.assembly import (
    AllOver,
    AskRank,
    Assembly,
    AssemblyEvent,
    AssemblyOrder,
    AssemblyPhase,
    EndAsked,
    EndMaster,
    MasterEnded,
    MasterReady,
    RankGone,
    RankLost,
    RankReady,
    RankRefused,
    ReleaseRank,
    StartMaster,
    TellReady,
)

Line = tuple[AssemblyEvent, list[AssemblyOrder]]
BEGUN: list[Line] = [
    (RankReady(1), []),
    (RankReady(2), [StartMaster()]),
    (MasterReady(), [TellReady()]),
]
ENDED: list[Line] = [
    (MasterEnded(), [ReleaseRank(1), ReleaseRank(2)]),
    (RankGone(2), []),
    (RankGone(1), [AllOver()]),
]


def played(*lines: Line, able: tuple[str, ...] = ("desk", "lap")) -> Assembly:
    made = Assembly(2, able)
    assert made.begin() == [AskRank(1, able[0]), AskRank(2, able[1])]
    for event, orders in lines:
        assert made.handle(event) == orders, event
    return made


def test_all_ranks_then_rank_0_then_ready_and_back() -> None:
    made = played(*BEGUN, (EndAsked(), [EndMaster()]), *ENDED)
    assert (made.phase, made.failure, made.lost, made.nodes) == (AssemblyPhase.OVER, "", False, {})


def test_one_rank_that_fails_ends_what_was_begun() -> None:
    made = played(
        (RankReady(1), []),
        (RankLost(2, "no such file"), [ReleaseRank(1), ReleaseRank(2)]),
        (RankGone(1), []),
        (RankGone(2), [AllOver()]),
    )
    assert (made.failure, made.lost) == ("machine 'lap': no such file", False)


def test_one_rank_lost_while_it_runs_ends_rank_0_first() -> None:
    made = played(*BEGUN, (RankLost(1, "its server died"), [EndMaster()]), *ENDED)
    assert (made.failure, made.lost) == ("machine 'desk': its server died", True)


def test_rank_0_that_dies_ends_the_ranks() -> None:
    made = played(*BEGUN[:2], (MasterEnded("exit code 1"), [ReleaseRank(1), ReleaseRank(2)]), *ENDED[1:])
    assert (made.failure, made.lost) == ("exit code 1", False)


def test_a_machine_that_refuses_is_replaced_as_long_as_there_is_another() -> None:
    made = played(
        (RankRefused(1, "taken"), [AskRank(1, "old")]),
        (RankReady(2), []),
        (RankRefused(1, "taken too"), [ReleaseRank(2)]),
        (RankGone(2), [AllOver()]),
        able=("desk", "lap", "old"),
    )
    assert made.short
    assert made.refused == {"desk": "taken", "old": "taken too"}


def test_the_end_is_asked_for_before_anything_is_ready() -> None:
    played(
        (EndAsked(), [ReleaseRank(1), ReleaseRank(2)]),
        (RankReady(1), []),
        (RankRefused(2, "taken"), []),
        (RankGone(1), [AllOver()]),
        (RankGone(2), []),
    )


@pytest.mark.parametrize("late", [RankReady(1), RankLost(1, "x"), RankGone(1), MasterReady(), EndAsked()])
def test_what_comes_too_late_orders_nothing(late: AssemblyEvent) -> None:
    played(*BEGUN, (EndAsked(), [EndMaster()]), *ENDED, (late, []))


# --- simulation -----------------------------------------------------------------------------------------------------

LEASE = 10
"""Ticks that a machine keeps a rank that nobody asks for."""


@dataclass
class Machine:
    """A node: it may be away, and forgets a rank whose lease is over. One that dies has nothing any more."""

    name: str
    up: bool = True
    runs: bool = False
    until: int = 0

    def tick(self, now: int) -> None:
        if now > self.until:
            self.runs = False


@dataclass
class World:
    chance: random.Random
    machines: dict[str, Machine]
    assembly: Assembly
    now: int = 0
    asked: dict[int, str] = field(default_factory=dict)
    releasing: dict[int, int] = field(default_factory=dict)
    """Since when each rank is being released."""
    seen: set[int] = field(default_factory=set)
    """Ranks that were said to be ready, and are asked for again and again."""
    master: bool = False
    told_ready: int = 0
    over: bool = False

    def perform(self, orders: list[AssemblyOrder]) -> None:
        for order in orders:
            assert not self.over, "nothing comes after the end"
            match order:
                case AskRank(rank, node):
                    assert all(node != other for each, other in self.asked.items() if each != rank), "one each"
                    self.asked[rank] = node
                case ReleaseRank(rank):
                    assert rank in self.asked
                    self.releasing[rank] = self.now
                case StartMaster():
                    assert len(self.seen) == 2, "all or nothing"
                    self.master = True
                case EndMaster():
                    pass
                case TellReady():
                    assert self.master
                    self.told_ready += 1
                case AllOver():
                    assert not self.master
                    self.over = True

    def take(self, event: AssemblyEvent) -> None:
        self.perform(self.assembly.handle(event))

    def weather(self) -> None:
        for machine in self.machines.values():
            roll = self.chance.random()
            if roll < 0.03:  # power is gone
                machine.up = machine.runs = False
            elif roll < 0.07:  # it hangs, or the cable is out
                machine.up = False
            elif roll < 0.3:
                machine.up = True
            elif roll < 0.33:
                machine.runs = False
            machine.tick(self.now)

    def rank_turn(self, rank: int) -> None:
        machine = self.machines[self.asked[rank]]
        if rank in self.releasing:
            # It is gone when its machine says so, or cannot have it any more.
            if machine.up:
                machine.runs = False
            if machine.up or self.now - self.releasing[rank] > LEASE:
                del self.releasing[rank], self.asked[rank]
                self.seen.discard(rank)
                self.take(RankGone(rank))
        elif not machine.up:
            if self.chance.random() < 0.4:
                self.take(RankLost(rank, "no answer"))
        elif rank in self.seen:
            if machine.runs:
                machine.until = self.now + LEASE
            else:
                self.take(RankLost(rank, "it ended"))
        else:
            self.ask(rank, machine)

    def ask(self, rank: int, machine: Machine) -> None:
        roll = self.chance.random()
        if roll < 0.15 and not machine.runs:
            del self.asked[rank]
            self.take(RankRefused(rank, "taken"))
        elif roll < 0.25:
            machine.runs, machine.until = True, self.now + LEASE
            self.take(RankLost(rank, "it failed"))
        elif roll < 0.8:
            machine.runs, machine.until = True, self.now + LEASE
            self.seen.add(rank)
            self.take(RankReady(rank))

    def master_turn(self) -> None:
        roll = self.chance.random()
        if self.assembly.phase is AssemblyPhase.ENDING and roll < 0.5:
            self.master = False
            self.take(MasterEnded())
        elif roll < 0.05:
            self.master = False
            self.take(MasterEnded("it died"))
        elif roll < 0.4:
            self.take(MasterReady())


@pytest.mark.parametrize("seed", range(400))
def test_no_rank_is_left_running_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)
    names = ("desk", "lap", "old", "new")
    made = Assembly(2, names[: chance.randint(2, 4)])
    world = World(chance, {name: Machine(name) for name in names}, made)
    world.perform(made.begin())
    for now in range(300):
        world.now = now
        world.weather()
        for rank in [rank for rank in (1, 2) if rank in world.asked]:
            if rank in world.asked:
                world.rank_turn(rank)
        if world.master:
            world.master_turn()
        if chance.random() < 0.02 or now == 200:
            world.take(EndAsked())
    assert world.over
    assert made.phase is AssemblyPhase.OVER
    assert world.told_ready <= 1
    assert made.nodes == {}
    assert not [machine.name for machine in world.machines.values() if machine.runs]
