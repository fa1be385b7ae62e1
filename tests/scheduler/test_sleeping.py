"""A model sleeps instead of being stopped: conversations with the scheduler, and whom RAM has room for."""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Event,
    FellAsleep,
    Finished,
    FootprintsKnown,
    Measure,
    MemorySampled,
    Order,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Serve,
    ShutdownAsked,
    Sleep,
    Start,
    Stop,
    StopReason,
    TimePassed,
    UnloadAsked,
    Wake,
)
from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.picture import MemoryPicture
from claracore.core.scheduler.policy import ModelPolicy, Policy, Situation
from claracore.core.scheduler.sleeping import asleep_footprint, sleepers
from claracore.core.units import GIB

SIX = Footprint({"gpu0": 6 * GIB}, FootprintSource.MEASURED)
SIZES = {"a": SIX, "b": SIX, "in ram": Footprint({"ram": 9 * GIB}, FootprintSource.MEASURED)}
SLEEPS = ModelPolicy(sleeps=True)
Step = tuple[float, Event, list[Order]]


def scheduler(**policies: ModelPolicy) -> Scheduler:
    """Return one of models of 6 GiB on a card of 8, beside 10 of RAM; `a` can sleep."""
    models = {name: policies.get(name, SLEEPS if name == "a" else ModelPolicy()) for name in SIZES}
    subject = Scheduler(Policy(ByMemory(), models))
    assert subject.handle(FootprintsKnown(SIZES), 0.0) == []
    return subject


def sampled(ram: int = 10) -> MemorySampled:
    devices = (("ram", ram), ("gpu0", 8))
    return MemorySampled(tuple(DeviceMemory(name, name, n * GIB, n * GIB, 0, 0) for name, n in devices), {})


def play(subject: Scheduler, *steps: Step) -> None:
    for now, event, orders in steps:
        assert subject.handle(event, now) == orders, event


