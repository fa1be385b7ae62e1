"""Transcripts: left what happens, right what is ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from claracore.core.config.matrix import BadExpression, read_sets
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Died,
    Ended,
    Event,
    FilesChanged,
    Finished,
    KeepAsked,
    Lost,
    Order,
    Pinned,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    Serve,
    ShutdownAsked,
    Start,
    Stop,
    StopReason,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.scheduler.slot import FOREVER
from claracore.types import ModelState

EVICTED = StopReason.EVICTED


def policy(
    members: Mapping[str, str], groups: Mapping[str, Group] | None = None, patience: float = 5.0, **each: Any
) -> Policy:
    groups = groups or {name: Group() for name in members.values()}
    return Policy(Groups(groups, members), {model: ModelPolicy(**each) for model in members}, patience_seconds=patience)


def one_at_a_time(*models: str, **each: Any) -> Policy:
    return policy(dict.fromkeys(models, "default"), **each)


def matrix(models: str, **sets: str) -> Policy:
    """A matrix of models with names of one letter."""
    read = read_sets(sets, {}, models)
    parts = tuple(found for found in read.values() if not isinstance(found, BadExpression))
    return Policy(Matrix(parts), {model: ModelPolicy() for model in models})


class Play:
    """Hand in events one after another, a second apart unless told otherwise."""

    def __init__(self, policy: Policy) -> None:
        self.scheduler = Scheduler(policy)
        self.now = 100.0

    def __call__(self, *conversation: tuple[Event, list[Order]]) -> None:
        for event, expected in conversation:
            self.now += 1
            assert self.scheduler.handle(event, self.now) == expected, event

    def after(self, seconds: float) -> Play:
        self.now += seconds - 1
        return self

    def state(self, model: str) -> ModelState:
        return self.scheduler.slots[model].state


def test_a_cold_model_is_started_once_for_two_requests() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Arrived(2, "qwen"), []),
        (Ready("qwen"), [Serve(1), Serve(2)]),
        (Arrived(3, "qwen"), [Serve(3)]),
    )


def test_a_busy_model_finishes_before_it_is_swapped_out() -> None:
    Play(one_at_a_time("qwen", "phi"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "phi"), []),
        (Finished(1), [Stop("qwen", EVICTED)]),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
    )


def test_an_idle_model_is_swapped_out_at_once() -> None:
    Play(one_at_a_time("qwen", "phi"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), []),
        (Arrived(2, "phi"), [Stop("qwen", EVICTED)]),
        (Arrived(3, "phi"), []),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2), Serve(3)]),
    )


def test_a_request_for_a_model_that_is_stopping_waits_and_restarts_it() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), []),
        (UnloadAsked(("qwen",)), [Stop("qwen", StopReason.UNLOADED)]),
        (Arrived(2, "qwen"), []),
        (Ended("qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(2)]),
    )


def test_a_busy_model_takes_new_requests_only_as_long_as_the_waiting_one_is_patient() -> None:
    play = Play(one_at_a_time("qwen", "phi", patience=5.0))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "phi"), []),
        (Arrived(3, "qwen"), [Serve(3)]),
    )
    assert play.scheduler.next_deadline() == 108.0
    play.after(4)((TimePassed(), []), (Arrived(4, "qwen"), []), (Finished(1), []))
    play(
        (Finished(3), [Stop("qwen", EVICTED)]),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
        (Finished(2), [Stop("phi", EVICTED)]),
        (Ended("phi"), [Start("qwen")]),
        (Ready("qwen"), [Serve(4)]),
    )


def test_a_model_takes_requests_again_when_the_insisting_client_leaves() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Arrived(2, "phi"), []))
    play.after(6)((TimePassed(), []))
    play((Arrived(3, "qwen"), []), (Finished(2), [Serve(3)]), (Arrived(4, "qwen"), [Serve(4)]))


def test_a_load_that_nobody_waits_for_is_cancelled_when_another_is_queued() -> None:
    Play(one_at_a_time("qwen", "phi"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Arrived(2, "phi"), []),
        (Finished(1), [Stop("qwen", StopReason.UNWANTED)]),
        (Ready("qwen"), []),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
    )


def test_a_load_that_nobody_waits_for_goes_on_when_nothing_else_is_queued() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Finished(1), []),
        (Ready("qwen"), []),
        (Arrived(2, "qwen"), [Serve(2)]),
    )


def test_a_failed_load_refuses_everybody_who_waited_and_lets_the_next_in_line_start() -> None:
    Play(one_at_a_time("qwen", "phi"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Arrived(2, "qwen"), []),
        (Arrived(3, "phi"), []),
        (Ended("qwen"), [Refuse(1, RefuseReason.FAILED), Refuse(2, RefuseReason.FAILED), Start("phi")]),
    )


def test_a_model_whose_start_failed_is_not_started_again_by_requests_for_a_while() -> None:
    play = Play(one_at_a_time("qwen"))
    failed: list[Order] = [Refuse(1, RefuseReason.FAILED)]
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ended("qwen"), failed))
    for seconds in (5, 10, 20, 40, 60, 60):
        play((Arrived(1, "qwen"), failed))
        play.after(seconds - 2)((Arrived(1, "qwen"), failed))
        play.after(1)((Arrived(1, "qwen"), [Start("qwen")]), (Ended("qwen"), failed))
    play.after(60)((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    play((Ended("qwen"), []), (Arrived(1, "qwen"), [Start("qwen")]), (Ended("qwen"), failed))
    play.after(5)((Arrived(1, "qwen"), [Start("qwen")]))


def test_a_failed_start_is_no_reason_to_refuse_who_waits_for_another_model() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ended("qwen"), [Refuse(1, RefuseReason.FAILED)]))
    play((Arrived(2, "phi"), [Start("phi")]), (Arrived(3, "qwen"), [Refuse(3, RefuseReason.FAILED)]))


def test_a_person_a_changed_configuration_and_a_changed_file_try_at_once() -> None:
    its = one_at_a_time("qwen")
    play = Play(its)
    failed: tuple[Event, list[Order]] = (Ended("qwen"), [Refuse(1, RefuseReason.FAILED)])
    refused: tuple[Event, list[Order]] = (Arrived(1, "qwen"), [Refuse(1, RefuseReason.FAILED)])
    play((Arrived(1, "qwen"), [Start("qwen")]), failed, refused)
    play((Arrived(1, "qwen", by_hand=True), [Start("qwen")]), failed, refused)
    failing = play.scheduler.failing("qwen", play.now)
    assert failing is not None
    assert (failing.times, failing.retry_at - failing.at) == (2, 10.0), "a person's try counts like any other"
    play((Reconfigured(its), []), (Arrived(1, "qwen"), [Start("qwen")]), failed, refused)
    play((FilesChanged("qwen"), []), (Arrived(1, "qwen"), [Start("qwen")]), failed, refused)


def test_requests_wait_with_a_person_for_another_try() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ended("qwen"), [Refuse(1, RefuseReason.FAILED)]))
    play((Arrived(2, "phi"), [Start("phi")]), (Arrived(3, "qwen", by_hand=True), []), (Arrived(4, "qwen"), []))
    play((Ready("phi"), [Serve(2)]), (Finished(2), [Stop("phi", EVICTED)]), (Ended("phi"), [Start("qwen")]))
    play((Ready("qwen"), [Serve(3), Serve(4)]))


def test_a_crashed_model_is_started_again_by_the_next_request() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Ended("qwen"), []),
        (Finished(1), []),
        (Arrived(2, "qwen"), [Start("qwen")]),
    )


def test_a_model_that_crashes_while_requests_wait_for_their_turn_is_started_for_them() -> None:
    Play(one_at_a_time("qwen", concurrency=1))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "qwen"), []),
        (Ended("qwen"), [Start("qwen")]),
        (Finished(1), []),
        (Ready("qwen"), [Serve(2)]),
    )


def test_concurrency_makes_requests_wait_instead_of_refusing_them() -> None:
    Play(one_at_a_time("qwen", concurrency=1))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "qwen"), []),
        (Arrived(3, "qwen"), []),
        (Finished(1), [Serve(2)]),
        (Finished(2), [Serve(3)]),
    )


def test_the_queue_is_bounded() -> None:
    Play(one_at_a_time("qwen", queue_limit=1))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Arrived(2, "qwen"), [Refuse(2, RefuseReason.QUEUE_FULL)]),
    )


def test_a_request_that_waits_too_long_for_its_turn_is_refused() -> None:
    play = Play(one_at_a_time("qwen", "phi", queue_timeout_seconds=3.0))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Arrived(2, "phi"), []))
    assert play.scheduler.next_deadline() == 106.0
    play.after(3)((TimePassed(), [Refuse(2, RefuseReason.TIMED_OUT)]))


def test_the_time_in_which_its_model_is_loaded_is_no_waiting_for_a_turn() -> None:
    play = Play(one_at_a_time("qwen", "phi", queue_timeout_seconds=8.0, concurrency=1))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Arrived(2, "phi"), []))
    play.after(4)((Finished(1), [Stop("qwen", EVICTED)]), (Arrived(3, "phi"), []), (Ended("qwen"), [Start("phi")]))
    play.after(3600)((TimePassed(), []), (Arrived(4, "phi"), []), (Ready("phi"), [Serve(2)]))
    assert play.scheduler.next_deadline() == play.now + 7, "request 3 had waited for a second before the load"
    play.after(7)((TimePassed(), [Refuse(3, RefuseReason.TIMED_OUT)]))
    play((TimePassed(), [Refuse(4, RefuseReason.TIMED_OUT)]))


def test_a_load_that_a_change_interrupts_is_no_waiting_for_a_turn() -> None:
    its = one_at_a_time("qwen", queue_timeout_seconds=5.0)
    play = Play(its)
    play((Arrived(1, "qwen"), [Start("qwen")]))
    play.after(60)((Reconfigured(its, frozenset({"qwen"})), [Stop("qwen", StopReason.CHANGED)]), (Ready("qwen"), []))
    play.after(2)((TimePassed(), []), (Ended("qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]))


def test_an_idle_model_is_stopped_after_its_ttl_counted_from_the_end_of_the_last_answer() -> None:
    play = Play(one_at_a_time("qwen", ttl_seconds=10.0))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]))
    play.after(20)((TimePassed(), []))
    play((Finished(1), []))
    assert play.scheduler.next_deadline() == play.now + 10
    play.after(5)((Arrived(2, "qwen"), [Serve(2)]))
    play((Finished(2), []))
    play.after(9)((TimePassed(), []))
    play.after(1)((TimePassed(), [Stop("qwen", StopReason.TTL)]))


def test_an_unload_lets_answers_finish_but_not_forever() -> None:
    play = Play(one_at_a_time("qwen", drain_seconds=10.0))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (UnloadAsked(("qwen",)), []),
        (Arrived(2, "qwen"), []),
    )
    play.after(9)((TimePassed(), [Stop("qwen", StopReason.UNLOADED)]))
    play((Finished(1), []), (Ended("qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(2)]))


def test_an_unload_of_a_loading_model_refuses_those_who_wait_for_it() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (UnloadAsked(("qwen",)), [Refuse(1, RefuseReason.UNLOADED), Stop("qwen", StopReason.UNLOADED)]),
    )


def test_an_unload_never_blocks_requests_for_other_models() -> None:
    Play(policy({"qwen": "a", "phi": "b"}, {"a": Group(exclusive=False), "b": Group(exclusive=False)}))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (UnloadAsked(("qwen",)), []),
        (Arrived(2, "phi"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
    )


def test_members_of_a_group_without_swap_run_side_by_side() -> None:
    Play(policy({"qwen": "all", "phi": "all"}, {"all": Group(swap=False)}))(
        (Arrived(1, "qwen"), [Start("qwen")]), (Arrived(2, "phi"), [Start("phi")])
    )


def test_a_persistent_group_is_not_stopped_by_an_exclusive_one() -> None:
    groups = {"big": Group(), "embed": Group(swap=False, exclusive=False, persistent=True), "other": Group()}
    play = Play(policy({"qwen": "big", "bge": "embed", "phi": "other"}, groups))
    play((Arrived(1, "bge"), [Start("bge")]), (Ready("bge"), [Serve(1)]), (Finished(1), []))
    play((Arrived(2, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(2)]), (Finished(2), []))
    play((Arrived(3, "phi"), [Stop("qwen", EVICTED)]), (Ended("qwen"), [Start("phi")]))


def test_evictees_are_stopped_all_together_or_not_at_all() -> None:
    groups = {"small": Group(swap=False, exclusive=False), "big": Group()}
    Play(policy({"a": "small", "b": "small", "big": "big"}, groups))(
        (Arrived(1, "a"), [Start("a")]),
        (Arrived(2, "b"), [Start("b")]),
        (Ready("a"), [Serve(1)]),
        (Ready("b"), [Serve(2)]),
        (Finished(1), []),
        (Arrived(3, "big"), []),
        (Arrived(4, "a"), [Serve(4)]),
        (Finished(4), []),
        (Finished(2), [Stop("a", EVICTED), Stop("b", EVICTED)]),
        (Ended("b"), []),
        (Ended("a"), [Start("big")]),
    )


def test_a_younger_model_may_not_take_the_place_that_an_older_one_is_getting() -> None:
    Play(one_at_a_time("a", "b", "c"))(
        (Arrived(1, "a"), [Start("a")]),
        (Ready("a"), [Serve(1)]),
        (Arrived(2, "b"), []),
        (Arrived(3, "c"), []),
        (Finished(1), [Stop("a", EVICTED)]),
        (Arrived(4, "a"), []),
        (Ended("a"), [Start("b")]),
        (Ready("b"), [Serve(2)]),
        (Finished(2), [Stop("b", EVICTED)]),
        (Ended("b"), [Start("c")]),
    )


def test_a_younger_model_may_not_start_where_two_ahead_of_it_leave_no_place_for_it() -> None:
    """Each two of a, b and c get along, all three do not: that is seen only when everybody ahead is thought of."""
    its = matrix("abcx", ab="a & b", bc="b & c", ac="a & c", xc="x & c")
    play = Play(its)
    play((Arrived(1, "x"), [Start("x")]), (Ready("x"), [Serve(1)]), (Arrived(2, "a"), []), (Arrived(3, "b"), []))
    play.after(6)((TimePassed(), []), (Arrived(4, "c"), []))
    play((Finished(1), [Stop("x", EVICTED)]), (Ended("x"), [Start("a"), Start("b")]))
    play((Ready("a"), [Serve(2)]), (Ready("b"), [Serve(3)]), (Finished(2), [Stop("a", EVICTED)]))
    play((Ended("a"), [Start("c")]))


def test_a_younger_model_may_not_start_where_one_that_comes_back_would_stop_it_again() -> None:
    """It gets along with a model that is ending, which does not get along with it once it is there again."""
    groups = {"alone": Group(), "beside": Group(exclusive=False)}
    play = Play(policy({"a": "alone", "b": "beside"}, groups))
    play((Arrived(1, "a"), [Start("a")]), (Ready("a"), [Serve(1)]), (Finished(1), []))
    play((UnloadAsked(("a",)), [Stop("a", StopReason.UNLOADED)]), (Arrived(2, "a"), []), (Arrived(3, "b"), []))
    play((Ended("a"), [Start("a"), Start("b")]))


def test_priority_goes_first_until_age_does() -> None:
    models = {"a": ModelPolicy(), "low": ModelPolicy(), "high": ModelPolicy(priority=9)}
    rule = Groups({"g": Group()}, dict.fromkeys(models, "g"))
    play = Play(Policy(rule, models, aging_seconds=30))
    play((Arrived(1, "a"), [Start("a")]), (Ready("a"), [Serve(1)]), (Arrived(2, "low"), []), (Arrived(3, "high"), []))
    play((Finished(1), [Stop("a", EVICTED)]), (Ended("a"), [Start("high")]), (Ready("high"), [Serve(3)]))
    play.after(30)((TimePassed(), []), (Arrived(4, "high"), []))
    play((Finished(3), [Stop("high", EVICTED)]), (Ended("high"), [Start("low")]))


def test_a_changed_model_that_is_loaded_drains_and_is_ready_again_without_being_asked() -> None:
    before = one_at_a_time("qwen")
    Play(before)(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Reconfigured(before, frozenset({"qwen"})), []),
        (Finished(1), [Stop("qwen", StopReason.CHANGED)]),
        (Ended("qwen"), [Start("qwen")]),
        (Ready("qwen"), []),
    )


def test_a_changed_model_that_is_not_loaded_is_not_started() -> None:
    before = one_at_a_time("qwen")
    Play(before)((Reconfigured(before, frozenset({"qwen"})), []))


def test_a_changed_model_does_not_take_its_place_back_from_another() -> None:
    before = one_at_a_time("qwen", "phi")
    play = Play(before)
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "phi"), []),
        (Reconfigured(before, frozenset({"qwen"})), []),
        (Finished(1), [Stop("qwen", StopReason.CHANGED)]),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
        (Finished(2), []),
    )


def test_an_unchanged_configuration_disturbs_nothing() -> None:
    before = one_at_a_time("qwen", ttl_seconds=60.0)
    play = Play(before)
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    deadline = play.scheduler.next_deadline()
    play((Reconfigured(one_at_a_time("qwen", ttl_seconds=60.0)), []))
    assert play.scheduler.next_deadline() == deadline


def test_a_removed_model_drains_and_stops_and_those_who_wait_are_told() -> None:
    play = Play(one_at_a_time("qwen", "phi", concurrency=1))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "qwen"), []),
        (Reconfigured(one_at_a_time("phi")), [Refuse(2, RefuseReason.REMOVED)]),
        (Arrived(3, "qwen"), [Refuse(3, RefuseReason.REMOVED)]),
        (Arrived(4, "phi"), []),
        (Finished(1), [Stop("qwen", StopReason.REMOVED)]),
        (Ended("qwen"), [Start("phi")]),
    )
    assert "qwen" not in play.scheduler.slots


def test_a_model_that_comes_back_while_it_drains_is_started_anew() -> None:
    both, one = one_at_a_time("qwen", "phi"), one_at_a_time("phi")
    Play(both)(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Reconfigured(one), []),
        (Reconfigured(both), []),
        (Finished(1), [Stop("qwen", StopReason.CHANGED)]),
        (Ended("qwen"), [Start("qwen")]),
    )


def test_a_model_that_was_removed_while_stopped_is_forgotten() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play((Reconfigured(one_at_a_time("phi")), []))
    assert list(play.scheduler.slots) == ["phi"]


def test_shutdown_refuses_waits_and_then_insists() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "phi"), []),
        (ShutdownAsked(10.0), [Refuse(2, RefuseReason.SHUTDOWN)]),
        (Arrived(3, "qwen"), [Refuse(3, RefuseReason.SHUTDOWN)]),
    )
    assert not play.scheduler.all_stopped
    play((ShutdownAsked(0.0), [Stop("qwen", StopReason.SHUTDOWN)]), (Finished(1), []), (Ended("qwen"), []))
    assert play.scheduler.all_stopped


def test_a_pinned_model_gives_way_to_nobody_and_outlives_its_ttl() -> None:
    play = Play(one_at_a_time("qwen", "phi", ttl_seconds=5.0))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    play((Pinned("qwen", pinned=True), []))
    play.after(10)((TimePassed(), []), (Arrived(2, "phi"), [Refuse(2, RefuseReason.PINNED)]))
    play((Pinned("qwen", pinned=False), [Stop("qwen", StopReason.TTL)]))


def test_unloading_a_pinned_model_is_a_persons_word_against_another() -> None:
    play = Play(one_at_a_time("qwen"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    play((Pinned("qwen", pinned=True), []), (UnloadAsked(("qwen",)), [Stop("qwen", StopReason.UNLOADED)]))


def test_position_tells_the_place_in_the_queue() -> None:
    play = Play(one_at_a_time("qwen"))
    play((Arrived(7, "qwen"), [Start("qwen")]), (Arrived(8, "qwen"), []))
    assert [play.scheduler.position(request) for request in (7, 8, 9)] == [1, 2, None]


def test_an_unknown_model_is_refused_not_a_crash() -> None:
    Play(one_at_a_time("qwen"))((Arrived(1, "nope"), [Refuse(1, RefuseReason.REMOVED)]), (Finished(99), []))


@pytest.mark.parametrize("event", [Ready("qwen"), Ended("qwen")])
def test_an_impossible_transition_is_a_bug_and_says_so(event: Event) -> None:
    with pytest.raises(ValueError, match="stopped"):
        Scheduler(one_at_a_time("qwen")).handle(event, 0.0)


LOST = StopReason.LOST


def test_a_model_that_lost_its_listener_is_stopped_and_started_for_those_who_come() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), []),
        (Lost("qwen"), [Stop("qwen", LOST)]),
        (Arrived(2, "qwen"), []),
        (Ended("qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(2)]),
    )


def test_a_model_that_lost_its_listener_is_not_started_again_for_nobody() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), []),
        (Lost("qwen"), [Stop("qwen", LOST)]),
        (Ended("qwen"), []),
    )


def test_a_request_that_found_nobody_goes_ahead_of_those_who_came_later() -> None:
    Play(one_at_a_time("qwen", concurrency=1))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Arrived(2, "qwen"), []),
        (Lost("qwen"), []),
        (Returned(1, "qwen"), [Stop("qwen", LOST)]),
        (Ended("qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), [Serve(2)]),
    )


def test_answers_under_way_may_end_when_a_listener_is_lost_until_their_time_is_up() -> None:
    play = Play(one_at_a_time("qwen", drain_seconds=10.0))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Lost("qwen"), []),
        (Arrived(2, "qwen"), []),
    )
    play.after(10.0)(
        (TimePassed(), [Stop("qwen", LOST)]), (Ended("qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(2)])
    )


def test_a_request_may_come_back_when_its_server_is_gone_already() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Ended("qwen"), []),
        (Returned(1, "qwen"), [Start("qwen")]),
        (Lost("qwen"), []),
        (Ready("qwen"), [Serve(1)]),
    )


def test_who_comes_back_while_the_rest_of_a_dead_server_ends_waits_for_the_next_one() -> None:
    """It may have had helpers that take a while to go; until then nobody is sent to where it was."""
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Died("qwen"), []),
        (Returned(1, "qwen"), []),
        (Arrived(2, "qwen"), []),
        (Ended("qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1), Serve(2)]),
    )


def test_a_server_that_dies_when_it_is_to_stop_is_stopping_as_it_was() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Finished(1), []),
        (UnloadAsked(("qwen",)), [Stop("qwen", StopReason.UNLOADED)]),
        (Died("qwen"), []),
        (Ended("qwen"), []),
    )


def test_who_comes_back_after_the_next_start_has_failed_starts_it_no_more_than_others() -> None:
    Play(one_at_a_time("qwen"))(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Ended("qwen"), []),
        (Arrived(2, "qwen"), [Start("qwen")]),
        (Ended("qwen"), [Refuse(2, RefuseReason.FAILED)]),
        (Returned(1, "qwen"), [Refuse(1, RefuseReason.FAILED)]),
    )


def test_a_request_that_comes_back_to_a_model_that_is_no_more_is_refused() -> None:
    play = Play(one_at_a_time("qwen", "phi"))
    play(
        (Arrived(1, "qwen"), [Start("qwen")]),
        (Ready("qwen"), [Serve(1)]),
        (Reconfigured(one_at_a_time("phi")), []),
        (Returned(1, "qwen"), [Refuse(1, RefuseReason.REMOVED), Stop("qwen", StopReason.REMOVED)]),
        (Arrived(2, "phi"), []),
        (Ended("qwen"), [Start("phi")]),
        (Ready("phi"), [Serve(2)]),
        (ShutdownAsked(5.0), []),
        (Returned(2, "phi"), [Refuse(2, RefuseReason.SHUTDOWN), Stop("phi", StopReason.SHUTDOWN)]),
    )


def test_who_uses_a_model_says_for_how_long_its_server_stays() -> None:
    play = Play(one_at_a_time("qwen", ttl_seconds=60.0))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (KeepAsked("qwen", 5.0), []))
    play((Finished(1), []))
    assert play.scheduler.next_deadline() == play.now + 5.0
    play.after(4)((TimePassed(), []))
    play.after(1)((TimePassed(), [Stop("qwen", StopReason.TTL)]))


def test_kept_for_no_time_a_model_goes_when_its_answers_are_done() -> None:
    play = Play(one_at_a_time("qwen"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Arrived(2, "qwen"), [Serve(2)]))
    play((KeepAsked("qwen", 0.0), []), (Finished(1), []), (Finished(2), []))
    assert play.scheduler.next_deadline() == play.now
    play((TimePassed(), [Stop("qwen", StopReason.TTL)]))


def test_an_idle_model_goes_at_once_when_it_is_kept_no_longer() -> None:
    play = Play(one_at_a_time("qwen"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    play((KeepAsked("qwen", 0.0), [Stop("qwen", StopReason.TTL)]))


def test_kept_forever_a_model_outlives_its_ttl_and_still_gives_way() -> None:
    play = Play(one_at_a_time("qwen", "phi", ttl_seconds=5.0))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (KeepAsked("qwen", FOREVER), []))
    play((Finished(1), []))
    assert play.scheduler.slots["qwen"].stays_until(play.now) == FOREVER
    play.after(10)((TimePassed(), []), (Arrived(2, "phi"), [Stop("qwen", StopReason.EVICTED)]))


def test_what_was_said_of_a_server_ends_with_it() -> None:
    play = Play(one_at_a_time("qwen", ttl_seconds=5.0))
    play((KeepAsked("qwen", FOREVER), []), (KeepAsked("unheard of", 0.0), []))  # nothing runs yet
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (KeepAsked("qwen", FOREVER), []))
    play((Ended("qwen"), []), (Finished(1), []))
    play((Arrived(2, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(2)]))
    assert play.scheduler.slots["qwen"].stays_until(play.now) == play.now + 5.0
    play((Finished(2), []))
    play.after(5)((TimePassed(), [Stop("qwen", StopReason.TTL)]))


def test_a_pinned_model_stays_whatever_who_uses_it_says() -> None:
    play = Play(one_at_a_time("qwen"))
    play((Arrived(1, "qwen"), [Start("qwen")]), (Ready("qwen"), [Serve(1)]), (Finished(1), []))
    play((Pinned("qwen", pinned=True), []), (KeepAsked("qwen", 0.0), []))
    assert play.scheduler.next_deadline() is None
