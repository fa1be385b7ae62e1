"""Memory decides who stays: conversations with the scheduler, left what happens, right what is ordered."""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Event,
    Finished,
    FootprintsKnown,
    Measure,
    MemorySampled,
    Order,
    Pinned,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Serve,
    Start,
    Stop,
    StopReason,
    TellMissing,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.picture import Eviction, Shortage
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.scheduler.slot import HALF_LIFE_SECONDS
from claracore.core.units import GIB

Step = tuple[float, Event, list[Order]]

FOUR = Footprint({"gpu0": 4 * GIB}, FootprintSource.MEASURED)
EIGHT = Footprint({"gpu0": 8 * GIB}, FootprintSource.MEASURED)
SIZES: Mapping[str, Footprint] = {
    "a": FOUR,
    "b": FOUR,
    "c": FOUR,
    "large": EIGHT,
    "huge": Footprint({"gpu0": 9 * GIB}, FootprintSource.DECLARED),
}


def scheduler(rule: ByMemory | None = None, **policies: ModelPolicy) -> Scheduler:
    """Return one of five models on a card of 8 GiB."""
    models = {name: policies.get(name, ModelPolicy()) for name in (*SIZES, "strange")}
    return Scheduler(Policy(rule or ByMemory(), models))


def told(subject: Scheduler) -> Scheduler:
    """Tell it what all models take."""
    assert subject.handle(FootprintsKnown(SIZES), 0.0) == []
    return subject


def sampled(*models: str, other: int = 0) -> MemorySampled:
    """Return a sample of the card, of which other programs use so many GiB, and of what these models take."""
    device = DeviceMemory("gpu0", "a card", 8 * GIB, 8 * GIB, 0, other * GIB)
    return MemorySampled((device,), {model: SIZES.get(model, UNKNOWN_FOOTPRINT) for model in models})


def play(subject: Scheduler, *steps: Step) -> None:
    for now, event, orders in steps:
        assert subject.handle(event, now) == orders, event


def load(subject: Scheduler, model: str, request: int, at: float, *, seconds: float = 1.0, beside: str = "") -> None:
    """Have a request load a model, which takes so long, and be answered at once."""
    concerned = tuple(sorted([model, *beside.split()]))
    play(
        subject,
        (at, Arrived(request, model), [Measure(concerned)]),
        (at, sampled(*concerned), [Start(model)]),
        (at + seconds, Ready(model), [Serve(request)]),
        (at + seconds, Finished(request), []),
    )


def test_both_fit_and_nobody_ever_goes() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    load(subject, "b", 2, 10.0, beside="a")
    for number in range(3, 40):
        model = "ab"[number % 2]
        play(
            subject,
            (10.0 * number, Arrived(number, model), [Serve(number)]),
            (10.0 * number + 1, Finished(number), []),
        )
    assert subject.evictees("c", 400.0) == ["a"]  # that would be another matter: a was used before b


def test_a_start_an_eviction_and_a_refusal_wait_for_a_look() -> None:
    subject = scheduler()
    play(
        subject,
        (0.0, Arrived(1, "a"), [Measure(("a",))]),
        (0.1, Arrived(2, "huge"), []),  # a look is under way, which was not asked about it
        (0.2, sampled("a"), [Start("a"), Measure(("a", "huge"))]),
        (0.3, sampled("a", "huge"), [Refuse(2, RefuseReason.NO_ROOM)]),
        (0.9, Ready("a"), [Serve(1)]),
        (1.0, Finished(1), []),
        (5.0, Arrived(3, "large"), [Measure(("a", "large"))]),
        (5.1, sampled("a", "large"), [Stop("a", StopReason.EVICTED)]),
        (5.2, Ended("a"), [Measure(("large",))]),
        (5.3, sampled("large"), [Start("large")]),
    )
    assert subject.slots["a"].displaced == Eviction("large", (Shortage("gpu0", 8 * GIB, 4 * GIB),))


def test_who_takes_long_to_load_stays_rather_than_who_does_not() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0, seconds=60.0)
    load(subject, "b", 2, 100.0, seconds=2.0, beside="a")
    assert subject.evictees("c", 110.0) == ["b"]


def test_who_is_used_often_stays_and_after_hours_that_counts_no_more() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    load(subject, "b", 2, 10.0, beside="a")
    for number in range(3, 30):
        play(subject, (11.0, Arrived(number, "a"), [Serve(number)]), (11.0, Finished(number), []))
    play(subject, (12.0, Arrived(30, "b"), [Serve(30)]), (13.0, Finished(30), []))
    assert subject.evictees("c", 20.0) == ["b"]
    later = 11.0 + 20 * HALF_LIFE_SECONDS
    for number in range(31, 34):
        play(subject, (later, Arrived(number, "b"), [Serve(number)]), (later, Finished(number), []))
    assert subject.evictees("c", later) == ["a"]


