"""A start that ran out of memory: who goes for the second one, when it is made with less, and when it is not made."""

from __future__ import annotations

from dataclasses import replace

from claracore.core.memory.footprint import Footprint, FootprintSource
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Finished,
    Measure,
    MemorySampled,
    Pinned,
    RanOut,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    SecondTry,
    Serve,
    Start,
    Stop,
    StopReason,
    TryAgain,
)
from claracore.core.scheduler.eviction import Group, Groups, LocalOnly
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.units import GIB
from scheduler.test_residency import load, play, sampled, scheduler, told

SIX = Footprint({"gpu0": 6 * GIB}, FootprintSource.MEASURED)
LESS = Footprint({"gpu0": 2 * GIB}, FootprintSource.ESTIMATED)


def with_six(*models: str) -> MemorySampled:
    """Return a sample in which b takes 6 GiB."""
    sample = sampled(*models)
    return replace(sample, footprints={**sample.footprints, "b": SIX})


# --- where bytes decide -----------------------------------------------------------------------------------------------


def test_others_go_for_a_model_that_needs_more_than_was_known() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (12.0, Arrived(3, "b"), []),
        (13.0, RanOut("b", SIX), []),
        (13.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Measure(("a", "b"))]),
        (13.1, with_six("a", "b"), [Stop("a", StopReason.EVICTED)]),
        (14.0, Ended("a"), [Measure(("b",))]),
        (14.1, with_six("b"), [Start("b")]),
        (16.0, Ready("b"), [Serve(2), Serve(3)]),
    )
    assert subject.slots["b"].load_seconds is not None
    assert subject.slots["b"].tries == frozenset(), "the next failure has its own second try"


def test_who_was_alone_is_not_started_again_for_nothing() -> None:
    subject = told(scheduler())
    play(
        subject,
        (10.0, Arrived(2, "b"), [Measure(("b",))]),
        (10.0, sampled("b"), [Start("b")]),
        (13.0, RanOut("b", SIX), []),
        (13.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
    )
    assert subject.failing("b", 13.0) is not None


def test_who_was_alone_is_started_with_less_once() -> None:
    subject = told(scheduler())
    play(
        subject,
        (10.0, Arrived(2, "large"), [Measure(("large",))]),
        (10.0, sampled("large"), [Start("large")]),
        (13.0, RanOut("large", Footprint({"gpu0": 9 * GIB}, FootprintSource.MEASURED), LESS), []),
        (13.0, Ended("large"), [TryAgain("large", SecondTry.LESSENED), Measure(("large",))]),
        (13.1, sampled("large"), [Start("large")]),
        (14.0, RanOut("large", SIX, LESS), []),
        (14.0, Ended("large"), [Refuse(2, RefuseReason.FAILED)]),
    )


def test_first_others_go_and_then_it_is_started_with_less() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (13.0, RanOut("b", SIX, LESS), []),
        (13.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Measure(("a", "b"))]),
        (13.1, with_six("a", "b"), [Stop("a", StopReason.EVICTED)]),
        (14.0, Ended("a"), [Measure(("b",))]),
        (14.1, with_six("b"), [Start("b")]),
        (15.0, RanOut("b", SIX, LESS), []),
        (15.0, Ended("b"), [TryAgain("b", SecondTry.LESSENED), Measure(("b",))]),
        (15.1, sampled("b"), [Start("b")]),
        (16.0, Ready("b"), [Serve(2)]),
    )


def test_a_busy_model_in_its_way_is_waited_for() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (9.0, Arrived(7, "a"), [Serve(7)]),
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (13.0, RanOut("b", SIX), []),
        (13.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Measure(("a", "b"))]),
        (13.1, with_six("a", "b"), []),
    )
    assert subject.obstacle("b", 13.0) is not None
    play(subject, (13.5, Finished(7), [Stop("a", StopReason.EVICTED)]))


def test_nobody_goes_where_that_is_of_no_use() -> None:
    subject = in_groups()
    run(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Start("b")]),
        (11.0, RanOut("b", SIX, LESS, limited=True), []),
        (11.0, Ended("b"), [TryAgain("b", SecondTry.LESSENED), Start("b")]),
        (12.0, RanOut("b", SIX, limited=True), []),
        (12.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
    )


def test_nobody_goes_for_a_model_that_does_not_fit_alone() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (13.0, RanOut("b", Footprint({"gpu0": 20 * GIB}, FootprintSource.MEASURED)), []),
        (13.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
    )


