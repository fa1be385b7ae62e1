"""What an eviction rule is asked with: enough for one that counts bytes, without a change of the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Event,
    Finished,
    Order,
    Ready,
    Serve,
    Start,
    Stop,
    StopReason,
    TimePassed,
)
from claracore.core.scheduler.policy import ModelPolicy, Policy, Situation


@dataclass(frozen=True)
class Memory:
    """Room for so many bytes: who ends anyway goes first, then who has been idle longest, who is ahead last."""

    bytes_of: Mapping[str, int]
    budget_bytes: int
    asked: list[Situation] = field(default_factory=list, compare=False)

    def evictees(self, situation: Situation) -> frozenset[str]:
        self.asked.append(situation)
        used = sum(self.bytes_of[model] for model in (situation.target, *situation.running))
        gone: set[str] = set()
        for model in sorted(situation.running, key=lambda model: self.reluctance(situation, model)):
            if used <= self.budget_bytes:
                break
            gone.add(model)
            used -= self.bytes_of[model]
        return frozenset(gone)

    def reluctance(self, situation: Situation, model: str) -> tuple[bool, bool, float, str]:
        ends = model in situation.ending
        return not ends, model in situation.ahead, situation.idle_since.get(model, float("inf")), model


def scheduler_of(rule: Memory) -> Scheduler:
    return Scheduler(Policy(rule, {model: ModelPolicy() for model in rule.bytes_of}))


def play(scheduler: Scheduler, *steps: tuple[float, Event, list[Order]]) -> None:
    for now, event, orders in steps:
        assert scheduler.handle(event, now) == orders, event


def test_a_rule_by_memory_evicts_who_has_been_idle_longest() -> None:
    scheduler = scheduler_of(Memory({"a": 4, "b": 4, "c": 4}, 8))
    play(
        scheduler,
        (0.0, Arrived(1, "a"), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (1.0, Arrived(2, "b"), [Start("b")]),
        (2.0, Ready("b"), [Serve(2)]),
        (3.0, Finished(2), []),
        (4.0, Finished(1), []),
        (5.0, Arrived(3, "c"), [Stop("b", StopReason.EVICTED)]),
        (5.5, TimePassed(), []),  # one is enough, although b is not idle any more
        (6.0, Ended("b"), [Start("c")]),
    )


def test_who_answers_is_not_said_to_be_idle() -> None:
    rule = Memory({"a": 4, "b": 4, "c": 4}, 8)
    scheduler = scheduler_of(rule)
    play(
        scheduler,
        (0.0, Arrived(1, "a"), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (1.0, Arrived(2, "b"), [Start("b")]),
        (2.0, Ready("b"), [Serve(2)]),
        (3.0, Finished(2), []),
        (5.0, Arrived(3, "c"), [Stop("b", StopReason.EVICTED)]),
    )
    assert Situation("c", frozenset("ab"), {"b": 3.0}) in rule.asked
    play(scheduler, (5.5, TimePassed(), []))
    assert rule.asked[-1] == Situation("c", frozenset("ab"), {}, ending=frozenset("b"))


def test_the_rule_hears_who_is_ahead() -> None:
    """c insists on a's place, so that in thought it has it when d, which insists as well, has its turn."""
    rule = Memory({"a": 8, "c": 8, "d": 1}, 8)
    scheduler = scheduler_of(rule)
    play(
        scheduler,
        (0.0, Arrived(1, "a"), [Start("a")]),
        (1.0, Ready("a"), [Serve(1)]),
        (2.0, Arrived(2, "c"), []),
        (3.0, Arrived(3, "d"), []),
        (9.0, TimePassed(), []),
    )
    assert rule.asked[-1] == Situation("d", frozenset("c"), ahead=("c",))


def test_a_request_for_a_ready_model_asks_no_rule() -> None:
    rule = Memory({"a": 4, "b": 4}, 8)
    scheduler = scheduler_of(rule)
    play(scheduler, (0.0, Arrived(1, "a"), [Start("a")]), (1.0, Ready("a"), [Serve(1)]), (1.0, Finished(1), []))
    rule.asked.clear()
    play(scheduler, (2.0, Arrived(2, "a"), [Serve(2)]), (3.0, Finished(2), []))
    assert rule.asked == []


def test_who_would_go_when_several_have_their_turn_one_after_the_other() -> None:
    scheduler = scheduler_of(Memory({"a": 4, "b": 4, "c": 4}, 8))
    play(scheduler, (0, Arrived(1, "a"), [Start("a")]), (1, Ready("a"), [Serve(1)]), (2, Finished(1), []))
    assert scheduler.evictees("b", 3) == []
    assert scheduler.evictees("c", 3) == []
    assert scheduler.evictees("c", 3, ["b"]) == ["a"]
    assert scheduler.evictees("a", 3, ["b", "c"]) == ["b"]
    assert scheduler.evictees("c", 3) == [], "that was only thought of"
