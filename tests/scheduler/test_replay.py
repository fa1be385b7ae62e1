"""What the scheduler makes of a record, with reasons; and the record as a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Finished,
    Lost,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Serve,
    Start,
    Stop,
    StopReason,
)
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.policy import ModelPolicy, Policy
from claracore.core.scheduler.record import Begun, Recorded
from claracore.core.scheduler.replay import ModelQueue, NoPolicy, Recording, as_test, replay, runs
from claracore.types import ModelState

STOPPED, STARTING, READY, STOPPING = ModelState.STOPPED, ModelState.STARTING, ModelState.READY, ModelState.STOPPING
CHANGED = (Stop("b", StopReason.CHANGED),)
POLICY = Policy(Groups({"g": Group()}, {"a": "g", "b": "g"}), {"a": ModelPolicy(), "b": ModelPolicy()})
SWAP = Recording(
    POLICY,
    (
        Recorded(2, 1.0, Arrived(1, "a"), (Start("a"),)),
        Recorded(3, 2.0, Ready("a"), (Serve(1),)),
        Recorded(4, 3.0, Arrived(2, "b"), ()),
        Recorded(5, 4.0, Finished(1), (Stop("a", StopReason.EVICTED),)),
        Recorded(6, 5.0, Ended("a"), (Start("b"),)),
    ),
)


def test_a_swap_is_told_with_states_and_reasons() -> None:
    told = [(its.moved, its.waiting) for its in replay(SWAP)]
    assert told == [
        ((("a", STOPPED, STARTING),), (ModelQueue("a", (1,), Obstacle(Cause.LOADING)),)),
        ((("a", STARTING, READY),), ()),
        ((), (ModelQueue("b", (2,), Obstacle(Cause.ANSWERS, ("a",))),)),
        ((("a", READY, STOPPING),), (ModelQueue("b", (2,), Obstacle(Cause.UNLOADING, ("a",))),)),
        ((("a", STOPPING, STOPPED), ("b", STOPPED, STARTING)), (ModelQueue("b", (2,), Obstacle(Cause.LOADING)),)),
    ]


def test_other_orders_than_the_record_has_are_told() -> None:
    cut = replace(SWAP.records[2], orders=(Stop("a", StopReason.EVICTED),))
    differing = [its for its in replay(replace(SWAP, records=(*SWAP.records[:2], cut))) if its.differs]
    assert [(its.record.line, its.orders) for its in differing] == [(4, ())]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Ready("b"), "the model 'b' is stopped here"),
        (Ended("b"), "the model 'b' is stopped here"),
        (Ready("c"), "there is no model 'c' here"),
        (Lost("c"), "there is no model 'c' here"),
    ],
)
def test_an_event_that_cannot_happen_here_ends_the_replay(event: Ready | Ended | Lost, why: str) -> None:
    told = list(replay(replace(SWAP, records=(Recorded(9, 0.5, event, ()), *SWAP.records))))
    assert [(its.impossible, its.differs) for its in told] == [(why, True)]


def test_each_server_that_wrote_into_the_log_is_a_run_of_its_own() -> None:
    other = replace(POLICY, patience_seconds=1.0)
    first, second = SWAP.records[:2], SWAP.records[:1]
    found = runs([Begun(1, 0.0, POLICY), *first, Begun(1, 7.0, other), *(replace(its, now=8.0) for its in second)])
    assert [(run.policy, len(run.records)) for run in found] == [(POLICY, 2), (other, 1)]


def test_a_run_without_a_beginning_takes_the_configuration_that_is_named() -> None:
    first, second = SWAP.records[:2], SWAP.records[:1]
    with pytest.raises(NoPolicy, match=r"line 2: .*--config FILE"):
        runs(first)
    assert runs([*first, *second], POLICY) == [Recording(POLICY, first), Recording(POLICY, second)]
    with pytest.raises(NoPolicy, match="line 2"):  # the clock went backwards: another one
        runs([Begun(1, 0.0, POLICY), *first, *second])


def test_the_record_as_a_test_passes_here_and_fails_when_an_order_is_another() -> None:
    refused = Recorded(9, 6.5, Arrived(3, "zo'\"e"), (Refuse(3, RefuseReason.REMOVED),))
    again = Recorded(8, 6.0, Reconfigured(replace(POLICY, aging_seconds=float("inf")), frozenset({"b"})), CHANGED)
    good = replace(SWAP, records=(*SWAP.records, again, refused))
    text = as_test([good, SWAP])
    assert text.count("def test_run_") == 2
    run(text)
    wrong = replace(SWAP, records=(replace(SWAP.records[0], orders=()),))
    with pytest.raises(AssertionError, match="Arrived"):
        run(as_test([wrong]))


def run(text: str) -> None:
    names: dict[str, object] = {}
    exec(compile(text, "test_recorded.py", "exec"), names)  # noqa: S102 - what a person does with the file
    for name, test in names.items():
        if name.startswith("test_"):
            assert callable(test)
            test()
