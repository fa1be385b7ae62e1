"""Who goes when bytes decide: the rule alone, asked about situations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.memory.footprint import Footprint, FootprintSource
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.picture import MemoryPicture, Shortage
from claracore.core.scheduler.policy import Situation

UNKNOWN = Footprint({}, FootprintSource.UNKNOWN)
RULE = ByMemory(persistent=frozenset({"stays"}), elsewhere=frozenset({"far"}))


def takes(**sizes: int) -> Footprint:
    return Footprint(sizes, FootprintSource.MEASURED)


def situation(
    running: Mapping[str, Footprint],
    target: Footprint,
    usable: Mapping[str, int],
    *,
    costs: Mapping[str, float] | None = None,
    idle_since: Mapping[str, float] | None = None,
    busy: str = "",
    pinned: str = "",
    ending: str = "",
    name: str = "new",
) -> Situation:
    """Return a situation in which letting anybody go costs 1, unless something else is said; names by words."""
    prices = dict.fromkeys(running, 1.0) if costs is None else costs
    picture = MemoryPicture(
        usable, {**running, name: target}, prices, frozenset(busy.split()), frozenset(pinned.split())
    )
    return Situation(name, frozenset(running), idle_since or {}, frozenset(ending.split()), memory=picture)


def test_who_fits_beside_all_that_runs_evicts_nobody() -> None:
    asked = situation({"a": takes(gpu0=4), "b": takes(ram=9)}, takes(gpu0=4), {"gpu0": 8, "ram": 9})
    assert RULE.evictees(asked) == frozenset()
    assert RULE.shortages(asked) == ()


def test_only_those_go_that_have_what_is_short_and_no_more_than_needed() -> None:
    running = {"a": takes(gpu0=4), "b": takes(gpu0=4), "c": takes(ram=8), "d": takes(gpu1=9)}
    asked = situation(
        running, takes(gpu0=3, ram=1), {"gpu0": 9, "ram": 9, "gpu1": 9}, costs={"a": 5, "b": 4, "c": 0, "d": 0}
    )
    assert RULE.evictees(asked) == {"b"}
    assert RULE.shortages(asked) == (Shortage("gpu0", 3, 1),)


def test_the_cheapest_set_goes_though_it_is_not_the_smallest() -> None:
    running = {"large": takes(gpu0=8), "one": takes(gpu0=4), "two": takes(gpu0=4)}
    asked = situation(running, takes(gpu0=8), {"gpu0": 16}, costs={"large": 30, "one": 10, "two": 10})
    assert RULE.evictees(asked) == {"one", "two"}


def test_an_embedder_goes_only_for_a_model_that_has_no_room_otherwise() -> None:
    rule = ByMemory(helpers=frozenset({"embeds", "ranks"}))
    running = {"embeds": takes(gpu0=2), "chat": takes(gpu0=4)}
    prices = {"embeds": 1.0, "chat": 100.0}
    assert rule.evictees(situation(running, takes(gpu0=2), {"gpu0": 6}, costs=prices)) == {"chat"}
    busy = situation(running, takes(gpu0=2), {"gpu0": 6}, costs=prices, busy="chat")
    assert rule.evictees(busy) == {"chat"}, "rather wait"
    assert rule.evictees(situation(running, takes(gpu0=5), {"gpu0": 6}, costs=prices)) == {"embeds", "chat"}
    assert rule.evictees(situation(running, takes(gpu0=2), {"gpu0": 6}, costs=prices, name="ranks")) == {"embeds"}


def test_among_equals_who_has_been_idle_longest_goes() -> None:
    running = {"a": takes(gpu0=4), "b": takes(gpu0=4), "c": takes(gpu0=4)}
    asked = situation(running, takes(gpu0=4), {"gpu0": 12}, idle_since={"a": 7.0, "b": 3.0, "c": 5.0})
    assert RULE.evictees(asked) == {"b"}


def test_one_model_on_two_devices_is_better_than_two_on_one_each() -> None:
    running = {"both": takes(gpu0=4, gpu1=4), "left": takes(gpu0=4), "right": takes(gpu1=4)}
    costs = {"both": 15.0, "left": 10.0, "right": 10.0}
    asked = situation(running, takes(gpu0=4, gpu1=4), {"gpu0": 8, "gpu1": 8}, costs=costs)
    assert RULE.evictees(asked) == {"both"}


@pytest.mark.parametrize(
    ("hint", "goes"), [({}, "a"), ({"busy": "a"}, "b"), ({"pinned": "a"}, "b"), ({"ending": "b"}, "b")]
)
def test_busy_and_pinned_ones_are_spared_and_those_that_end_are_waited_for(hint: dict[str, str], goes: str) -> None:
    running = {"a": takes(gpu0=4), "b": takes(gpu0=4)}
    asked = situation(running, takes(gpu0=4), {"gpu0": 8}, costs={"a": 1, "b": 90}, **hint)  # type: ignore[arg-type]
    assert RULE.evictees(asked) == {goes}


def test_a_busy_model_is_waited_for_before_a_persistent_one_would_have_to_go() -> None:
    asked = situation({"stays": takes(gpu0=4), "b": takes(gpu0=4)}, takes(gpu0=4), {"gpu0": 8}, busy="b")
    assert RULE.evictees(asked) == {"b"}
    asked = situation({"stays": takes(gpu0=8)}, takes(gpu0=4), {"gpu0": 8})
    assert RULE.evictees(asked) == {"stays"}  # it has to, so the target cannot have its place
    assert RULE.too_large(asked) == ()


def test_who_is_larger_than_the_device_has_no_room_even_alone() -> None:
    asked = situation({"a": takes(gpu0=4)}, takes(gpu0=9, ram=1), {"gpu0": 8, "ram": 8})
    assert RULE.too_large(asked) == (Shortage("gpu0", 9, 8),)


def test_a_model_of_which_nothing_is_known_runs_alone_beside_those_that_stay() -> None:
    running = {"a": takes(ram=1), "stays": takes(ram=1), "pin": takes(gpu0=1), "none": takes(), "far": takes(ram=5)}
    asked = situation(running, UNKNOWN, {"ram": 8, "gpu0": 8}, pinned="pin")
    assert RULE.evictees(asked) == {"a"}
    assert RULE.too_large(asked) == ()
    assert RULE.shortages(asked) == (Shortage("", 0, 0),)


def test_beside_a_model_of_which_nothing_is_known_runs_only_who_takes_nothing() -> None:
    running = {"a": UNKNOWN, "b": takes(ram=1)}
    assert RULE.evictees(situation(running, takes(gpu0=1), {"ram": 8, "gpu0": 8})) == {"a"}
    assert RULE.evictees(situation(running, takes(), {"ram": 8, "gpu0": 8})) == frozenset()


def test_a_device_that_is_not_seen_has_room_for_one() -> None:
    running = {"a": takes(gpu0=1), "b": takes(ram=1)}
    assert RULE.evictees(situation(running, takes(gpu0=1), {"ram": 8})) == {"a"}
    assert RULE.too_large(situation(running, takes(gpu0=99), {"ram": 8})) == ()


def test_who_takes_nothing_of_this_machine_evicts_nobody_and_is_evicted_by_nobody() -> None:
    running = {"far": takes(gpu0=8), "a": takes(gpu0=4)}
    assert RULE.evictees(situation(running, takes(gpu0=4), {"gpu0": 8})) == frozenset()
    assert RULE.evictees(situation(running, takes(gpu0=9), {"gpu0": 8}, name="far")) == frozenset()


def test_what_others_have_taken_must_be_made_up_for() -> None:
    running = {"a": takes(gpu0=4), "b": takes(gpu0=4)}
    asked = situation(running, takes(gpu0=1), {"gpu0": 4}, costs={"a": 1, "b": 2})
    assert RULE.evictees(asked) == {"a", "b"}
    assert RULE.shortages(asked) == (Shortage("gpu0", 1, -4),)


def test_before_anything_is_known_nobody_goes() -> None:
    assert RULE.evictees(Situation("new", frozenset("a"))) == frozenset()


SIZES = st.tuples(*[st.integers(0, 8)] * 3)


@given(
    models=st.lists(st.tuples(SIZES, st.integers(0, 20)), min_size=1, max_size=7),
    target=SIZES,
    usable=st.tuples(*[st.integers(8, 20)] * 3),
)
def test_no_other_set_would_have_been_cheaper(
    models: list[tuple[tuple[int, ...], int]], target: tuple[int, ...], usable: tuple[int, ...]
) -> None:
    running = {f"m{number}": sizes for number, (sizes, _) in enumerate(models)}
    costs = {f"m{number}": float(cost) for number, (_, cost) in enumerate(models)}
    names = ("ram", "gpu0", "gpu1")
    asked = situation(
        {model: takes(**dict(zip(names, sizes, strict=True))) for model, sizes in running.items()},
        takes(**dict(zip(names, target, strict=True))),
        dict(zip(names, usable, strict=True)),
        costs=costs,
    )

    def fits(gone: frozenset[str]) -> bool:
        left = [sizes for model, sizes in running.items() if model not in gone]
        return all(not need or need + sum(sizes[at] for sizes in left) <= usable[at] for at, need in enumerate(target))

    gone = RULE.evictees(asked)
    sets = (frozenset(some) for size in range(len(running) + 1) for some in itertools.combinations(running, size))
    cheapest = min(sum(costs[model] for model in some) for some in sets if fits(some))
    assert fits(gone)
    assert sum(costs[model] for model in gone) == cheapest
    assert not any(fits(gone - {model}) for model in gone)


@given(
    models=st.lists(st.tuples(SIZES, st.floats(0, 100)), min_size=20, max_size=60),
    usable=st.tuples(*[st.integers(20, 60)] * 3),
)
def test_among_many_enough_go_and_none_in_vain(
    models: list[tuple[tuple[int, ...], float]], usable: tuple[int, ...]
) -> None:
    names = ("ram", "gpu0", "gpu1")
    running = {f"m{number}": sizes for number, (sizes, _) in enumerate(models)}
    asked = situation(
        {model: takes(**dict(zip(names, sizes, strict=True))) for model, sizes in running.items()},
        takes(ram=8, gpu0=8, gpu1=8),
        dict(zip(names, usable, strict=True)),
        costs={f"m{number}": cost for number, (_, cost) in enumerate(models)},
    )

    def fits(gone: frozenset[str]) -> bool:
        left = [sizes for model, sizes in running.items() if model not in gone]
        return all(8 + sum(sizes[at] for sizes in left) <= usable[at] for at in range(3))

    gone = RULE.evictees(asked)
    assert fits(gone)
    assert not any(fits(gone - {model}) for model in gone)
