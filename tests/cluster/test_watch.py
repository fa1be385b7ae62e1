"""Silence and death are told apart, and a node that was away is back with its first answer."""

from __future__ import annotations

import pytest

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
    NodeGone,
    NodeKind,
    NodeLost,
    NodeModel,
    NodeReport,
    NodeSilent,
    NodeState,
    NodeTold,
    NodeUp,
)
from claracore.core.cluster.watch import (
    LOST_AFTER_SECONDS,
    Look,
    LookAnswered,
    LookMissed,
    LookRefused,
    followed,
    looked,
    unheard,
)
from claracore.types import ModelState

UP, SILENT, LOST = NodeState.UP, NodeState.SILENT, NodeState.LOST
REPORT = NodeReport(NodeKind.CLARACORE, (NodeModel("qwen", ModelState.READY),))
LATE = LOST_AFTER_SECONDS + 100


def node(state: NodeState) -> Node:
    return Node("desk", state, since=100.0, heard_at=90.0, why="" if state is UP else "it was away")


@pytest.mark.parametrize(
    ("state", "look", "now", "events"),
    [
        (UP, LookAnswered(REPORT), 101, [NodeTold]),
        (UP, LookRefused("no"), 101, [NodeLost]),
        (UP, LookMissed("no"), 101, [NodeSilent]),
        (SILENT, LookAnswered(REPORT), 101, [NodeUp, NodeTold]),
        (SILENT, LookRefused("no"), 101, [NodeLost]),
        (SILENT, LookMissed("no"), 101, []),
        (SILENT, LookMissed("no"), LATE, [NodeLost]),
        (LOST, LookAnswered(REPORT), LATE, [NodeUp, NodeTold]),
        (LOST, LookRefused("no"), LATE, []),
        (LOST, LookMissed("no"), LATE, []),
    ],
)
def test_what_becomes_of_a_node(state: NodeState, look: Look, now: float, events: list[type[NodeEvent]]) -> None:
    assert [type(event) for event in looked(node(state), look, now)] == events


def play(*looks: tuple[float, Look]) -> Node:
    now = unheard("desk", 0.0)
    for at, look in looks:
        for event in looked(now, look, at):
            now = followed(now, event)
    return now


def test_a_node_that_was_never_heard_of_becomes_lost_when_its_silence_lasts() -> None:
    assert play((1, LookMissed("late"))).state is SILENT
    assert play((1, LookMissed("late")), (1 + LOST_AFTER_SECONDS, LookMissed("late"))).state is LOST


def test_a_node_that_is_back_has_what_it_says_and_no_reason_any_more() -> None:
    back = play((1, LookAnswered(REPORT)), (2, LookRefused("gone")), (9, LookAnswered(REPORT)))
    assert (back.state, back.since, back.why) == (UP, 9, "")
    assert back.report is not None
    assert back.report.loaded == ("qwen",)


def test_since_is_when_the_silence_began() -> None:
    assert play((1, LookAnswered(REPORT)), (3, LookMissed("late")), (5, LookMissed("late"))).since == 3


def test_a_short_silence_between_answers_never_adds_up() -> None:
    looks: list[tuple[float, Look]] = []
    for second in range(0, 100, 2):
        looks += [(second, LookMissed("late")), (second + 1, LookAnswered(REPORT))]
    assert play(*looks, (100, LookMissed("late")), (102, LookMissed("late"))).state is SILENT


def test_there_is_no_node_after_it_is_gone() -> None:
    with pytest.raises(ValueError, match="desk"):
        followed(node(UP), NodeGone("desk", 1))
