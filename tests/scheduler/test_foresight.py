"""Nobody goes for a model whose start is sure to fail: left what happens, right what is ordered."""

from __future__ import annotations

from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Finished,
    LookAhead,
    LookedAhead,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Serve,
    Start,
    Stop,
    StopReason,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.obstacle import Cause, Obstacle
from scheduler.test_core import EVICTED, Play, one_at_a_time

FAILED = RefuseReason.FAILED


def playing() -> Play:
    """Return a stage on which `phi` runs, idle, and only one of three may."""
    play = Play(one_at_a_time("phi", "qwen", "gemma", foreseeable=True, queue_timeout_seconds=60.0))
    play(
        (Arrived(1, "phi"), [Start("phi")]),  # nobody is in the way: it is simply started
        (Ready("phi"), [Serve(1)]),
        (Finished(1), []),
    )
    return play


def test_what_runs_goes_only_when_the_start_may_succeed() -> None:
    playing()(
        (Arrived(2, "qwen"), [LookAhead("qwen")]),
        (Arrived(3, "qwen"), []),
        (LookedAhead("qwen", fails=False), [Stop("phi", EVICTED)]),
        (Ended("phi"), [Start("qwen")]),
        (Ready("qwen"), [Serve(2), Serve(3)]),
    )


def test_what_runs_stays_for_a_start_that_is_sure_to_fail_by_hand_as_well() -> None:
    play = playing()
    play(
        (Arrived(2, "qwen"), [LookAhead("qwen")]),
        (LookedAhead("qwen", fails=True), [Refuse(2, FAILED)]),
        (Arrived(3, "qwen"), [Refuse(3, FAILED)]),
        (Arrived(4, "qwen", by_hand=True), [LookAhead("qwen")]),
        (LookedAhead("qwen", fails=True), [Refuse(4, FAILED)]),
        (Arrived(5, "phi"), [Serve(5)]),
    )
    failing = play.scheduler.failing("qwen", play.now)
    assert failing is not None
    assert failing.times == 2


def test_a_busy_model_is_not_held_back_for_it_and_it_is_looked_at_again_when_it_waited_long() -> None:
    play = playing()
    play(
        (Arrived(2, "phi"), [Serve(2)]),
        (Arrived(3, "qwen"), [LookAhead("qwen")]),
        (LookedAhead("qwen", fails=False), []),
    )
    play((Arrived(4, "phi"), [Serve(4)]))
    play.after(5)((TimePassed(), [LookAhead("qwen")]))
    play.after(0.1)((Arrived(5, "phi"), []), (LookedAhead("qwen", fails=False), []))  # it has waited for its patience
    play.after(5)((Finished(2), [LookAhead("qwen")]))
    play.after(0.1)((LookedAhead("qwen", fails=True), [Refuse(3, FAILED), Serve(5)]))


def test_who_has_something_large_fetched_is_in_nobodys_way_and_its_time_does_not_run() -> None:
    play = playing()
    play((Arrived(2, "qwen"), [LookAhead("qwen")]))
    assert play.scheduler.obstacle("qwen", play.now) is None
    assert play.scheduler.obstacle("qwen", play.now + 1) == Obstacle(Cause.PREPARING)
    assert play.scheduler.next_deadline() == play.now + 1.0
    play.after(100)((TimePassed(), []), (Arrived(3, "gemma"), [LookAhead("gemma")]))
    play(
        (LookedAhead("gemma", fails=False), [Stop("phi", EVICTED)]),
        (Ended("phi"), [Start("gemma")]),
        (Ready("gemma"), [Serve(3)]),
        (LookedAhead("qwen", fails=False), []),
        (Finished(3), [Stop("gemma", EVICTED)]),
        (Ended("gemma"), [Start("qwen")]),
    )


def test_one_whose_way_is_free_meanwhile_is_started_and_a_late_look_changes_nothing() -> None:
    playing()(
        (Arrived(2, "qwen"), [LookAhead("qwen")]),
        (UnloadAsked(("phi",)), [Stop("phi", StopReason.UNLOADED)]),
        (Ended("phi"), []),  # it has been looked at for long: something is fetched
        (UnloadAsked(("qwen",)), [Refuse(2, RefuseReason.UNLOADED)]),
    )
    play = playing()
    play((Arrived(2, "qwen"), [LookAhead("qwen")]))
    play.after(0.1)((UnloadAsked(("phi",)), [Stop("phi", StopReason.UNLOADED)]))
    play.after(0.1)((Ended("phi"), [Start("qwen")]))
    play(
        (LookedAhead("qwen", fails=True), []),
        (Ready("qwen"), [Serve(2)]),
    )


def test_unloading_ends_what_is_fetched_and_another_configuration_is_looked_at_anew() -> None:
    play = playing()
    play(
        (Arrived(2, "qwen"), [LookAhead("qwen")]),
        (UnloadAsked(("qwen",)), [Refuse(2, RefuseReason.UNLOADED)]),
        (LookedAhead("qwen", fails=True), []),
        (Arrived(3, "qwen"), [LookAhead("qwen")]),
    )
    policy = one_at_a_time("phi", "qwen", "gemma", foreseeable=True)
    play((Reconfigured(policy), [LookAhead("qwen")]), (LookedAhead("qwen", fails=True), [Refuse(3, FAILED)]))


def test_unloading_refuses_who_waits_in_the_queue_as_well() -> None:
    play = playing()
    play(
        (Arrived(2, "phi"), [Serve(2)]),
        (Arrived(3, "qwen"), [LookAhead("qwen")]),
        (LookedAhead("qwen", fails=False), []),
        (UnloadAsked(("qwen",)), [Refuse(3, RefuseReason.UNLOADED)]),
        (Finished(2), []),
    )
