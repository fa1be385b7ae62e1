"""Which port does each model listen on?

A pure function from the configuration, the web listener and what was given before to a plan: ranges, reserved ports,
fixed ports, an assignment, and everything a person should know about it. It does not ask the kernel: whether a planned
port is free right now is found out by `sockets/ports.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from claracore.core.cluster.ray_ports import RayRole, ray_ports
from claracore.core.config.model import Config
from claracore.core.ports import clashes, findings
from claracore.core.ports.assign import Assignment
from claracore.core.ports.declare import declared_ranges
from claracore.core.ports.fixed import claim_of
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan
from claracore.core.ports.second import second_address
from claracore.types import Finding, Place

NO_HISTORY: Mapping[str, int] = {}


def plan(
    config: Config,
    listen: Listen,
    *,
    places: Mapping[str, Place],
    history: Mapping[str, int] = NO_HISTORY,
    ephemeral: range | None = None,
    ephemeral_except: Collection[int] = (),
    privileged_below: int = 1024,
    own_hosts: Collection[str] = (),
    ollama: bool = False,
    ray: RayRole = RayRole.NONE,
) -> PortPlan:
    """Return the plan for a configuration.

    `history` maps model ids to the ports they had, those that are gone in the order in which they left. `ephemeral` is
    the kernel's range for outgoing connections, less `ephemeral_except`; this user may not bind ports below
    `privileged_below`; `own_hosts` are names and addresses of this host besides loopback; `ollama`: clients of Ollama
    are to find us where they look, if the configuration does not say where; `ray`: as whose Ray is to run here. A model
    for which there is no port is missing from the assignment and named by an error finding.
    """
    ranges, problems = declared_ranges(config, places)
    second, wrong = second_address(config, listen, wanted=ollama, places=places)
    claims = {model_id: claim_of(model, own_hosts) for model_id, model in sorted(config.models.items())}
    own = {address.port for address in (listen, second) if address is not None}
    of_ray = ray_ports(config.cluster, ray)
    reserved = frozenset(port for claim in claims.values() for port in claim.ports) | own | of_ray.keys()
    assignment = Assignment(ranges, reserved, history)
    made = PortPlan(
        web=listen,
        ollama=second,
        ranges=ranges,
        assignment=assignment.ports,
        fixed={model_id: claim.ports[0] for model_id, claim in claims.items() if claim.ports},
        reserved=reserved,
        ray=of_ray,
        external=frozenset(model_id for model_id, claim in claims.items() if not claim.starts),
        containers={model_id: claim.container for model_id, claim in claims.items() if claim.container is not None},
        detached={model_id: claim.detached for model_id, claim in claims.items() if claim.detached is not None},
        unchecked=frozenset(model_id for model_id in claims if config.models[model_id].owner == "any"),
        unusable=clashes.clashes(config, claims, own, places),
    )
    found: list[Finding] = [
        *(*problems, *wrong),
        *made.unusable.values(),
        *clashes.borrowed(claims, places),
        *findings.exhausted(assignment, ranges, places),
        *findings.met(made, privileged_below, ephemeral, ephemeral_except, places),
    ]
    return replace(made, findings=tuple(found))
