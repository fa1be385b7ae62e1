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
    FellAsleep,
    FootprintsKnown,
    Measure,
    MemorySampled,
    Order,
    RanOut,
    RefuseReason,
    SecondTry,
    Sleep,
    Start,
    Stop,
    StopReason,
    TellMissing,
    Wake,
)
from claracore.core.scheduler.known_memory import FRESH_SECONDS, RETURN_SECONDS, UNSTEADY_BYTES
from claracore.core.scheduler.picture import Shortage
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.units import GIB, MIB
from sim.world import LONGEST_LOAD, LONGEST_STOP, MODELS, World, policy_with

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
        self.napping: dict[str, str] = {}  # "falling", "asleep" or "waking"
        self.told_asleep: dict[str, dict[str, int]] = {}  # what those take that sleep or fall asleep
        self.naps = self.wakes_failed = 0
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
        policy = policy_with(ByMemory(persistent, helpers=helpers), models, self.dice)
        return replace(policy, models={model: self.may_sleep(each) for model, each in policy.models.items()})

    def may_sleep(self, policy: ModelPolicy) -> ModelPolicy:
        if self.dice.random() < 0.5:
            return policy
        declared = Footprint({"ram": self.dice.choice([0, GIB]), "gpu0": GIB // 8}, FootprintSource.DECLARED)
        return replace(policy, sleeps=True, asleep=declared if self.dice.random() < 0.4 else UNKNOWN_FOOTPRINT)

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
        asleep = sum(self.told_asleep[model].get(device, 0) for model, nap in self.napping.items() if nap == "asleep")
        return self.other(device) + asleep + sum(self.real[model].get(device, 0) for model in self.holding)

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
            case Sleep(model, reason):
                self.sleep(model, reason)
            case Wake(model):
                self.wake(model)
            case Start(model):
                self.napping.pop(model, None)
                self.check_start(model)
                super().perform(order)
                self.holding.add(model)
            case _:
                super().perform(order)

    # --- sleep ----------------------------------------------------------------------------------------------------

    def can_be_stopped(self, model: str) -> bool:
        return super().can_be_stopped(model) or self.napping.get(model) == "falling"

    def wakes(self, model: str) -> bool:
        return self.napping.get(model) == "waking"

    def asleep_of(self, model: str) -> dict[str, int]:
        """Return what a model will take asleep, by what the scheduler was told."""
        declared = self.policy.models[model].asleep
        if declared.source is not FootprintSource.UNKNOWN:
            return dict(declared.by_device)
        need = self.need(model)
        assert need is not None, f"{model} sleeps, and nobody knows what it takes then"
        return {"ram": sum(need.values())}

    def sleep(self, model: str, reason: StopReason) -> None:
        assert self.running[model] == "ready", "only who is awake falls asleep"
        assert self.policy.models[model].sleeps, f"{model} cannot sleep"
        assert model not in self.serving.values(), f"an answer of {model} would be cut"
        assert model not in self.pinned, f"{model} is pinned"
        assert reason in {StopReason.TTL, StopReason.EVICTED}
        self.told_asleep[model] = self.asleep_of(model)
        self.running[model], self.napping[model] = "stopping", "falling"
        self.naps += 1
        self.check_asleep_has_room(model)
        if reason is StopReason.EVICTED:
            self.may_come_back.add(model)
        generation = self.generation[model]
        outcome = self.fallen_asleep if self.dice.random() < 0.85 else self.gone
        self.later(self.dice.uniform(0, LONGEST_STOP), lambda: outcome(model, generation))

    def check_asleep_has_room(self, model: str) -> None:
        """By what the scheduler was told nobody is asleep beyond what there is beside those that stay awake."""
        usable = {device.id: device.usable for device in self.sample.devices}
        nappers = {each for each, nap in self.napping.items() if nap != "waking"}
        awake = [each for each, state in self.running.items() if each not in nappers and state != "stopping"]
        assert all(self.need(each) is not None for each in awake), f"{model} sleeps beside one of unknown size"
        for device, size in self.told_asleep[model].items():
            # What is to come back counts as there: never more than the device has, less what is kept free.
            most = max(usable.get(device, -1), min(self.budgets[device], self.totals[device] - self.reserved[device]))
            taken = sum(self.told_asleep[each].get(device, 0) for each in nappers)
            assert not size or taken <= most, f"{model} sleeps, and {device} has no room for it"

    def fallen_asleep(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and self.napping.get(model) == "falling":
            self.release(model)
            self.last_end = self.now
            self.running[model] = self.napping[model] = "asleep"
            self.idle_since[model] = self.now
            self.tell(FellAsleep(model))

    def wake(self, model: str) -> None:
        assert self.running[model] == "asleep", "only who sleeps is woken"
        assert self.napping[model] == "asleep"
        asked = any(waiting == model for waiting, _ in self.waiting.values())
        assert asked or model in self.may_come_back, f"{model} is woken, and nobody wants it"
        self.may_come_back.discard(model)
        del self.running[model]
        self.check_start(model)
        self.running[model], self.napping[model] = "starting", "waking"
        del self.told_asleep[model]
        self.check_place(model)
        self.holding.add(model)
        self.loading_since[model] = self.now
        generation = self.generation[model]
        outcome = self.loaded if self.dice.random() < 0.8 else self.gone
        self.later(self.dice.uniform(0, LONGEST_LOAD), lambda: outcome(model, generation))

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
        if self.napping.get(model) == "falling":
            self.napping[model] = "cut"
        if self.dice.random() < 0.3:
            generation = self.generation[model]
            self.later(self.dice.uniform(0, 0.5), lambda: self.release_early(model, generation))

    def release_early(self, model: str, generation: int) -> None:
        """The process of a server that is ending is gone, and nobody has heard of it yet."""
        if self.generation[model] == generation and self.running.get(model) == "stopping":
            self.release(model)

    def loaded(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and self.running.get(model) == "starting":
            short = any(self.used(device) > self.totals[device] for device in self.real[model])
            if short and self.wakes(model):
                self.gone(model, generation)
                return
            if short:
                self.out_of_memory += 1
                self.runs_out(model, generation)
                return
            self.napping.pop(model, None)
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
            self.wakes_failed += self.wakes(model)
            self.told_asleep.pop(model, None)
            if not self.wakes(model):
                self.napping.pop(model, None)
        super().gone(model, generation)

    # --- what must always hold ------------------------------------------------------------------------------------

    def must_go(self, target: str, running: Iterable[str], awake: Iterable[str] = ()) -> frozenset[str]:
        situation = replace(self.scheduler.situation(target, self.now), running=frozenset(running) - {target})
        for model in awake:
            assert situation.memory is not None
            situation = replace(situation, memory=situation.memory.with_awake(model))
        return self.policy.rule.evictees(situation)

    def need(self, model: str) -> dict[str, int] | None:
        footprint = self.told.get(model, UNKNOWN_FOOTPRINT)
        return None if footprint.source is FootprintSource.UNKNOWN else dict(footprint.by_device)

    def has(self, model: str) -> dict[str, int] | None:
        """Return what a server takes at this moment, by what the scheduler was told; the more of both on its way."""
        awake, asleep = self.need(model), self.told_asleep.get(model)
        if asleep is None or self.napping.get(model) == "asleep" or awake is None:
            return awake if asleep is None else asleep
        return {each: max(awake.get(each, 0), asleep.get(each, 0)) for each in awake.keys() | asleep.keys()}

    def check_start(self, model: str) -> None:
        """By what the scheduler was told, there is room for it: nothing is started beyond that."""
        assert self.now <= self.sample.told_at + FRESH_SECONDS, f"{model} is started by an old sample"
        assert self.sample.taken_at >= self.last_end, f"{model} is started by a sample from before the last end"
        need, usable = self.need(model), {device.id: device.usable for device in self.sample.devices}
        others = {other: self.has(other) for other in self.running}
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
        stopped = {order.model: order.reason for order in orders if isinstance(order, Stop | Sleep)}
        asleep = {order.model: self.asleep_of(order.model) for order in orders if isinstance(order, Sleep)}
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
            assert self.makes_room(gives, short, asleep), f"{target} does not fit although {mine} go"
            for model in mine:
                assert not self.makes_room(gives - {model}, short, asleep), (
                    f"{model} went for {target}, which fits beside it"
                )

    def makes_room(self, gone: set[str], short: dict[str, Shortage], asleep: dict[str, dict[str, int]]) -> bool:
        """Whether there is enough on each device that was short, by what the scheduler was told, without these."""
        return all(
            shortage.needed
            <= shortage.available
            + sum((self.has(model) or {}).get(device, 0) - asleep.get(model, {}).get(device, 0) for model in gone)
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
        if first is None or not first.is_down or not self.waits_for_memory(first.model):
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