def test_who_is_asked_for_looking_changes_nothing() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    before = (subject.slots["a"].warmth, subject.slots["a"].warmth_at, subject.slots["a"].served)
    subject.evictees("large", 50.0)
    assert (subject.slots["a"].warmth, subject.slots["a"].warmth_at, subject.slots["a"].served) == before


def test_a_busy_model_is_waited_for_and_the_card_looked_at_meanwhile() -> None:
    subject = scheduler()
    play(
        subject,
        (0.0, Arrived(1, "large"), [Measure(("large",))]),
        (0.0, sampled("large"), [Start("large")]),
        (1.0, Ready("large"), [Serve(1)]),
        (2.0, Arrived(2, "a"), [Measure(("a", "large"))]),
        (2.0, sampled("a", "large"), []),
    )
    assert subject.next_deadline() == 3.0
    play(
        subject,
        (3.0, TimePassed(), [Measure(("a", "large"))]),
        (3.0, sampled("a", "large"), []),
        (
            6.0,
            Arrived(3, "large"),
            [
                Serve(3),
            ],
        ),
        (6.5, Finished(1), [Measure(("a", "large"))]),
        (6.6, sampled("a", "large"), []),
        (7.0, TimePassed(), []),  # the patience of the one who waits is over
        (7.1, Arrived(4, "large"), []),
        (7.5, Finished(3), [Stop("large", StopReason.EVICTED)]),
        (8.0, Ended("large"), [Measure(("a", "large"))]),
        (8.0, sampled("a", "large"), [Start("a")]),
    )


def test_memory_that_another_program_gives_back_is_seen() -> None:
    subject = scheduler()
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "a"), [Serve(2)]),
        (6.0, Arrived(3, "b"), [Measure(("a", "b"))]),
        (6.0, sampled("a", "b", other=2), []),
        (7.0, TimePassed(), [Measure(("a", "b"))]),
        (7.1, sampled("a", "b", other=0), [Start("b")]),
    )


def test_a_start_waits_until_the_card_shows_the_memory() -> None:
    subject = scheduler()
    load(subject, "large", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "a"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), [Stop("large", StopReason.EVICTED)]),
        (6.0, Ended("large"), [Measure(("a",))]),
        (6.0, sampled("a", other=8), []),
    )
    assert subject.obstacle("a", 6.0) == Obstacle(Cause.MEMORY)
    assert subject.next_deadline() == 6.05
    play(
        subject,
        (6.05, TimePassed(), [Measure(("a",))]),
        (6.06, sampled("a", other=5), []),
        (6.11, TimePassed(), [Measure(("a",))]),
        (6.12, sampled("a", other=3), [Start("a")]),  # enough for this one, though not all is back
    )


def test_memory_that_does_not_come_back_is_told_and_counts_as_others() -> None:
    subject = scheduler()
    load(subject, "large", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "a"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), [Stop("large", StopReason.EVICTED)]),
        (6.0, Ended("large"), [Measure(("a",))]),
    )
    now, orders = 6.0, subject.handle(sampled("a", other=6), 6.0)
    while not orders:
        now = subject.next_deadline() or 0.0
        if subject.handle(TimePassed(), now) == [Measure(("a",))]:
            orders = subject.handle(sampled("a", other=6), now)
    assert orders == [TellMissing({"gpu0": 6 * GIB}), Refuse(2, RefuseReason.NO_ROOM)]
    assert 16.0 <= now < 16.1


def test_what_nobody_waited_for_is_not_told() -> None:
    subject = scheduler()
    load(subject, "large", 1, 0.0)
    play(
        subject,
        (5.0, UnloadAsked(("large",)), [Stop("large", StopReason.UNLOADED)]),
        (6.0, Ended("large"), []),
        (600.0, Arrived(2, "a"), [Measure(("a",))]),
        (600.0, sampled("a", other=3), [Start("a")]),
    )


def test_who_never_fits_is_refused_and_nobody_goes_for_it() -> None:
    subject = scheduler()
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "huge"), [Measure(("a", "huge"))]),
        (5.0, sampled("a", "huge"), [Refuse(2, RefuseReason.NO_ROOM)]),
        (5.5, Arrived(3, "huge", by_hand=True), [Refuse(3, RefuseReason.NO_ROOM)]),
    )
    assert subject.evictees("huge", 6.0) == []
    assert subject.too_large("huge", 6.0) == (Shortage("gpu0", 9 * GIB, 8 * GIB),)


