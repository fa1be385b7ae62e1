"""The world of `world.py` on devices of memory: sizes that are not as estimated, memory that comes back late, other
programs that take some and give it back, loads that run out of it.

The books here are of what really is; the scheduler knows samples of that, which are old when they come.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from claracore.core.memory.allocation_errors import AllocationError
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.core.memory.larger_need import larger_need
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.events import (
    FootprintsKnown,
    Measure,
    MemorySampled,
    Order,
    RanOut,
    RefuseReason,
    SecondTry,
    Start,
    Stop,
    StopReason,
    TellMissing,
)
from claracore.core.scheduler.known_memory import FRESH_SECONDS, RETURN_SECONDS, UNSTEADY_BYTES
from claracore.core.scheduler.picture import Shortage
from claracore.core.scheduler.policy import Policy
from claracore.core.units import GIB, MIB
from claracore.types import ModelState
from sim.world import MODELS, World, policy_with

LATEST_RETURN = 20.0
LONGEST_WAIT = 120.0
LATELY = 60.0


@dataclass(frozen=True)
class Sample:
    """What the scheduler was told last, and when that was looked up."""

    taken_at: float
    told_at: float
    devices: tuple[DeviceMemory, ...]
    room: dict[str, int]
    """What each device really had for models, or has when all memory is back that may still come back in time."""


class MemoryWorld(World):
    def __init__(self, seed: int) -> None:
        dice = random.Random(-1 - seed)
        self.totals = {"ram": dice.randint(16, 64) * GIB, **{f"gpu{n}": dice.randint(6, 24) * GIB for n in range(2)}}
        if dice.random() < 0.2:
            self.totals = {"unified": dice.randint(16, 64) * GIB}
        self.reserved = {device: dice.choice([0, GIB // 2, 2 * GIB]) for device in self.totals}
        self.budgets = {device: total - dice.choice([0, 0, 2]) * GIB for device, total in self.totals.items()}
        self.foreign = dict.fromkeys(self.totals, 0)
        self.real = {model: self.random_size(dice) for model in MODELS}
        self.known = {model: self.first_known(model, dice) for model in MODELS}
        self.held: dict[int, dict[str, int]] = {}  # what servers that have ended still hold
        self.gone_at: dict[int, float] = {}
        self.taken: list[tuple[float, dict[str, int]]] = []  # by others, when samples were made
        self.holding: set[str] = set()  # models whose server holds its memory under its own name
        self.sample = Sample(-1.0, -1.0, (), {})
        self.told: dict[str, Footprint] = {}
        self.measuring = False
        self.last_end = -1.0
        self.evictions = self.out_of_memory = self.missing = self.late = 0
        super().__init__(seed)
        self.later(self.dice.uniform(0, 5), self.other_program)

    def random_size(self, dice: random.Random) -> dict[str, int]:
        devices = dice.sample(sorted(self.totals), dice.randint(1, len(self.totals)))
        return {
            device: int(self.totals[device] * dice.choice([0.1, 0.2, 0.3, 0.3, 0.45, 0.6, 0.9, 1.1]))
            for device in devices
        }

    def first_known(self, model: str, dice: random.Random) -> Footprint:
        if dice.random() < 0.15:
            return UNKNOWN_FOOTPRINT
        if dice.random() < 0.3:
            return Footprint(self.real[model], FootprintSource.DECLARED)
        factor = dice.uniform(0.5, 1.3)
        estimated = {device: int(size * factor) for device, size in self.real[model].items()}
        return Footprint(estimated, FootprintSource.ESTIMATED)

    def new_policy(self) -> Policy:
        models = self.dice.sample(MODELS, self.dice.randint(2, len(MODELS)))
        persistent = frozenset(model for model in models if self.dice.random() < 0.1)
        helpers = frozenset(model for model in models if self.dice.random() < 0.2)
        return policy_with(ByMemory(persistent, helpers=helpers), models, self.dice)

    # --- memory as it is ------------------------------------------------------------------------------------------

    def other(self, device: str) -> int:
        """What seems to be used by other programs: theirs, and what servers that have ended still hold."""
        held = sum(held.get(device, 0) for held in self.held.values())
        return min(self.totals[device], self.foreign[device] + held)

    def look(self) -> tuple[DeviceMemory, ...]:
        return tuple(
            DeviceMemory(device, device, total, self.budgets[device], self.reserved[device], self.other(device))
            for device, total in self.totals.items()
        )

    def room(self) -> dict[str, int]:
        """Return what no sample lately has shown to be taken by others, or by servers that are late.

        If others give back as much as a server that has just ended still holds, no sample tells one from the other.
        """
        late = [held for ticket, held in self.held.items() if self.now > self.gone_at[ticket] + RETURN_SECONDS]
        taken = {device: self.foreign[device] + sum(held.get(device, 0) for held in late) for device in self.totals}
        self.taken = [(at, lately) for at, lately in self.taken if at > self.now - LATELY]
        self.taken.append((self.now, taken))
        return {
            device: min(
                self.budgets[device],
                total - self.reserved[device] - max(lately[device] for _, lately in self.taken),
            )
            for device, total in self.totals.items()
        }

    def used(self, device: str) -> int:
        return self.other(device) + sum(self.real[model].get(device, 0) for model in self.holding)

    def other_program(self) -> None:
        """Another program takes memory, or gives all of it back."""
        device = self.dice.choice(sorted(self.totals))
        share = self.dice.choice([0.0, 0.0, 0.0, 0.1, 0.3])
        self.foreign[device] = 0 if self.quiet else int(self.totals[device] * share)
        if not self.quiet:
            self.later(self.dice.expovariate(0.1), self.other_program)

    def release(self, model: str) -> None:
        """A server's process is gone: its RAM is free, and that of GPUs some time later."""
        if model in self.holding:
            self.holding.discard(model)
            ticket = next(self.ticket)
            self.held[ticket] = {device: size for device, size in self.real[model].items() if device != "ram"}
            self.gone_at[ticket] = self.now
            late = self.dice.choice([0.0, 0.0, 0.2, 2.0, self.dice.choice([2.0, LATEST_RETURN])])
            self.late += late > RETURN_SECONDS
            self.later(self.dice.uniform(0, late), lambda: self.give_back(ticket))

    def give_back(self, ticket: int) -> None:
        del self.held[ticket]

    # --- orders ---------------------------------------------------------------------------------------------------

    def tell_all(self, orders: list[Order]) -> None:
        self.check_evictions(orders)
        super().tell_all(orders)

    def perform(self, order: Order) -> None:
        match order:
            case Measure(models):
                assert not self.measuring, "one look at a time"
                self.measuring = True
                longest = self.dice.choice([0.01, 0.01, 0.2, 2.0])
                self.later(self.dice.uniform(0, longest), lambda: self.take_sample(models, longest))
            case TellMissing(missing):
                assert all(size > UNSTEADY_BYTES for size in missing.values())
                self.missing += 1
            case Start(model):
                self.check_start(model)
                super().perform(order)
                self.holding.add(model)
            case _:
                super().perform(order)

    def take_sample(self, models: tuple[str, ...], longest: float) -> None:
        taken_at, devices, room = self.now, self.look(), self.room()
        footprints = {model: self.known[model] for model in models}
        self.later(
            self.dice.uniform(0, longest), lambda: self.hand_in(Sample(taken_at, self.now, devices, room), footprints)
        )

    def hand_in(self, sample: Sample, footprints: dict[str, Footprint]) -> None:
        self.measuring = False
        if self.dice.random() < 0.01:  # nothing could be seen
            self.told = {**dict.fromkeys(footprints, UNKNOWN_FOOTPRINT), **self.told}
            sample, footprints = replace(sample, devices=()), {}
        self.sample = replace(sample, told_at=self.now)
        self.told |= footprints
        self.tell(MemorySampled(sample.devices, footprints))

    def stop(self, model: str, reason: StopReason) -> None:
        super().stop(model, reason)
        if self.dice.random() < 0.3:
            generation = self.generation[model]
            self.later(self.dice.uniform(0, 0.5), lambda: self.release_early(model, generation))

    def release_early(self, model: str, generation: int) -> None:
        """The process of a server that is ending is gone, and nobody has heard of it yet."""
        if self.generation[model] == generation and self.running.get(model) == "stopping":
            self.release(model)

    def loaded(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and self.running.get(model) == "starting":
            if any(self.used(device) > self.totals[device] for device in self.real[model]):
                self.out_of_memory += 1
                self.runs_out(model, generation)
                return
            super().loaded(model, generation)
            self.later(self.dice.uniform(0, 2), lambda: self.measured(model))

    def runs_out(self, model: str, generation: int) -> None:
        """A server says what it could not get, more or less exactly: as the host hands it in."""
        real, known = self.real[model], self.known[model]
        device = next(device for device in real if self.used(device) > self.totals[device])
        asked = self.dice.choice([None, real[device] // 2, real[device] // 8])
        had = None if asked is None or self.dice.random() < 0.5 else real[device] - asked
        usable = next((each.usable for each in self.look() if each.id == device), 0)
        others = sum(self.real[other].get(device, 0) for other in self.holding - {model})
        if known.source is not FootprintSource.UNKNOWN:
            error = AllocationError("", device, asked, had)
            needs = larger_need(error, known.on(device), max(0, usable - others), usable).bytes
            self.known[model] = replace(known, by_device={**known.by_device, device: needs})
        self.told[model] = self.known[model]
        self.lesser = {device: int(size * 0.6) for device, size in real.items()}
        less = Footprint(self.lesser, FootprintSource.ESTIMATED) if self.dice.random() < 0.5 else UNKNOWN_FOOTPRINT
        self.ran_out = RanOut(model, self.known[model], less)
        self.tell(self.ran_out)
        self.gone(model, generation)
        self.ran_out = None

    def short(self, model: str, generation: int) -> None:
        self.loaded(model, generation)

    def try_again(self, model: str, how: SecondTry) -> None:
        super().try_again(model, how)
        if how is SecondTry.LESSENED and self.ran_out is not None:
            self.real[model] = self.lesser
            self.known[model] = self.told[model] = self.ran_out.less

    def check_others_help(self, model: str, how: SecondTry) -> None:
        assert how is SecondTry.CLEARED
        assert self.others_may_help(model), f"{model} is tried again for nothing"

    def others_may_help(self, model: str) -> bool:
        rule = self.policy.rule
        assert isinstance(rule, ByMemory)
        going = self.must_go(model, self.running)
        fits = not rule.too_large(self.scheduler.situation(model, self.now))
        return bool(going) and fits and not going - self.stopping() & (self.pinned | rule.persistent)

    def stopping(self) -> set[str]:
        return {model for model, state in self.running.items() if state == "stopping"}

    def measured(self, model: str) -> None:
        if model in self.holding:
            self.known[model] = Footprint(self.real[model], FootprintSource.MEASURED)
            if self.dice.random() < 0.5:
                self.told[model] = self.known[model]
                self.tell(FootprintsKnown({model: self.known[model]}))

    def gone(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and model in self.running:
            self.release(model)
            self.last_end = self.now
        super().gone(model, generation)

    # --- what must always hold ------------------------------------------------------------------------------------

    def must_go(self, target: str, running: Iterable[str]) -> frozenset[str]:
        situation = replace(self.scheduler.situation(target, self.now), running=frozenset(running) - {target})
        return self.policy.rule.evictees(situation)

    def need(self, model: str) -> dict[str, int] | None:
        footprint = self.told.get(model, UNKNOWN_FOOTPRINT)
        return None if footprint.source is FootprintSource.UNKNOWN else dict(footprint.by_device)

    def check_start(self, model: str) -> None:
        """By what the scheduler was told, there is room for it: nothing is started beyond that."""
        assert self.now <= self.sample.told_at + FRESH_SECONDS, f"{model} is started by an old sample"
        assert self.sample.taken_at >= self.last_end, f"{model} is started by a sample from before the last end"
        need, usable = self.need(model), {device.id: device.usable for device in self.sample.devices}
        others = {other: self.need(other) for other in self.running}
        if need is None:
            self.check_alone(model, others)
            return
        for device, size in need.items():
            rivals = [other for other, its in others.items() if its is None or its.get(device)]
            if device not in usable:
                assert not rivals, f"{model} is started beside {rivals} on {device}, which was not seen"
            else:
                unknown = [other for other in rivals if others[other] is None]
                assert not unknown, f"{model} is started beside {unknown}, of which nothing is known"
                taken = sum((its or {}).get(device, 0) for its in others.values())
                assert size + taken <= usable[device], f"{model} takes more of {device} than it has"

    def check_alone(self, model: str, others: dict[str, dict[str, int] | None]) -> None:
        rule = self.policy.rule
        assert isinstance(rule, ByMemory)
        for other, its in others.items():
            stays = other in self.pinned or other in rule.persistent
            assert stays or its == {}, f"{model}, of which nothing is known, is started beside {other}"

    def check_evictions(self, orders: list[Order]) -> None:
        """All of them together make room for the one they go for, and without any of them there is none."""
        rule = self.policy.rule
        assert isinstance(rule, ByMemory)
        stopped = {order.model: order.reason for order in orders if isinstance(order, Stop)}
        gone = [model for model, reason in stopped.items() if reason is StopReason.EVICTED]
        by = {model: eviction.by for model in gone if (eviction := self.scheduler.slots[model].displaced) is not None}
        assert by.keys() == set(gone)
        ending = {model for model, state in self.running.items() if state == "stopping"}
        for target in set(by.values()):
            mine = {model for model in gone if by[model] == target}
            self.evictions += len(mine)
            assert not mine & (self.pinned | rule.persistent), f"{mine} stay whatever happens"
            gives = mine | ending | stopped.keys()
            short = {short.device: short for short in self.scheduler.slots[min(mine)].displaced.shortages}  # type: ignore[union-attr]
            if "" in short:  # by bytes nothing can be said
                continue
            assert self.makes_room(gives, short), f"{target} does not fit although {mine} go"
            for model in mine:
                assert not self.makes_room(gives - {model}, short), f"{model} went for {target}, which fits beside it"

    def makes_room(self, gone: set[str], short: dict[str, Shortage]) -> bool:
        """Whether there is enough on each device that was short, by what the scheduler was told, without these."""
        return all(
            shortage.needed <= shortage.available + sum((self.need(model) or {}).get(device, 0) for model in gone)
            for device, shortage in short.items()
        )

    def check_refusal(self, request: int, reason: RefuseReason, model: str, since: float) -> None:
        if reason is RefuseReason.PINNED:
            rule = self.policy.rule
            assert isinstance(rule, ByMemory)
            assert self.must_go(model, self.running) & (self.pinned | rule.persistent)
            return
        if reason is not RefuseReason.NO_ROOM:
            super().check_refusal(request, reason, model, since)
            return
        need, room = self.need(model), self.sample.room
        assert need is not None, "whether it fits is not known"
        assert any(size > room.get(device, size) for device, size in need.items()), f"{model} fits"

    def check_the_first_in_turn(self) -> None:
        """As in any world; but who waits for a look, or for memory that is to come back, waits rightly."""
        first = next((slot for slot in self.scheduler.in_turn(self.now) if slot.waiting), None)
        if first is None or first.state is not ModelState.STOPPED or not self.waits_for_memory(first.model):
            super().check_the_first_in_turn()
        elif not self.must_go(first.model, self.running):
            assert self.measuring or self.scheduler.next_deadline() is not None, f"{first.model} waits, nobody looks"

    def settle_down(self) -> None:
        begun = self.now
        super().settle_down()
        assert self.now < begun + LONGEST_WAIT, f"somebody waited for {self.now - begun:.0f} s"

    def waits_for_memory(self, model: str) -> bool:
        old = self.now >= self.sample.told_at + FRESH_SECONDS or self.sample.taken_at < self.last_end
        return self.measuring or old or not self.scheduler.memory.is_back(model, self.running)


def sizes_of(world: MemoryWorld) -> str:
    """Return the sizes of the world's models and devices, for whoever reads a failure."""
    rows = [
        f"{device}: {total // MIB} MiB, {world.reserved[device] // MIB} kept" for device, total in world.totals.items()
    ]
    rows += [
        f"{model}: really { {device: size // MIB for device, size in real.items()} }, {world.told.get(model)}"
        for model, real in world.real.items()
    ]
    return "\n".join(rows)
