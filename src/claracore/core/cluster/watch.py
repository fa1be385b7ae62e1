"""Is a node that does not answer slow, or dead?

Pure. A machine whose program is gone refuses connections: that is death, and counts at once. A machine that says
nothing may compute, or the network may lose packets: that is silence, and becomes a loss only when it lasts. A node
that is lost is back with its first answer; what it has loaded it says itself.

Of a machine that has joined, somebody else may know as well whether it is there (`Witness`: Ray's membership). That it
is gone there ends the patience at once, that it is there makes it longer; neither alone makes a loss.

| state | it answered | refused | said nothing |
|---|---|---|---|
| silent | up | lost | silent, lost when it lasts |
| up | up | lost | silent |
| lost | up | lost | lost |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
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
NOT_HEARD_YET: Final = "it has not been asked yet"


class Witness(StrEnum):
    """What somebody else knows of a node."""

    NONE = "none"
    """Nothing: nobody is asked, or who is asked is away himself."""
    THERE = "there"
    GONE = "gone"


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


Look = LookAnswered | LookRefused | LookMissed


def unheard(name: str, now: float) -> Node:
    """Return a node of which nothing is known yet."""
    return Node(name, NodeState.SILENT, now, why=NOT_HEARD_YET)


def looked(node: Node, look: Look, now: float, witness: Witness = Witness.NONE) -> tuple[NodeEvent, ...]:
    """Return what has become of a node by one look at it, and by what another knows of it."""
    match look:
        case LookAnswered(report):
            news = NodeTold(node.name, now, report)
            return (news,) if node.state is NodeState.UP else (NodeUp(node.name, now), news)
        case LookRefused(why):
            return () if node.state is NodeState.LOST else (NodeLost(node.name, now, why),)
        case LookMissed(why) if witness is Witness.GONE:
            return () if node.state is NodeState.LOST else (NodeLost(node.name, now, f"{why}; Ray has lost it, too"),)
        case LookMissed(why):
            if node.state is NodeState.UP or (node.state is NodeState.SILENT and node.why == NOT_HEARD_YET):
                return (NodeSilent(node.name, now, why),)
            patience = LOST_AGAINST_WITNESS_SECONDS if witness is Witness.THERE else LOST_AFTER_SECONDS
            lasts = node.state is NodeState.SILENT and now - node.since >= patience
            return (NodeLost(node.name, now, why),) if lasts else ()
        case _:
            assert_never(look)


def followed(node: Node, event: NodeEvent) -> Node:
    """Return the node after an event of its own. Raises ValueError for `NodeGone`: there is none after it."""
    match event:
        case NodeUp(_, at):
            return replace(node, state=NodeState.UP, since=at, heard_at=at, why="")
        case NodeTold(_, at, report):
            return replace(node, heard_at=at, report=report)
        case NodeSilent(_, at, why):
            return replace(node, state=NodeState.SILENT, since=at, why=why)
        case NodeLost(_, at, why):
            return replace(node, state=NodeState.LOST, since=at, why=why)
        case NodeGone():
            raise ValueError(f"node {node.name!r} is gone")
        case _:
            assert_never(event)