def loaded(**policies: ModelPolicy) -> Scheduler:
    """Return one in which `a` is ready and idle since 1.0."""
    subject = scheduler(**policies)
    play(
        subject,
        (0.0, Arrived(1, "a"), [Measure(("a",))]),
        (0.1, sampled(), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (1.0, Finished(1), []),
    )
    return subject


def asleep(**policies: ModelPolicy) -> Scheduler:
    """Return one in which `a` sleeps, because `b` is being started."""
    subject = loaded(**policies)
    play(
        subject,
        (5.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (5.1, sampled(), [Sleep("a", StopReason.EVICTED)]),
        (5.5, FellAsleep("a"), [Measure(("a", "b"))]),
        (5.6, sampled(), [Start("b")]),
    )
    return subject


def test_it_sleeps_for_another_and_is_woken_when_it_has_its_place_again() -> None:
    subject = asleep()
    play(
        subject,
        (6.0, Ready("b"), [Serve(2)]),
        (6.5, Arrived(3, "a"), []),  # it waits as for a load, until b can go
        (7.0, Finished(2), [Measure(("a", "b"))]),
        (7.1, sampled(), [Stop("b", StopReason.EVICTED)]),
        (7.2, Ended("b"), [Measure(("a",))]),
        (7.3, sampled(), [Wake("a")]),
        (7.4, Arrived(4, "a"), []),
        (9.0, Ready("a"), [Serve(3), Serve(4)]),
    )


def test_who_waits_for_one_that_sleeps_is_told_what_for() -> None:
    subject = asleep()
    play(subject, (6.0, Ready("b"), [Serve(2)]), (6.5, Arrived(3, "a"), []))
    assert subject.obstacle("a", 6.5) == Obstacle(Cause.ANSWERS, ("b",))


def test_without_room_in_ram_it_is_stopped() -> None:
    play(
        loaded(),
        (5.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (5.1, sampled(ram=5), [Stop("a", StopReason.EVICTED)]),
    )


def test_it_is_stopped_when_ram_is_needed() -> None:
    play(
        asleep(),
        (6.0, Ready("b"), [Serve(2)]),
        (6.1, Arrived(3, "in ram"), [Measure(("a", "b", "in ram"))]),
        (6.2, sampled(), [Stop("a", StopReason.EVICTED)]),
        (6.3, Ended("a"), [Measure(("b", "in ram"))]),
        (6.4, sampled(), [Start("in ram")]),
    )


def test_what_it_will_take_is_kept_free_while_it_falls_asleep() -> None:
    play(
        loaded(),
        (5.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (5.1, sampled(), [Sleep("a", StopReason.EVICTED)]),
        (5.2, Arrived(3, "in ram"), []),
    )


def test_one_that_could_not_sleep_has_ended_and_that_is_all() -> None:
    play(
        loaded(),
        (5.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (5.1, sampled(), [Sleep("a", StopReason.EVICTED)]),
        (5.5, Ended("a"), [Measure(("b",))]),
        (5.6, sampled(), [Start("b")]),
        (6.0, Ready("b"), [Serve(2)]),
        (6.0, Finished(2), []),
        (7.0, Arrived(3, "a"), [Measure(("a", "b"))]),
        (7.1, sampled(), [Stop("b", StopReason.EVICTED)]),
    )


def test_one_that_could_not_wake_is_started_anew_and_has_not_failed() -> None:
    subject = asleep()
    play(
        subject,
        (6.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
        (6.2, Arrived(3, "a"), [Measure(("a",))]),
        (6.3, sampled(), [Wake("a")]),
        (7.0, Ended("a"), [Measure(("a",))]),
        (7.1, sampled(), [Start("a")]),
        (8.0, Ready("a"), [Serve(3)]),
    )


def test_nobody_waits_until_it_sleeps_who_wants_it_gone() -> None:
    falling: tuple[Step, ...] = (
        (5.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (5.1, sampled(), [Sleep("a", StopReason.EVICTED)]),
    )
    for event, reason in (
        (UnloadAsked(("a",)), StopReason.UNLOADED),
        (Reconfigured(Policy(ByMemory(), {"b": ModelPolicy()})), StopReason.REMOVED),
    ):
        subject = loaded()
        play(subject, *falling)
        assert Stop("a", reason) in subject.handle(event, 5.2)
        assert subject.handle(FellAsleep("a"), 5.3) == []  # it was on its way already
    subject = loaded()
    play(subject, *falling)
    orders = subject.handle(ShutdownAsked(10.0), 5.2)
    assert orders == [Refuse(2, RefuseReason.SHUTDOWN), Stop("a", StopReason.SHUTDOWN)]


def test_at_its_ttl_it_sleeps_and_after_as_long_again_it_is_stopped() -> None:
    play(
        loaded(a=ModelPolicy(sleeps=True, ttl_seconds=60.0)),
        (61.0, TimePassed(), [Measure(("a",))]),
        (61.1, sampled(), [Sleep("a", StopReason.TTL)]),
        (61.5, FellAsleep("a"), []),
        (121.4, TimePassed(), []),
        (121.5, TimePassed(), [Stop("a", StopReason.TTL)]),
    )


def test_at_its_ttl_it_is_stopped_where_ram_has_no_room_or_is_not_seen() -> None:
    for sample in (sampled(ram=5), MemorySampled((), {})):
        play(
            loaded(a=ModelPolicy(sleeps=True, ttl_seconds=60.0)),
            (61.0, TimePassed(), [Measure(("a",))]),
            (61.1, sample, [Stop("a", StopReason.TTL)]),
        )


def test_what_is_taken_asleep() -> None:
    declared = Footprint({"ram": GIB, "gpu0": GIB}, FootprintSource.DECLARED)
    assert asleep_footprint(declared, UNKNOWN_FOOTPRINT) == declared
    mixed = Footprint({"ram": GIB, "gpu0": 3 * GIB}, FootprintSource.MEASURED)
    assert asleep_footprint(UNKNOWN_FOOTPRINT, mixed) == Footprint({"ram": 4 * GIB}, FootprintSource.MEASURED)
    for useless in (UNKNOWN_FOOTPRINT, SIZES["in ram"], Footprint({"unified": GIB}, FootprintSource.MEASURED)):
        assert asleep_footprint(UNKNOWN_FOOTPRINT, useless) is None


def together(running: Mapping[str, Footprint], ram: int, *could: str, target: Footprint | None = None) -> set[str]:
    costs = {"dear": 9.0, "cheap": 1.0}
    picture = MemoryPicture({"ram": ram * GIB, "gpu0": 8 * GIB}, running, costs, frozenset(), frozenset())
    situation = Situation("new", frozenset(running) - {"new"}, memory=picture)
    asleep_ = {model: Footprint({"ram": 4 * GIB}, FootprintSource.MEASURED) for model in could}
    return set(sleepers(situation, asleep_, target))


def test_as_many_sleep_as_ram_has_room_for_beside_the_others_and_the_target() -> None:
    small = Footprint({"gpu0": 4 * GIB}, FootprintSource.MEASURED)
    two = {"dear": small, "cheap": small}
    assert together({**two, "new": SIX}, 8, "dear", "cheap") == {"dear", "cheap"}
    assert together({**two, "new": SIX}, 7, "dear", "cheap") == {"dear"}
    assert together({**two, "new": SIX}, 3, "dear", "cheap") == set()
    assert together({**two, "new": Footprint({"ram": GIB}, FootprintSource.MEASURED)}, 8, "dear", "cheap") == {"dear"}
    slept = Footprint({"ram": GIB}, FootprintSource.MEASURED)  # until it is awake
    assert together({**two, "new": SIX}, 8, "dear", "cheap", target=slept) == {"dear"}
    leaves = Footprint({"ram": GIB}, FootprintSource.MEASURED)  # and is not gone yet
    assert together({**two, "new": SIX, "stops": leaves}, 8, "dear", "cheap") == {"dear"}
    assert together({**two, "new": SIX, "odd": UNKNOWN_FOOTPRINT}, 64, "dear", "cheap") == set()
