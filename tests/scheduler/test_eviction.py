from __future__ import annotations

from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.policy import Situation

RULE = Groups(
    {
        "swap": Group(),
        "together": Group(swap=False, exclusive=False),
        "resident": Group(swap=False, exclusive=False, persistent=True),
    },
    {"a": "swap", "b": "swap", "c": "together", "d": "together", "r": "resident"},
)


def evictees(target: str, *running: str) -> set[str]:
    return set(RULE.evictees(Situation(target, frozenset(running))))


def test_members_of_a_swap_group_replace_each_other() -> None:
    assert evictees("a", "b") == {"b"}


def test_members_of_a_group_without_swap_stay_together() -> None:
    assert evictees("c", "d") == set()


def test_an_exclusive_group_stops_every_other_that_is_not_persistent() -> None:
    assert evictees("a", "c", "d", "r") == {"c", "d"}


def test_a_group_that_is_not_exclusive_stops_no_other() -> None:
    assert evictees("c", "a", "r") == set()


def test_a_model_is_never_its_own_evictee() -> None:
    assert evictees("a", "a") == set()


def test_a_model_that_is_no_longer_configured_makes_an_exclusive_target_wait() -> None:
    assert evictees("a", "removed") == {"removed"}
    assert evictees("c", "removed") == set()
