from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from claracore.core.ports.history import REMEMBERED_DEPARTED, remember
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.ranges import PortPlan
from ports.configs import config

NAMES = st.sampled_from([f"m{number:02}" for number in range(30)])


class Life:
    """One configuration file that is edited and loaded again and again."""

    def __init__(self) -> None:
        self.history: dict[str, int] = {}
        self.plan = PortPlan(Listen())

    def load(self, *names: str) -> dict[str, int]:
        self.plan = plan(config(*names), Listen(), places={}, history=self.history)
        self.history = remember(self.history, self.plan)
        return dict(self.plan.assignment)


def test_models_keep_their_ports_when_others_come() -> None:
    life = Life()
    life.load("b", "d")
    assert life.load("a", "b", "c", "d") == {"b": 8100, "d": 8101, "a": 8102, "c": 8103}


def test_a_renamed_model_gets_a_new_port_and_the_others_keep_theirs() -> None:
    life = Life()
    life.load("a", "b", "c")
    assert life.load("a", "bb", "c") == {"a": 8100, "bb": 8103, "c": 8102}


def test_a_model_that_comes_back_finds_its_port() -> None:
    life = Life()
    life.load("a", "b")
    life.load("b", "c")
    assert life.load("a", "b", "c") == {"a": 8100, "b": 8101, "c": 8102}


def test_freed_ports_are_given_away_last_the_oldest_first() -> None:
    life = Life()
    life.load(*(f"old{number:02}" for number in range(4)))  # 8100-8103
    life.load("old00", "old01", "old03")  # 8102 freed
    life.load("old01", "old03")  # then 8100
    made = plan(config("old01", "old03", "x", "y", "z", startPort=8100), Listen(), places={}, history=life.history)
    assert [made.assignment[name] for name in "xyz"] == [8104, 8105, 8106]
    crowded = plan(
        config("old01", "old03", "x", "y", startPort=8100, groups=()),
        Listen(port=8104),
        places={},
        history={**life.history, **{f"filler{number}": 8105 + number for number in range(65535 - 8104)}},
    )
    assert [crowded.assignment[name] for name in "xy"] == [8102, 8100]


def test_only_so_many_departed_models_are_remembered() -> None:
    life = Life()
    for number in range(REMEMBERED_DEPARTED + 20):
        life.load(f"m{number:03}")
    assert len(life.history) == REMEMBERED_DEPARTED + 1
    assert max(life.history.values()) <= 8100 + REMEMBERED_DEPARTED + 1


@given(st.lists(st.frozensets(NAMES, max_size=20), max_size=12))
def test_every_model_that_stays_keeps_its_port_and_no_port_is_given_twice(loads: Sequence[frozenset[str]]) -> None:
    life = Life()
    before: dict[str, int] = {}
    for names in loads:
        now = life.load(*names)
        assert now.keys() == names
        assert len(set(now.values())) == len(now)
        assert all(now[name] == before[name] for name in now.keys() & before.keys())
        before = now


@given(st.lists(NAMES, unique=True), st.randoms(use_true_random=False))
def test_without_history_the_order_in_the_file_does_not_matter(names: list[str], shuffle: object) -> None:
    shuffled = sorted(names, key=lambda _: shuffle.random())  # type: ignore[attr-defined]
    assert Life().load(*names) == Life().load(*shuffled)
