"""Who waits is told for what, at each point of a conversation."""

from __future__ import annotations

from claracore.core.config.matrix import BadExpression, read_sets
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import Arrived, Ended, Event, Finished, Ready, Reconfigured, TimePassed
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.obstacle import Cause, Obstacle
from claracore.core.scheduler.policy import ModelPolicy, Policy


def policy(*models: str, concurrency: int = 0) -> Policy:
    """All in one group, of which one runs at a time."""
    members = dict.fromkeys(models, "default")
    each = {model: ModelPolicy(concurrency=concurrency) for model in models}
    return Policy(Groups({"default": Group()}, members), each, patience_seconds=5.0)


class Told:
    """What one model's requests are told after each event, a second apart."""

    def __init__(self, its: Policy, model: str) -> None:
        self.scheduler = Scheduler(its)
        self.model = model
        self.now = 100.0

    def after(self, *events: Event, seconds: float = 1.0) -> Obstacle | None:
        for event in events:
            self.now += seconds
            self.scheduler.handle(event, self.now)
        return self.scheduler.obstacle(self.model, self.now)


def test_from_a_busy_neighbour_to_the_answer() -> None:
    b = Told(policy("a", "b"), "b")
    assert b.after(Arrived(1, "a")) is None, "nobody waits for b"
    assert b.after(Arrived(2, "b")) == Obstacle(Cause.LOADS, ("a",))
    assert b.after(Ready("a")) == Obstacle(Cause.ANSWERS, ("a",))
    assert b.after(Finished(1)) == Obstacle(Cause.UNLOADING, ("a",))
    assert b.after(Ended("a")) == Obstacle(Cause.LOADING)
    assert b.after(Ready("b")) is None


def test_others_are_ahead() -> None:
    c = Told(policy("a", "b", "c"), "c")
    assert c.after(Arrived(1, "a"), Ready("a"), Arrived(2, "b"), Finished(1), Arrived(3, "c")) == Obstacle(
        Cause.UNLOADING, ("a",)
    )
    assert c.after(Ended("a")) == Obstacle(Cause.LOADS, ("b",))


def test_two_ahead_that_leave_no_place_for_a_third() -> None:
    """Pair by pair they all get along."""
    read = read_sets({"ab": "a & b", "bc": "b & c", "ac": "a & c", "xc": "x & c"}, {}, "abcx")
    parts = tuple(found for found in read.values() if not isinstance(found, BadExpression))
    c = Told(Policy(Matrix(parts), {model: ModelPolicy() for model in "abcx"}, patience_seconds=5.0), "c")
    c.after(Arrived(1, "x"), Ready("x"), Arrived(2, "a"), Arrived(3, "b"))
    assert c.after(TimePassed(), Arrived(4, "c"), seconds=6.0) == Obstacle(Cause.TURN, ("b",))


def test_a_full_model_and_one_that_is_held_back() -> None:
    a = Told(policy("a", "b", concurrency=1), "a")
    assert a.after(Arrived(1, "a"), Ready("a"), Arrived(2, "a")) == Obstacle(Cause.PLACES)
    a = Told(policy("a", "b"), "a")
    a.after(Arrived(1, "a"), Ready("a"), Arrived(2, "b"))
    assert a.after(TimePassed(), seconds=6.0) is None
    assert a.after(Arrived(3, "a")) == Obstacle(Cause.TURN, ("b",))


def test_a_model_that_comes_back_after_its_change() -> None:
    its = policy("a")
    a = Told(its, "a")
    a.after(Arrived(1, "a"), Ready("a"), Reconfigured(its, frozenset({"a"})))
    assert a.after(Arrived(2, "a")) == Obstacle(Cause.RETURNING)
    assert a.after(Finished(1)) == Obstacle(Cause.RETURNING)
    assert a.after(Ended("a")) == Obstacle(Cause.LOADING)
