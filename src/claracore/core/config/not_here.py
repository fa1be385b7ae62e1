"""What follows from a name that only a machine could have which is to join?

Pure. `desk/qwen` is a model of the machine `desk`. A file knows the machines under `peers`, and nothing of those that
join by an invitation: a name of theirs may be written, and counts while the machine is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from claracore.core.cluster.invitation import is_node_name
from claracore.core.config.model import Config
from claracore.core.config.report import NodePath, Say
from claracore.types import Finding


def machine_to_join(config: Config, name: str, known: Iterable[str]) -> str:
    """Return the machine that a model's name names and that may join one day; empty where there can be none.

    There is none of a peer's name. Where `known` names begin like that, too, one of these was meant.
    """
    machine, slash, model = name.partition("/")
    if not (slash and model) or not is_node_name(machine) or machine in config.peers:
        return ""
    return "" if any(other.startswith(f"{machine}/") for other in known) else machine


def report_missing(
    config: Config, name: str, path: NodePath, known: Collection[str], *, error: Say, warn: Say, way_out: str
) -> None:
    """Report a name that no model here has: an error, unless a machine that is to join may have it."""
    machine = machine_to_join(config, name, known)
    if machine:
        warn(path, no_machine(machine), way_out)
    else:
        error(path, f"there is no model {name!r}", way_out)


def no_machine(name: str) -> str:
    """Return what is said of a machine that the file does not know."""
    return f"there is no machine {name!r} here; it counts if one of that name has joined"


def without_joined(findings: Iterable[Finding], joined: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings but for those that there is no machine which has joined."""
    settled = {no_machine(name) for name in joined}
    return tuple(finding for finding in findings if finding.message not in settled)
