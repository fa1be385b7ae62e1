"""How is a machine with the part of a configuration that it has from its head: for the head, and there?"""

from __future__ import annotations

from pydantic import BaseModel

from claracore.core.cluster.model import Node
from claracore.core.cluster.part_state import PartStanding, standing
from claracore.core.cluster.part_state import why as why_standing
from claracore.http.api.parts import Runtime


class NodePartView(BaseModel):
    """What this machine has of the configuration of its head; empty for who is not that head."""

    accepts: bool
    """Whether who asks may write it."""
    revision: str
    refused: str
    """The revision of one that could not be used."""
    why: str
    kept: list[str]
    """Names of its models that this machine's own files have, which are in force."""


class NodeConfigurationView(BaseModel):
    """How a machine is with the models that it is to have from here."""

    state: PartStanding
    why: str
    models: list[str]
    """What it is to have."""
    kept: list[str]
    """Which of these its own files have, which are in force there."""


def part_here(runtime: Runtime, *, accepts: bool) -> NodePartView:
    """Show what this machine has of its head's configuration; nothing to who is not that head (`accepts`)."""
    if not accepts:
        return NodePartView(accepts=False, revision="", refused="", why="", kept=[])
    part, (refused, why) = runtime.configuration.now.part, runtime.configuration.part_refused
    return NodePartView(
        accepts=True,
        revision=part.revision,
        refused=refused or part.set_aside,
        why=why or part.why,
        kept=list(part.kept),
    )


def configuration_of(runtime: Runtime, found: Node) -> NodeConfigurationView | None:
    """Show how a machine is with the models that it is to have from here; None where it is given none."""
    wanted = runtime.machines.parts.get(found.name)
    state = standing(found, wanted) if wanted is not None else PartStanding.NONE
    if wanted is None or state is PartStanding.NONE:
        return None
    report = found.report.part if found.report is not None else None
    kept = report.kept if report is not None and state is PartStanding.CURRENT else ()
    return NodeConfigurationView(
        state=state, why=why_standing(found, wanted), models=list(wanted.models), kept=list(kept)
    )