def test_who_stays_is_no_reason_to_try_again() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (9.0, Pinned("a", pinned=True), []),
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (13.0, RanOut("b", SIX), []),
        (13.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
    )


def test_no_try_is_made_for_nobody() -> None:
    subject = told(scheduler())
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (11.0, Finished(2), []),
        (13.0, RanOut("b", SIX, LESS), []),
        (13.0, Ended("b"), []),
    )


def test_the_load_that_failed_is_no_time_of_waiting_for_a_turn() -> None:
    subject = told(scheduler(b=ModelPolicy(queue_timeout_seconds=20.0)))
    load(subject, "a", 1, 0.0)
    play(
        subject,
        (9.0, Arrived(7, "a"), [Serve(7)]),
        (10.0, Arrived(2, "b"), [Measure(("a", "b"))]),
        (10.0, sampled("a", "b"), [Start("b")]),
        (110.0, RanOut("b", SIX), []),
        (110.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Measure(("a", "b"))]),
    )
    assert subject.position(2) == 1


# --- under groups -----------------------------------------------------------------------------------------------------


def in_groups(*, persistent: bool = False, remote: str = "") -> Scheduler:
    """Return one whose models run beside each other."""
    groups = {"both": Group(swap=False, exclusive=False), "other": Group(persistent=persistent, exclusive=False)}
    rule = Groups(groups, {"a": "other", "b": "both", "c": "both"})
    models = {name: ModelPolicy() for name in "abc"}
    return Scheduler(Policy(LocalOnly(rule, frozenset({remote})) if remote else rule, models))


def run(subject: Scheduler, model: str, request: int, at: float) -> None:
    play(
        subject,
        (at, Arrived(request, model), [Start(model)]),
        (at + 1, Ready(model), [Serve(request)]),
        (at + 1, Finished(request), []),
    )


def test_idle_models_go_under_groups_too() -> None:
    subject = in_groups()
    run(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Start("b")]),
        (11.0, RanOut("b", SIX), []),
        (11.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Stop("a", StopReason.EVICTED)]),
        (12.0, Ended("a"), [Start("b")]),
        (13.0, Ready("b"), [Serve(2)]),
    )


def test_busy_pinned_persistent_and_distant_models_stay_under_groups() -> None:
    def fails(subject: Scheduler) -> None:
        play(
            subject,
            (30.0, Arrived(2, "b"), [Start("b")]),
            (31.0, RanOut("b", SIX), []),
            (31.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
        )

    busy, pinned, persistent, distant = in_groups(), in_groups(), in_groups(persistent=True), in_groups(remote="a")
    for subject in (busy, pinned, persistent, distant):
        run(subject, "a", 1, 0.0)
    play(busy, (20.0, Arrived(7, "a"), [Serve(7)]))
    play(pinned, (20.0, Pinned("a", pinned=True), []))
    for subject in (busy, pinned, persistent, distant):
        fails(subject)


def test_memory_that_came_back_late_is_worth_another_try() -> None:
    subject = Scheduler(
        Policy(Groups({"one": Group()}, {"a": "one", "b": "one"}), {"a": ModelPolicy(), "b": ModelPolicy()})
    )
    run(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Stop("a", StopReason.EVICTED)]),
        (11.0, Ended("a"), [Start("b")]),
        (12.0, RanOut("b", SIX, LESS), []),
        (12.0, Ended("b"), [TryAgain("b", SecondTry.WAITED), Start("b")]),
        (13.0, RanOut("b", SIX, LESS), []),
        (13.0, Ended("b"), [TryAgain("b", SecondTry.LESSENED), Start("b")]),
        (14.0, Ended("b"), [Refuse(2, RefuseReason.FAILED)]),
    )


def test_another_configuration_begins_anew() -> None:
    subject = in_groups()
    run(subject, "a", 1, 0.0)
    play(
        subject,
        (10.0, Arrived(2, "b"), [Start("b")]),
        (11.0, RanOut("b", SIX), []),
        (11.0, Ended("b"), [TryAgain("b", SecondTry.CLEARED), Stop("a", StopReason.EVICTED)]),
    )
    rule = Groups({"both": Group(swap=False, exclusive=False)}, dict.fromkeys("abc", "both"))
    subject.handle(Reconfigured(Policy(rule, {name: ModelPolicy() for name in "abc"})), 11.5)
    assert subject.slots["b"].tries == frozenset()
