"""Where a request goes, and why."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from claracore.core.cluster.journey import Journey
from claracore.core.cluster.model import Fit, NodeState
from claracore.core.cluster.place import LOCAL, ModelPlace, Offer, PlacementWish, Rank, best, candidate, places
from claracore.types import ModelState

READY, STARTING, STOPPING, STOPPED = ModelState.READY, ModelState.STARTING, ModelState.STOPPING, ModelState.STOPPED

BEST_FIRST = [
    ("free", Offer("free/x", "free", READY, requests=1, slots=2), "it is loaded there and free"),
    ("loading", Offer("loading/x", "loading", STARTING), "it is being loaded there"),
    ("fits", Offer("fits/x", "fits", STOPPED, fit=Fit.NOW), "it fits what is free there"),
    ("may", Offer("may/x", "may", STOPPED), "it is there; whether it fits is not said"),
    ("busy", Offer("busy/x", "busy", READY, requests=2, slots=2), "it is loaded there and busy"),
    ("after", Offer("after/x", "after", STOPPED, fit=Fit.AFTER), "it fits there when idle models go"),
    ("ending", Offer("ending/x", "ending", STOPPING), "it is being stopped there"),
    ("silent", Offer("silent/x", "silent", READY, NodeState.SILENT), "the machine has not answered of late"),
    ("asleep", Offer("asleep/x", "asleep", READY, NodeState.LOST, wakes=True), "the machine sleeps and can be woken"),
    ("never", Offer("never/x", "never", STOPPED, fit=Fit.NEVER), "the machine would refuse to load it now"),
]


def nodes(found: tuple[ModelPlace, ...]) -> list[str]:
    return [place.node for place in found]


@pytest.mark.parametrize("turn", range(3))
def test_better_places_come_first_whatever_the_order_and_each_says_why(turn: int) -> None:
    offers = [offer for _, offer, _ in BEST_FIRST]
    found = places(offers[::-1], PlacementWish(), turn)
    assert [(place.node, place.reason) for place in found] == [(node, f"{node}: {why}") for node, _, why in BEST_FIRST]


@pytest.mark.parametrize("seed", range(200))
def test_the_best_is_the_first_of_all(seed: int) -> None:
    chance = random.Random(seed)
    offers = [
        Offer(
            f"n{number}/x",
            chance.choice((f"n{number}", LOCAL)),
            chance.choice(list(ModelState)),
            chance.choice(list(NodeState)),
            chance.choice(list(Fit)),
            chance.randrange(3),
            chance.choice((None, 1, 2)),
            wakes=chance.random() < 0.2,
            drained=chance.random() < 0.2,
        )
        for number in range(chance.randrange(12))
    ]
    wish = PlacementWish(("n3", "n5"), frozenset({"n7"}), spread=chance.random() < 0.5)
    found = [candidate(offer, wish) for offer in offers]
    for turn in range(30):
        assert best(found, wish, turn) == next(iter(places(offers, wish, turn)), None)


def test_a_lost_machine_is_no_place() -> None:
    assert places([Offer("desk/x", "desk", READY, NodeState.LOST)], PlacementWish()) == ()


def test_the_least_busy_for_its_slots_comes_first() -> None:
    big, small = (
        Offer("big/x", "big", READY, requests=3, slots=8),
        Offer("small/x", "small", READY, requests=1, slots=2),
    )
    assert nodes(places([small, big], PlacementWish())) == ["big", "small"]
    assert nodes(places([small, big], PlacementWish(spread=False))) == ["small", "big"]


def test_those_that_do_not_differ_take_turns_but_this_machine_comes_before_others() -> None:
    desk, lap = Offer("desk/x", "desk", READY), Offer("lap/x", "lap", READY)
    assert {nodes(places([desk, lap], PlacementWish(), turn))[0] for turn in range(2)} == {"desk", "lap"}
    mine = Offer("x", LOCAL, READY)
    assert {nodes(places([desk, mine, lap], PlacementWish(), turn))[0] for turn in range(3)} == {LOCAL}
    assert nodes(places([desk, lap], PlacementWish(spread=False), 1)) == ["desk", "lap"]


def test_a_preference_decides_among_equally_good_places_only() -> None:
    desk, mine = Offer("desk/x", "desk", READY, requests=1), Offer("x", LOCAL, READY)
    wish = PlacementWish(prefer=("desk",))
    assert nodes(places([mine, desk], wish)) == ["desk", LOCAL]
    assert nodes(places([mine, replace(desk, state=STOPPED)], wish)) == [LOCAL, "desk"]


def test_what_is_to_be_avoided_comes_after_all_else() -> None:
    desk, lap = Offer("desk/x", "desk", READY), Offer("lap/x", "lap", STOPPED, fit=Fit.NEVER)
    assert nodes(places([desk, lap], PlacementWish(avoid=frozenset({"desk"})))) == ["lap", "desk"]


def test_among_busy_places_the_shortest_queue_wins_even_where_places_are_filled_in_order() -> None:
    desk, lap = Offer("desk/x", "desk", READY, requests=9), Offer("lap/x", "lap", READY, requests=5)
    found = places([desk, lap], PlacementWish(spread=False))
    assert nodes(found) == ["lap", "desk"]
    assert found[0].rank is Rank.BUSY


def test_a_request_goes_to_each_place_once_and_nowhere_after_its_first_byte() -> None:
    found = places([Offer("a/x", "a", READY), Offer("b/x", "b", READY)], PlacementWish(spread=False))
    ids = [place.model_id for place in found]
    journey = Journey()
    assert [journey.next(ids), journey.next(ids), journey.next(ids)] == ["a/x", "b/x", None]
    begun = Journey()
    begun.next(ids)
    begun.began = True
    assert begun.next(ids) is None
