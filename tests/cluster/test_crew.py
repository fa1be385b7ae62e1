"""Which machines run a model together, and why not the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.cluster.crew import CrewNeed, CrewOffer, crew_of, missing, why_not
from claracore.core.cluster.model import NodeKind, NodeMemory, NodeState
from claracore.core.cluster.place import PlacementWish

GIB = 1 << 30
DESK = CrewOffer("desk", "10.0.0.2", NodeState.UP, kind=NodeKind.CLARACORE)
ONE = CrewNeed(1)


@pytest.mark.parametrize(
    ("offer", "why"),
    [
        (DESK, None),
        (replace(DESK, drained=True), "drained"),
        (replace(DESK, state=NodeState.LOST, why="refused"), "it is lost: refused"),
        (replace(DESK, state=NodeState.SILENT), "it is silent"),
        (replace(DESK, kind=NodeKind.OLLAMA), "no ClaraCore (ollama)"),
        (replace(DESK, kind=None), "no ClaraCore"),
        (replace(DESK, taken_by="huge"), "'huge'"),
        (replace(DESK, address="8.8.8.8"), None),
    ],
)
def test_each_machine_that_cannot_has_its_reason(offer: CrewOffer, why: str | None) -> None:
    found = why_not(offer, ONE)
    assert found is None if why is None else why in (found or "")


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_a_server_without_keys_is_not_run_at_a_public_address(address: str) -> None:
    need = CrewNeed(1, is_open=True)
    assert "tunnel" in (why_not(replace(DESK, address=address), need) or "")
    for private in ("10.8.0.2", "100.64.0.9", "127.0.0.2", "fd00::1", "desk.lan"):
        assert why_not(replace(DESK, address=private), need) is None


@pytest.mark.parametrize(
    ("memory", "needed", "fits"),
    [
        ({"gpu0": 24, "gpu1": 8}, {"gpu": 16}, True),
        ({"gpu0": 8}, {"gpu": 16}, False),
        ({"gpu0": 8}, {"gpu1": 4}, False),
        ({"ram": 64}, {"gpu": 1}, False),
        ({"ram": 64}, {"ram": 32}, True),
        ({"ram": 16}, {"ram": 32}, False),
        ({}, {"gpu": 16}, True),  # it has not said
    ],
)
def test_what_is_declared_is_compared_with_all_that_there_is(
    memory: dict[str, int], needed: dict[str, int], *, fits: bool
) -> None:
    there = tuple(NodeMemory(device, size * GIB, 0) for device, size in memory.items())
    need = CrewNeed(1, {device: size * GIB for device, size in needed.items()})
    assert (why_not(replace(DESK, memory=there), need) is None) is fits


def test_the_preferred_come_first_then_the_most_free_and_the_avoided_last() -> None:
    def of(node: str, free: int) -> CrewOffer:
        return replace(DESK, node=node, memory=(NodeMemory("gpu0", 9, free), NodeMemory("ram", 99, 99 - free)))

    offers = [of("a", 1), of("b", 5), of("c", 3), of("d", 9)]
    wish = PlacementWish(prefer=("c",), avoid=frozenset({"d"}))
    assert crew_of(offers, ONE, wish).able == ("c", "b", "a", "d")


def test_too_few_machines_are_told_with_each_reason() -> None:
    crew = crew_of([replace(DESK, node="lap", drained=True), DESK], CrewNeed(2), PlacementWish())
    text = missing("big", CrewNeed(2), crew)
    assert "needs 2 other machines" in text
    assert "'lap': it is drained" in text
    assert "none has joined" in missing("big", ONE, crew_of([], ONE, PlacementWish()))


def test_those_that_could_are_told_too() -> None:
    two = [replace(DESK, node="lap"), DESK]
    text = missing("big", CrewNeed(8), crew_of(two, CrewNeed(8), PlacementWish()))
    assert text == "model 'big' needs 8 other machines, and only 2 can run a part of it ('desk', 'lap')"
    text = missing("big", CrewNeed(2), crew_of([replace(DESK, node="lap", drained=True), DESK], ONE, PlacementWish()))
    assert text.endswith("only 1 can run a part of it ('desk'): 'lap': it is drained")
