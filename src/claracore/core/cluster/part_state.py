"""Has a node the part that it is to have, and is it to be sent to it now?

Pure. The node says in `/api/node` which revision it has and which one it has refused, so that whoever was away, head or
node, needs no memory of what was sent: what is said now decides.

| the node says | state | sent |
|---|---|---|
| nothing of parts, or that this is not its head | none | no |
| the revision that it is to have | current | no |
| that it has refused the revision that it is to have | refused | no, until it or the head has another configuration |
| another revision, or none | older | yes |

One that it has refused unread (it is too large) it does not know of: the head remembers that for as long as it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from claracore.core.cluster.model import Node, NodeModel, NodeState
from claracore.core.cluster.part import NO_PART, Part
from claracore.types import ModelState


class PartStanding(StrEnum):
    """How a node is with its part of the configuration."""

    NONE = "none"
    """It is given none: it takes none from here, and none is meant for it."""
    CLOSED = "closed"
    """A part is meant for it, and it takes none from here."""
    CURRENT = "current"
    OLDER = "older"
    REFUSED = "refused"


NOT_TAKEN = (
    "it takes no configuration from here: it has joined with --requests-only, or with a version that knew none (let it "
    "join again), or has joined another machine"
)


@dataclass(frozen=True, slots=True)
class WantedPart:
    """What a node is to have, worked out once."""

    part: Part = field(default_factory=Part)
    models: Mapping[str, str] = field(default_factory=dict)
    """The revision of each model, by its name."""
    refused: str = ""
    """Why the node has refused it unread (it is too large, say), so that its own report knows nothing of it."""
    refused_by: str = ""
    """Which run of the node has (`NodeReport.identity`): the next one may take it."""

    @classmethod
    def of(cls, part: Part) -> WantedPart:
        """Return it for a part."""
        return cls(part, {model.name: model.revision for model in part.models})


def standing(node: Node, wanted: WantedPart) -> PartStanding:
    """Return how a node is with its part, as far as it has said."""
    report = node.report.part if node.report is not None else None
    if report is None or not report.accepts:
        return PartStanding.CLOSED if wanted.models and node.report is not None else PartStanding.NONE
    if report.revision == wanted.part.revision:
        return PartStanding.CURRENT if wanted.models else PartStanding.NONE
    if report.refused == wanted.part.revision != NO_PART or _is_refused_unread(node, wanted):
        return PartStanding.REFUSED
    return PartStanding.OLDER


def _is_refused_unread(node: Node, wanted: WantedPart) -> bool:
    return bool(wanted.refused) and node.report is not None and node.report.identity == wanted.refused_by


def is_to_be_sent(node: Node, wanted: WantedPart) -> bool:
    """Whether the part is to be sent to a node at this moment."""
    return node.state is NodeState.UP and standing(node, wanted) is PartStanding.OLDER


def is_outdated(model: NodeModel, node: Node, wanted: WantedPart) -> bool:
    """Whether a model that a node has from here is another one by now, and so is not to be loaded there any more.

    One that is loaded goes on; one that the node has in its own file is the node's business.
    """
    report = node.report.part if node.report is not None else None
    if report is None or not report.accepts or not model.revision or model.state is not ModelState.STOPPED:
        return False
    return model.revision != wanted.models.get(model.name, "")


def why(node: Node, wanted: WantedPart) -> str:
    """Say in words why a node does not have what it is to have; empty where it does, or is only a moment behind."""
    report = node.report.part if node.report is not None else None
    found = standing(node, wanted)
    if found is PartStanding.CLOSED:
        return NOT_TAKEN
    if found is not PartStanding.REFUSED or report is None:
        return ""
    return report.why if report.refused == wanted.part.revision else wanted.refused
