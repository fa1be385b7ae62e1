"""Silence and death are told apart, and a node that was away is back with its first answer."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
    NodeExplained,
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
    MOST_ANSWERS,
    STEADY_SECONDS,
    Look,
    LookAnswered,
    LookMissed,
    LookRefused,
    Witness,
    answers_needed,
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
        (LOST, LookRefused("no"), LATE, [NodeExplained]),
        (LOST, LookMissed("no"), LATE, [NodeExplained]),
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


def test_a_node_that_is_lost_says_the_latest_reason() -> None:
    """It is back with another certificate, or refuses the key: that nobody listens there is true no more."""
    lost = node(LOST)
    assert looked(lost, LookRefused(lost.why), 120) == looked(lost, LookMissed(lost.why), 120) == ()
    assert looked(lost, LookMissed("no answer yet", is_late=True), 120) == ()
    for look in (LookRefused("Connection refused"), LookMissed("it refuses the key (401)")):
        for witness in Witness:
            [event] = looked(lost, look, 120, witness)
            found = followed(lost, event)
            assert (found.state, found.since, found.why) == (LOST, lost.since, look.why)
            assert looked(found, look, 121, witness) == ()


def test_since_is_when_the_silence_began() -> None:
    assert play((1, LookAnswered(REPORT)), (3, LookMissed("late")), (5, LookMissed("late"))).since == 3


def test_a_short_silence_between_answers_never_adds_up() -> None:
    looks: list[tuple[float, Look]] = []
    for second in range(0, 100, 2):
        looks += [(second, LookMissed("late")), (second + 1, LookAnswered(REPORT))]
    assert play(*looks, (100, LookMissed("late")), (102, LookMissed("late"))).state is SILENT


# A machine that answers now and then.

MISSED, ANSWERED = LookMissed("late"), LookAnswered(REPORT)
LOOKS: dict[str, Look] = {"a": ANSWERED, "m": MISSED, "r": LookRefused("no")}


def states(looks: str, every: float = 1.0) -> str:
    """Return the states after looks that were answered (a), missed (m) or refused (r): u, s or l for each."""
    found, at, now = "", 0.0, unheard("desk", 0.0)
    for each in looks:
        at += every
        for event in looked(now, LOOKS[each], at):
            now = followed(now, event)
        found += now.state.value[0]
    return found


@pytest.mark.parametrize(
    ("looks", "every", "found"),
    [
        # The first silence is forgiven with the first answer, whether it was short or a loss.
        ("ama", 1, "usu"),
        ("ammma", 3, "usslu"),
        ("ara", 1, "ulu"),
        # Each further one takes twice as many answers in a row, and a miss among them begins anew.
        ("amamaa", 1, "usussu"),
        ("amamaamaaaa", 1, "usussussssu"),
        ("amamaamamaaaaaaaa", 1, "usussussssssssssu"),
        # It leaves the lost ones with its first answer, whatever it takes to be up.
        ("amammmaa", 3, "ususslsu"),
    ],
)
def test_a_machine_that_falls_silent_again_has_to_be_steadier(looks: str, every: float, found: str) -> None:
    assert states(looks, every) == found


@pytest.mark.parametrize(("lapses", "answers"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (10**6, 10)])
def test_how_many_answers_it_takes(lapses: int, answers: int) -> None:
    assert answers_needed(lapses) == answers


def test_silences_are_forgotten_after_a_while_and_with_another_run() -> None:
    unsteady = replace(node(UP), lapses=9)
    told = NodeTold("desk", 100 + STEADY_SECONDS, REPORT)
    assert followed(unsteady, told).lapses == 0
    assert followed(unsteady, replace(told, at=99 + STEADY_SECONDS)).lapses == 9
    heard = replace(node(LOST), lapses=9, report=replace(REPORT, identity="one"))
    another, same = (LookAnswered(replace(REPORT, identity=name)) for name in ("two", "one"))
    assert [type(event) for event in looked(heard, another, 200)] == [NodeUp, NodeTold]
    assert [type(event) for event in looked(heard, same, 200)] == [NodeSilent, NodeTold]


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_machine_is_not_up_and_away_by_turns(seed: int) -> None:
    chance, at, now = random.Random(seed), 0.0, unheard("desk", 0.0)
    turns = 0
    for _ in range(1_000):
        at += 1
        for event in looked(now, chance.choice((MISSED, ANSWERED)), at):
            was, now = now, followed(now, event)
            turns += was.state is not UP and now.state is UP
    assert turns < 10
    for _ in range(MOST_ANSWERS):
        at += 1
        for event in looked(now, ANSWERED, at):
            now = followed(now, event)
    assert now.state is UP, "it is used again when it is fast"


def test_there_is_no_node_after_it_is_gone() -> None:
    with pytest.raises(ValueError, match="desk"):
        followed(node(UP), NodeGone("desk", 1))
