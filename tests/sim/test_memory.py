"""The simulation by memory: 30,000 steps in the suite, 100,000 with `make test-long`."""

from __future__ import annotations

import pytest

from sim.memory_world import MemoryWorld, sizes_of
from sim.test_scheduler import SEEDS, STEPS

MORE_SEEDS = range(len(SEEDS), 200)


@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MORE_SEEDS)])
def test_nothing_is_started_without_room_and_nobody_goes_for_nothing(seed: int) -> None:
    world = MemoryWorld(seed)
    try:
        for _ in range(STEPS):
            assert world.step()
        world.settle_down()
        world.shut_down()
        while world.running:
            assert world.step()
    except AssertionError as error:
        tail = "\n".join([sizes_of(world), *world.transcript[-40:]])
        raise AssertionError(f"seed {seed}, step {world.steps}: {error}\n{tail}") from error
    assert world.scheduler.all_stopped
