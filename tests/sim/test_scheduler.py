"""A seeded simulation in virtual time: 30,000 steps of traffic, mishaps and reloads, invariants after every one."""

from __future__ import annotations

import pytest

from sim.world import World

SEEDS = range(60)
STEPS = 500


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_cut_or_started_twice(seed: int) -> None:
    world = World(seed)
    try:
        for _ in range(STEPS):
            assert world.step()
        if seed % 3:
            world.settle_down()
        world.shut_down()
        while world.running:  # in every third world with answers under way, new clients, crashes and reloads
            assert world.step()
    except AssertionError as error:
        tail = "\n".join(world.transcript[-40:])
        raise AssertionError(f"seed {seed}, step {world.steps}: {error}\n{tail}") from error
    assert world.scheduler.all_stopped
    assert world.answered > 0


def test_nobody_starves_beside_a_model_that_is_always_busy() -> None:
    """A new request for the busy model comes before the last one ends; the other must still have its turn soon."""
    from claracore.core.scheduler.core import Scheduler
    from claracore.core.scheduler.events import Arrived, Finished, Ready, Stop
    from claracore.core.scheduler.eviction import Group, Groups
    from claracore.core.scheduler.policy import ModelPolicy, Policy

    rule = Groups({"g": Group()}, {"busy": "g", "other": "g"})
    scheduler = Scheduler(Policy(rule, {"busy": ModelPolicy(), "other": ModelPolicy()}, patience_seconds=5.0))
    scheduler.handle(Arrived(1, "busy"), 0.0)
    scheduler.handle(Ready("busy"), 0.0)
    scheduler.handle(Arrived(2, "other"), 0.5)
    for second in range(1, 20):
        scheduler.handle(Arrived(second + 2, "busy"), float(second))
        orders = scheduler.handle(Finished(second if second == 1 else second + 1), second + 0.1)
        if any(isinstance(order, Stop) for order in orders):
            assert second <= 8
            return
    raise AssertionError("the other model starved")
