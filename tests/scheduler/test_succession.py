"""Transcripts of two processes, of which one takes the place of the other: who goes, and who comes."""

from __future__ import annotations

from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Event,
    Finished,
    Inherited,
    Order,
    Ready,
    Reconfigured,
    Serve,
    ShutdownAsked,
    Start,
    StartsHeld,
    Stop,
    StopReason,
    TimePassed,
    Wake,
)
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.scheduler.slot import Nap
from claracore.types import ModelState

EVICTED = StopReason.EVICTED


def one_at_a_time(*models: str, ttl_seconds: float = 0.0) -> Policy:
    return Policy(
        Groups({"default": Group()}, dict.fromkeys(models, "default")),
        {model: ModelPolicy(ttl_seconds=ttl_seconds) for model in models},
    )


def play(policy: Policy, *conversation: tuple[float, Event, list[Order]]) -> Scheduler:
    scheduler = Scheduler(policy)
    for now, event, expected in conversation:
        assert scheduler.handle(event, now) == expected, event
    return scheduler


def test_while_starts_are_held_who_is_ready_serves_and_nobody_is_started_or_stopped() -> None:
    play(
        one_at_a_time("qwen", "phi", ttl_seconds=10.0),
        (0, Arrived(1, "qwen"), [Start("qwen")]),
        (1, Ready("qwen"), [Serve(1)]),
        (2, StartsHeld(held=True), []),
        (3, Arrived(2, "qwen"), [Serve(2)]),
        (3, Arrived(3, "phi"), []),
        (4, Finished(1), []),
        (4, Finished(2), []),
        (60, TimePassed(), []),
        (61, StartsHeld(held=False), [Stop("qwen", StopReason.TTL)]),
        (62, Ended("qwen"), [Start("phi")]),
    )


def test_no_deadline_is_near_while_starts_are_held() -> None:
    scheduler = Scheduler(one_at_a_time("qwen", ttl_seconds=10.0))
    for now, event in ((0, Arrived(1, "qwen")), (1, Ready("qwen")), (2, Finished(1)), (3, StartsHeld(held=True))):
        scheduler.handle(event, now)
    scheduler.handle(TimePassed(), 20)
    assert scheduler.next_deadline() is None


def test_an_end_of_claracore_does_not_wait_for_who_holds_starts() -> None:
    play(
        one_at_a_time("qwen"),
        (0, Arrived(1, "qwen"), [Start("qwen")]),
        (1, Ready("qwen"), [Serve(1)]),
        (2, StartsHeld(held=True), []),
        (3, Finished(1), []),
        (4, ShutdownAsked(30.0), [Stop("qwen", StopReason.SHUTDOWN)]),
    )


def test_a_server_that_was_inherited_is_ready_and_busy_with_what_the_other_process_answers() -> None:
    play(
        one_at_a_time("qwen", "phi", ttl_seconds=10.0),
        (0, Inherited("qwen", (1, 2), 0.0, 3.0), []),
        (0, Arrived(3, "qwen"), [Serve(3)]),
        (1, Arrived(4, "phi"), []),
        (2, Finished(3), []),
        (2, Finished(1), []),
        (3, Finished(2), [Stop("qwen", EVICTED)]),
        (4, Ended("qwen"), [Start("phi")]),
    )


def test_a_server_that_was_inherited_goes_on_being_idle() -> None:
    play(
        one_at_a_time("qwen", ttl_seconds=10.0),
        (100, Inherited("qwen", (), 8.0), []),
        (101, TimePassed(), []),
        (102, TimePassed(), [Stop("qwen", StopReason.TTL)]),
    )


def test_a_server_that_was_inherited_and_has_changed_is_started_again_after_its_answers() -> None:
    changed = one_at_a_time("qwen")
    play(
        one_at_a_time("qwen", "gone"),
        (0, Inherited("qwen", (1,)), []),
        (0, Reconfigured(changed, frozenset({"qwen"})), []),
        (1, Arrived(2, "qwen"), []),
        (2, Finished(1), [Stop("qwen", StopReason.CHANGED)]),
        (3, Ended("qwen"), [Start("qwen")]),
        (4, Ready("qwen"), [Serve(2)]),
    )


def test_a_server_that_was_inherited_asleep_is_woken_by_a_request() -> None:
    scheduler = play(one_at_a_time("qwen"), (0, Inherited("qwen", sleeps=True), []))
    assert (scheduler.slots["qwen"].state, scheduler.slots["qwen"].nap) == (ModelState.READY, Nap.ASLEEP)
    assert scheduler.handle(Arrived(1, "qwen"), 1) == [Wake("qwen")]
    assert scheduler.handle(Ready("qwen"), 2) == [Serve(1)]
