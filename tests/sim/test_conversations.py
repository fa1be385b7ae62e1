"""Servers that save and restore conversations, in virtual time: nobody is served meanwhile, and nobody is lost."""

from __future__ import annotations

from functools import cache

import pytest

from sim.conversation_world import ConversationWorld

SEEDS = range(30)
STEPS = 400


@cache
def lived(seed: int) -> ConversationWorld:
    world = ConversationWorld(seed)
    try:
        for _ in range(STEPS):
            assert world.step()
        if seed % 3:
            world.settle_down()
        world.shut_down()
        while world.running:
            assert world.step()
    except AssertionError as error:
        tail = "\n".join(world.transcript[-40:])
        raise AssertionError(f"seed {seed}, step {world.steps}: {error}\n{tail}") from error
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_served_while_conversations_are_saved_or_restored(seed: int) -> None:
    world = lived(seed)
    assert world.scheduler.all_stopped
    assert world.answered > 0


@pytest.mark.parametrize("what", ["saved", "restored", "died_restoring", "died_saving"])
def test_all_of_it_happens(what: str) -> None:
    assert sum(getattr(lived(seed), what) for seed in SEEDS) > len(SEEDS)
