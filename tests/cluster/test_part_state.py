"""What is sent to a node when, and which of its models get no loads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claracore.core.cluster.model import Node, NodeKind, NodeModel, NodeReport, NodeState, PartReport
from claracore.core.cluster.part import Part, SharedModel
from claracore.core.cluster.part_state import (
    NOT_TAKEN,
    PartStanding,
    WantedPart,
    is_outdated,
    is_to_be_sent,
    standing,
    why,
)
from claracore.core.cluster.place import LOCAL, Offer, PlacementWish, places, why_no_place
from claracore.host.cluster.asking import report_of_claracore
from claracore.types import ModelState

X = SharedModel("x", {"cmd": "x ${PORT}"})
WANTED, NOTHING = WantedPart.of(Part((X,))), WantedPart()
NOW = WANTED.part.revision
NONE, CLOSED, CURRENT, OLDER, REFUSED = PartStanding


def node(part: PartReport | None, state: NodeState = NodeState.UP) -> Node:
    return Node("desk", state, 0.0, report=NodeReport(NodeKind.CLARACORE, part=part))


TABLE = [
    # What the node says, what it is to have, how it is with it, whether it is sent.
    (None, WANTED, CLOSED, False),
    (None, NOTHING, NONE, False),
    (PartReport(accepts=False), WANTED, CLOSED, False),
    (PartReport(accepts=False), NOTHING, NONE, False),
    (PartReport(True), NOTHING, NONE, False),
    (PartReport(True), WANTED, OLDER, True),
    (PartReport(True, NOW), WANTED, CURRENT, False),
    (PartReport(True, "former"), WANTED, OLDER, True),
    (PartReport(True, "former"), NOTHING, OLDER, True),
    (PartReport(True, "former", NOW, "why"), WANTED, REFUSED, False),
    (PartReport(True, "", NOW, "why"), WANTED, REFUSED, False),
    (PartReport(True, "former", "another", "why"), WANTED, OLDER, True),
    (PartReport(True, NOW, "another", "why"), WANTED, CURRENT, False),
]


@pytest.mark.parametrize(("part", "wanted", "expected", "sent"), TABLE)
def test_what_the_node_says_decides_whether_it_is_sent(
    part: PartReport | None, wanted: WantedPart, expected: PartStanding, *, sent: bool
) -> None:
    assert (standing(node(part), wanted), is_to_be_sent(node(part), wanted)) == (expected, sent)
    for state in (NodeState.SILENT, NodeState.LOST):
        assert not is_to_be_sent(node(part, state), wanted)
    words = {CLOSED: NOT_TAKEN, REFUSED: "why"}
    assert why(node(part), wanted) == words.get(expected, "")


def test_of_a_node_that_has_said_nothing_yet_nothing_is_known() -> None:
    unheard = Node("desk", NodeState.SILENT, 0.0)
    assert (standing(unheard, WANTED), is_to_be_sent(unheard, WANTED)) == (NONE, False)


@pytest.mark.parametrize(
    ("model", "wanted", "expected"),
    [
        (NodeModel("x", revision=X.revision), WANTED, False),
        (NodeModel("x", revision="former"), WANTED, True),
        (NodeModel("x", ModelState.READY, revision="former"), WANTED, False),
        (NodeModel("x", ModelState.STARTING, revision="former"), WANTED, False),
        (NodeModel("gone", revision="former"), WANTED, True),
        (NodeModel("gone", revision="former"), NOTHING, True),
        (NodeModel("x"), WANTED, False),
        (NodeModel("theirs"), WANTED, False),
    ],
)
def test_a_changed_model_gets_no_new_loads(model: NodeModel, wanted: WantedPart, *, expected: bool) -> None:
    assert is_outdated(model, node(PartReport(True, "former")), wanted) is expected
    # Of another head's models nothing is known, and nothing is said against them.
    assert not is_outdated(model, node(PartReport(accepts=False)), wanted)
    assert not is_outdated(model, node(None), wanted)


def test_no_place_says_why() -> None:
    old = Offer("desk/x", "desk", ModelState.STOPPED, outdated=True)
    offers = [old, Offer("lap/x", "lap", ModelState.READY, drained=True), Offer("x", LOCAL, ModelState.STOPPED)]
    offers.append(Offer("box/x", "box", ModelState.READY, NodeState.LOST))
    assert [place.node for place in places(offers, PlacementWish())] == [LOCAL]
    assert why_no_place(old) == (
        "desk: the machine has an older configuration of it, and loads it no more until it has this one"
    )
    assert [bool(why_no_place(offer)) for offer in offers] == [True, True, False, True]
    assert why_no_place(replace(old, outdated=False)) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            {"accepts": True, "revision": "r", "refused": "", "why": "", "kept": ["x", 5]},
            PartReport(True, "r", kept=("x",)),
        ),
        ({"accepts": "yes", "revision": 5, "kept": "x"}, PartReport()),
        ({"accepts": True, "why": "w" * 1000}, PartReport(True)),
        ({}, PartReport()),
        (None, None),
        ([], None),
    ],
)
def test_what_a_node_says_of_its_part_is_read_as_far_as_it_can_be(found: object, expected: PartReport | None) -> None:
    models = [{"name": "x", "revision": "r"}, {"name": "y", "revision": 5}]
    report = report_of_claracore({"kind": "claracore", "part": found, "models": models})
    assert report.part == expected
    assert [model.revision for model in report.models] == ["r", ""]