def test_who_does_not_fit_beside_other_programs_is_refused_with_everybody_still_loaded() -> None:
    subject = scheduler()
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "large"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large", other=1), [Refuse(2, RefuseReason.NO_ROOM)]),
    )


def test_pinned_and_persistent_models_stay_and_who_needs_their_place_is_refused() -> None:
    subject = scheduler(ByMemory(persistent=frozenset({"a"})))
    load(subject, "a", 1, 0.0)
    load(subject, "b", 2, 10.0, beside="a")
    play(
        subject,
        (20.0, Arrived(3, "large"), [Measure(("a", "b", "large"))]),
        (20.0, sampled("a", "b", "large"), [Refuse(3, RefuseReason.PINNED)]),
        (20.0, Pinned("b", pinned=True), []),
        (20.5, Arrived(4, "c"), [Measure(("a", "b", "c"))]),
        (20.5, sampled("a", "b", "c"), [Refuse(4, RefuseReason.PINNED)]),
        (20.6, Pinned("b", pinned=False), []),
        (20.7, Arrived(5, "c"), [Stop("b", StopReason.EVICTED)]),
    )
    assert [slot.model for slot in subject.staying_against("large", 20.8)] == ["a"]


def test_a_model_of_which_nothing_is_known_runs_alone_until_that_is_measured() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "strange"), [Measure(("a", "strange"))]),
        (5.0, sampled("a", "strange"), [Stop("a", StopReason.EVICTED)]),
        (5.5, Ended("a"), [Measure(("strange",))]),
        (5.5, sampled("strange"), [Start("strange")]),
        (6.0, Ready("strange"), [Serve(2)]),
        (7.0, Finished(2), []),
    )
    assert subject.evictees("b", 7.0) == ["strange"]
    play(subject, (8.0, FootprintsKnown({"strange": FOUR}), []))
    assert subject.evictees("b", 8.0) == []


def test_a_load_that_nobody_waits_for_gives_way() -> None:
    subject = scheduler()
    play(
        subject,
        (0.0, Arrived(1, "large"), [Measure(("large",))]),
        (0.0, sampled("large"), [Start("large")]),
        (0.5, Finished(1), []),  # the client has left
        (0.6, Arrived(2, "a"), [Measure(("a", "large"))]),
        (0.6, sampled("a", "large"), [Stop("large", StopReason.UNWANTED)]),
    )


def test_who_comes_later_starts_beside_one_who_waits_unless_it_would_be_in_the_way() -> None:
    subject = scheduler()
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "a"), [Serve(2)]),
        (5.0, Arrived(3, "large"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), []),  # a is busy
        (5.5, Arrived(4, "b"), [Measure(("a", "b", "large"))]),
        (5.5, sampled("a", "b", "large"), [Start("b")]),  # large does not insist yet
        (6.0, Ready("b"), [Serve(4)]),
        (6.1, Finished(4), []),
    )


BASE = ModelPolicy(reload=True)


def test_a_base_model_comes_back_when_who_it_went_for_has_gone() -> None:
    subject = scheduler(a=BASE, large=ModelPolicy(ttl_seconds=60.0))
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "large"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), [Stop("a", StopReason.EVICTED)]),
        (6.0, Ended("a"), [Measure(("a", "large"))]),
        (6.0, sampled("a", "large"), [Start("large")]),
        (7.0, Ready("large"), [Serve(2)]),
        (9.0, Finished(2), []),
        (69.0, TimePassed(), [Stop("large", StopReason.TTL)]),
        (70.0, Ended("large"), [Measure(("a",))]),
        (70.0, sampled("a"), [Start("a")]),
        (71.0, Ready("a"), []),
    )


def test_a_base_model_that_is_coming_back_gives_way_to_who_is_asked_for() -> None:
    subject = scheduler(a=BASE)
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "large"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), [Stop("a", StopReason.EVICTED)]),
        (6.0, Ended("a"), [Measure(("a", "large"))]),
        (6.0, sampled("a", "large"), [Start("large")]),
        (7.0, Ended("large"), [Refuse(2, RefuseReason.FAILED), Measure(("a",))]),
        (7.0, sampled("a"), [Start("a")]),
        (7.1, Arrived(3, "large", by_hand=True), [Stop("a", StopReason.UNWANTED)]),
        (7.2, Ended("a"), [Measure(("a", "large"))]),
        (7.2, sampled("a", "large"), [Start("large")]),
        (8.0, Ready("large"), [Serve(3)]),
        (8.1, UnloadAsked(("a",)), []),  # a person wants it to stay away
        (8.2, Finished(3), []),
        (8.3, UnloadAsked(("large",)), [Stop("large", StopReason.UNLOADED)]),
        (8.4, Ended("large"), []),
    )


