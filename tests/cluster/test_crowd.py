"""Many machines and models, through one head and through two that know nothing of each other."""

from __future__ import annotations

import asyncio

import pytest

from cluster.crowd import Crowd


@pytest.mark.parametrize("seed", range(3))
def test_every_request_of_a_crowd_ends_once(seed: int) -> None:
    async def all_of_it() -> Crowd:
        crowd = Crowd(nodes=20, models=200, copies=4, seed=seed, accidents=0.04)
        for _ in range(40):
            crowd.second(rate=90)
            for number in crowd.open:
                assert number <= crowd.asked
            for name in crowd.names[::20]:
                assert crowd.places_kept(name) == crowd.places_anew(name), "what is kept is as it would be made anew"
        crowd.recover()
        await crowd.cluster.close()
        return crowd

    crowd = asyncio.run(all_of_it())
    assert crowd.up == 20
    assert len(crowd.over) == crowd.asked == 40 * 90
    assert all(asking.ends == 1 and len(asking.answers_from) <= 1 for asking in crowd.over)
    assert all(len(set(asking.journey.been)) == len(asking.journey.been) for asking in crowd.over)
    assert not any(slot.serving for slot in crowd.slots.values())
    assert crowd.moved > 100, "nothing was put to the test"
    assert crowd.refused < crowd.asked / 10
