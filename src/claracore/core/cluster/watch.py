"""Is a node that does not answer slow, or dead?

Pure. A machine whose program is gone refuses connections: that is death, and counts at once. A machine that says
nothing may compute, or the network may lose packets: that is silence, and becomes a loss only when it lasts. A node
that is lost is back with its first answer; what it has loaded it says itself.

A machine that answers now and then must not be up and away by turns, for with every turn requests would go there and
come back. So each silence within a minute doubles the number of answers in a row after which it is up; until then it is
silent: what is there goes on, and new requests go elsewhere if they can.

Somebody else may know as well whether a machine is there (`Witness`: Ray's membership; answers of which bytes come,
`signs`). That it is gone there ends the patience at once, that it is there makes it longer; neither alone makes a loss.

| state | it answered | refused | said nothing |
|---|---|---|---|
| silent | up, or silent until it is steady | lost | silent, lost when it lasts |
| up | up | lost | silent |
| lost | up, or silent until it is steady | lost | lost |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
    NodeExplained,
    NodeGone,
    NodeLost,
    NodeReport,
    NodeSilent,
    NodeState,
    NodeTold,
    NodeUp,
)

LOST_AFTER_SECONDS: Final = 5.0
"""Silence of this length, seen by at least two looks, is a loss."""
LOST_AGAINST_WITNESS_SECONDS: Final = 60.0
"""The same where the machine is there for its witness: its network, or its ClaraCore, is slow."""
STEADY_SECONDS: Final = 60.0
"""After so long without a silence, those before are forgotten."""
MOST_ANSWERS: Final = 10
"""In a row, that are asked of a node before it is up again."""
NOT_HEARD_YET: Final = "it has not been asked yet"


class Witness(StrEnum):
    """What somebody else knows of a node."""

    NONE = "none"
    """Nothing: nobody is asked, or who is asked is away himself."""
    THERE = "there"
    GONE = "gone"


WitnessOf = Callable[[str], Witness]
"""Says what is known of a node from elsewhere, by its name; asked whenever it does not answer."""


def no_witness(node: str) -> Witness:
    """Return that nothing is known."""
    del node
    return Witness.NONE


@dataclass(frozen=True, slots=True)
class LookAnswered:
    """The node has answered a look."""

    report: NodeReport


@dataclass(frozen=True, slots=True)
class LookRefused:
    """Nobody listens there, or who listened has broken off."""

    why: str


@dataclass(frozen=True, slots=True)
class LookMissed:
    """No answer came in time, or none that can be read."""

    why: str
    is_late: bool = False
    """Whether an answer may still come to this very look."""


Look = LookAnswered | LookRefused | LookMissed


def unheard(name: str, now: float) -> Node:
    """Return a node of which nothing is known yet."""
    return Node(name, NodeState.SILENT, now, why=NOT_HEARD_YET)


def looked(node: Node, look: Look, now: float, witness: Witness = Witness.NONE) -> tuple[NodeEvent, ...]:
    """Return what has become of a node by one look at it, and by what another knows of it."""
    match look:
        case LookAnswered(report):
            return (*_by_answer(node, report, now), NodeTold(node.name, now, report))
        case LookRefused(why) | LookMissed(why) if node.state is NodeState.LOST:
            is_news = why != node.why and look != LookMissed(why, is_late=True)
            return (NodeExplained(node.name, now, why),) if is_news else ()
        case LookRefused(why):
            return (NodeLost(node.name, now, why),)
        case LookMissed(why) if witness is Witness.GONE:
            return (NodeLost(node.name, now, f"{why}; Ray has lost it, too"),)
        case LookMissed(why):
            if _falls_silent(node) or (node.state is NodeState.SILENT and node.why == NOT_HEARD_YET):
                return (NodeSilent(node.name, now, why),)
            patience = LOST_AGAINST_WITNESS_SECONDS if witness is Witness.THERE else LOST_AFTER_SECONDS
            lasts = node.state is NodeState.SILENT and now - node.since >= patience
            return (NodeLost(node.name, now, why),) if lasts else ()
        case _:
            assert_never(look)


def _by_answer(node: Node, report: NodeReport, now: float) -> tuple[NodeEvent, ...]:
    """Return what becomes of a node that has answered once more."""
    if node.state is NodeState.UP:
        return ()
    if _is_another_run(node, report) or node.answers + 1 >= answers_needed(node.lapses):
        return (NodeUp(node.name, now),)
    if node.state is NodeState.SILENT:
        return ()
    return (NodeSilent(node.name, now, f"it answers again, and has fallen silent {node.lapses} times of late"),)


def answers_needed(lapses: int) -> int:
    """Return after how many answers in a row a node is up that has fallen silent so often of late."""
    return min(1 << min(max(lapses - 1, 0), MOST_ANSWERS), MOST_ANSWERS)


def _is_another_run(node: Node, report: NodeReport) -> bool:
    """Whether the program there is not the one that was silent: it is judged anew."""
    return node.report is not None and node.report.identity != report.identity


def _falls_silent(node: Node) -> bool:
    """Whether a look that is missed is the first after one that was not."""
    return node.state is NodeState.UP or (node.state is NodeState.SILENT and node.answers > 0)


def followed(node: Node, event: NodeEvent) -> Node:
    """Return the node after an event of its own. Raises ValueError for `NodeGone`: there is none after it."""
    match event:
        case NodeUp(_, at):
            return replace(node, state=NodeState.UP, since=at, heard_at=at, why="")
        case NodeTold(_, at, report):
            is_steady = node.state is NodeState.UP and at - node.since >= STEADY_SECONDS
            lapses = 0 if is_steady or _is_another_run(node, report) else node.lapses
            return replace(node, heard_at=at, report=report, lapses=lapses, answers=node.answers + 1)
        case NodeSilent(_, at, why):
            lapses = node.lapses + _falls_silent(node)
            return replace(node, state=NodeState.SILENT, since=at, why=why, lapses=lapses, answers=0)
        case NodeLost(_, at, why):
            return replace(node, state=NodeState.LOST, since=at, why=why, answers=0)
        case NodeExplained(_, _, why):
            return replace(node, why=why)
        case NodeGone():
            raise ValueError(f"node {node.name!r} is gone")
        case _:
            assert_never(event)