def test_a_base_model_whose_start_fails_does_not_try_for_ever() -> None:
    subject = scheduler(a=BASE)
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (5.0, Arrived(2, "large"), [Measure(("a", "large"))]),
        (5.0, sampled("a", "large"), [Stop("a", StopReason.EVICTED)]),
        (6.0, Ended("a"), [Measure(("a", "large"))]),
        (6.0, sampled("a", "large"), [Start("large")]),
        (7.0, Ended("large"), [Refuse(2, RefuseReason.FAILED), Measure(("a",))]),
        (7.0, sampled("a"), [Start("a")]),
        (8.0, Ended("a"), []),
        (90.0, TimePassed(), []),
    )
    assert subject.next_deadline() is None


def test_a_base_model_comes_back_under_the_rule_of_groups_as_well() -> None:
    rule = Groups({"g": Group()}, {"a": "g", "b": "g"})
    subject = Scheduler(Policy(rule, {"a": BASE, "b": ModelPolicy(ttl_seconds=30.0)}))
    play(
        subject,
        (0.0, Arrived(1, "a"), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (2.0, Finished(1), []),
        (3.0, Arrived(2, "b"), [Stop("a", StopReason.EVICTED)]),
        (4.0, Ended("a"), [Start("b")]),
        (5.0, Ready("b"), [Serve(2)]),
        (6.0, Finished(2), []),
        (36.0, TimePassed(), [Stop("b", StopReason.TTL)]),
        (37.0, Ended("b"), [Start("a")]),
    )


def test_when_memory_begins_to_decide_what_runs_is_looked_at() -> None:
    models = {"a": ModelPolicy(), "b": ModelPolicy()}
    subject = Scheduler(Policy(Groups({"g": Group()}, {"a": "g", "b": "g"}), models))
    play(
        subject,
        (0.0, Arrived(1, "a"), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (2.0, Finished(1), []),
        (3.0, Reconfigured(Policy(ByMemory(), models)), [Measure(("a",))]),
        (3.1, sampled("a"), []),
        (3.2, FootprintsKnown({"b": FOUR}), []),
    )
    assert subject.evictees("b", 4.0) == []


def test_a_request_for_a_ready_model_looks_at_nothing() -> None:
    subject = scheduler()
    load(subject, "a", 1, 0.0)
    play(subject, (50.0, Arrived(2, "a"), [Serve(2)]), (60.0, Finished(2), []))
    assert subject.next_deadline() is None


def test_what_ended_while_groups_decided_is_not_waited_for_afterwards() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    models = {name: ModelPolicy() for name in subject.slots}
    groups = Groups({"g": Group()}, dict.fromkeys(models, "g"))
    play(
        subject,
        (5.0, UnloadAsked(("a",)), [Stop("a", StopReason.UNLOADED)]),
        (5.1, Reconfigured(Policy(groups, models)), []),
        (5.2, Ended("a"), []),
        (6.0, Reconfigured(Policy(ByMemory(), models)), []),
        (30.0, Arrived(2, "c"), [Measure(("c",))]),
        (30.1, sampled("c", other=5), [Refuse(2, RefuseReason.NO_ROOM)]),
    )


def test_ram_of_a_process_that_has_ended_is_not_waited_for() -> None:
    def seen(*models: str, other: int) -> MemorySampled:
        device = DeviceMemory("ram", "RAM", 32 * GIB, 32 * GIB, 0, other * GIB)
        four = Footprint({"ram": 4 * GIB}, FootprintSource.MEASURED)
        return MemorySampled((device,), {model: UNKNOWN_FOOTPRINT if model == "strange" else four for model in models})

    play(
        scheduler(),
        (0.0, Arrived(1, "a"), [Measure(("a",))]),
        (0.0, seen("a", other=2), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (2.0, Finished(1), []),
        (5.0, Arrived(2, "strange"), [Measure(("a", "strange"))]),
        (5.1, seen("a", "strange", other=2), [Stop("a", StopReason.EVICTED)]),
        (5.2, Ended("a"), [Measure(("strange",))]),
        (5.3, seen("strange", other=3), [Start("strange")]),  # other programs have taken some meanwhile
    )


def test_a_look_from_before_a_model_was_loaded_decides_nothing() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0, seconds=0.3)
    play(
        subject,
        (0.5, Arrived(2, "b"), [Measure(("a", "b"))]),
        (0.5, sampled("a", "b"), [Start("b")]),
    )
