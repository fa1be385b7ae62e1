"""What is true about these ports right now, according to this host?

Combines the kernel (listeners, silent sockets, TIME_WAIT), the ledger (other instances) and, inside a running server,
what our own keeper knows. Asked by people and the web interface, never on the path of a request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from claracore.core.cluster.ray_ports import WORKER_PURPOSE
from claracore.core.config.model import Config
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan
from claracore.core.ports.report import Observation, PortState, ReportView, report, role_of
from claracore.core.ports.tenants import WELL_KNOWN
from claracore.host.sockets.bound import Stage
from claracore.host.sockets.hold import ANY
from claracore.host.sockets.host import ephemeral_range, reserved_ephemeral_ports
from claracore.host.sockets.kernel import listening_ports, sockets_on
from claracore.host.sockets.ledger import Instance, living_instances
from claracore.host.sockets.owner import describe_owner, owner_of
from claracore.host.sockets.ports import PortKeeper
from claracore.types import Finding

NAMED = 8
"""So many strangers on ports that nobody is planned for are named (~15 ms each), others only seen."""


def observe(plan: PortPlan, folder: Path | None, ray: Collection[int] = ()) -> dict[int, Observation]:
    """Return what this host says about every port of a plan, for a person without a running server.

    `folder` is the ledger's (`ledger.default_folder`), `ray` are the processes of our Ray.
    """
    instances = living_instances(folder)
    ports = {*plan.assignment.values(), *plan.fixed.values()}
    seen = {port: observe_port(port, instances) for port in ports}
    for listen in own_addresses(plan):
        seen[listen.port] = observe_web(listen)
    seen |= observe_ray(plan, ray, seen)
    seen |= _unplanned(plan, seen, instances)
    for model_id in (*plan.external, *plan.detached):
        port = plan.fixed.get(model_id)
        if port is not None and seen[port].state is PortState.STRANGER:
            seen[port] = Observation(PortState.EXTERNAL, None, seen[port].pid, seen[port].holder)
    return seen


def observe_ray(plan: PortPlan, ours: Collection[int], seen: Mapping[int, Observation]) -> dict[int, Observation]:
    """Return what there is to say of Ray's ports that are not `seen` yet; `ours` are the processes of our Ray.

    Of the many for its processes those only that somebody has.
    """
    listened = listening_ports() if plan.ray else frozenset()
    wanted = {port: purpose for port, purpose in plan.ray.items() if purpose != WORKER_PURPOSE or port in listened}
    found: dict[int, Observation] = {}
    for port, purpose in wanted.items():
        if port not in seen:
            there = observe_port(port)
            if there.pid in ours:
                there = Observation(PortState.SERVING, None, there.pid, f"our Ray: {there.holder}")
            found[port] = replace(there, note=f"Ray: {purpose}")
    return found


def observe_port(port: int, instances: Iterable[Instance] = (), *, host: str = ANY) -> Observation:
    """Return what this host says about one port."""
    entries = sockets_on(port, silent=True)
    lender = next((instance for instance in instances if port in instance.leases), None)
    owner = owner_of(port, host=host)
    if lender is not None:
        model = lender.leases[port]
        if owner is not None and owner.listening and owner.pid != lender.pid:
            holder = f'{describe_owner(owner)}, the server of model "{model}" of {lender}'
            return Observation(PortState.INSTANCE, model, owner.pid, holder)
        return Observation(PortState.INSTANCE, model, lender.pid, f'{lender}, which holds it for its model "{model}"')
    if owner is not None:
        return Observation(PortState.STRANGER, None, owner.pid, describe_owner(owner))
    if any(entry.stage is Stage.TIME_WAIT for entry in entries):
        return Observation(PortState.TIME_WAIT, note="remains of finished connections, for up to a minute")
    return Observation(PortState.FREE)


def own_addresses(plan: PortPlan) -> list[Listen]:
    """Return where ClaraCore itself is to be reached."""
    return [plan.web] if plan.ollama is None else [plan.web, plan.ollama]


def observe_web(listen: Listen) -> Observation:
    """Return who has the port of one of our own addresses."""
    return observe_port(listen.port, host=listen.host)


def observe_running(
    keeper: PortKeeper, serving: Mapping[str, int], ray: Collection[int] = ()
) -> dict[int, Observation]:
    """Return the truth of a running server; `serving` maps the models that are ready to the pid of their child.

    `ray` are the processes of our Ray.
    """
    plan = keeper.plan
    seen: dict[int, Observation] = {}
    with keeper.ledger.locked():
        lent = {port for instance in keeper.ledger.others() for port in instance.leases}
    for port, holder in keeper.leases.blocked.items():
        if port not in lent and not sockets_on(port, silent=True):
            continue  # whoever had it when we asked for it has left
        seen[port] = Observation(PortState.INSTANCE if port in lent else PortState.STRANGER, holder=holder)
    for model_id, port in keeper.leases.given.items():
        if model_id in serving:
            seen[port] = _serving(keeper, model_id, port, serving[model_id])
        elif keeper.is_leased(model_id):
            seen[port] = Observation(PortState.LEASED, model_id, None, f'model "{model_id}", which is starting')
        elif port in keeper.held:
            seen[port] = Observation(PortState.HELD, model_id, os.getpid(), f"ClaraCore (pid {os.getpid()})")
    for model_id, port in plan.fixed.items():
        if port not in seen:
            seen[port] = Observation(PortState.EXTERNAL if model_id in plan.external else PortState.FREE, model_id)
    for port in plan.assignment.values():
        seen.setdefault(port, Observation(PortState.FREE))
    us = Observation(PortState.SERVING, None, os.getpid(), f"ClaraCore (pid {os.getpid()})")
    seen[plan.web.port] = us
    if plan.ollama is not None:
        there = observe_web(plan.ollama)
        seen[plan.ollama.port] = us if there.pid == os.getpid() else there
    kept = {
        port: replace(now, note=f"Ray is to have it ({plan.ray[port]}) when it is given back")
        for port, now in seen.items()
        if port in plan.ray and now.model is not None
    }
    seen |= kept
    seen |= observe_ray(plan, ray, seen)
    return _unplanned(plan, seen) | seen


def _unplanned(
    plan: PortPlan, seen: Mapping[int, Observation], instances: Iterable[Instance] = ()
) -> dict[int, Observation]:
    """Return what there is to say of the ports of the ranges on which somebody listens though nobody is planned there.

    A range without an end goes to the last port there is, and so does this.
    """
    strange = listening_ports() - seen.keys()
    inside = sorted(port for port in strange if any(port in stretch for stretch in plan.ranges))
    found = {port: observe_port(port, instances) for port in inside[:NAMED]}
    return found | {
        port: Observation(PortState.STRANGER, note="ask for the port to see who it is") for port in inside[NAMED:]
    }


def _serving(keeper: PortKeeper, model_id: str, port: int, pid: int) -> Observation:
    """Return who serves a model that is ready: our child, or an external server that was there before."""
    if keeper.ledger.leases.get(port) == model_id:
        return Observation(PortState.SERVING, model_id, pid, f'model "{model_id}"')
    owner = owner_of(port)
    holder = describe_owner(owner) if owner is not None else ""
    return Observation(PortState.EXTERNAL, model_id, owner.pid if owner is not None else None, holder)


def running_report(
    keeper: PortKeeper,
    config: Config,
    serving: Mapping[str, int],
    more: Iterable[Finding] = (),
    ray: Collection[int] = (),
) -> ReportView:
    """Return the answer of `GET /api/ports`; `serving` and `ray` as of `observe_running`."""
    return report(keeper.plan, config, observe_running(keeper, serving, ray), findings=(*keeper.findings, *more))


def why(port: int, instances: Iterable[Instance] = ()) -> tuple[Observation, str]:
    """Return what this host says about a port, and the reason in a sentence for a person."""
    seen = observe_port(port, instances)
    return seen, sentence(port, seen)


async def why_running(
    port: int, keeper: PortKeeper, serving: Mapping[str, int], ray: Collection[int] = ()
) -> tuple[Observation, str]:
    """Return the same for a running server, which knows more about ports of its own; `serving`, `ray` as above."""
    ours = observe_running(keeper, serving, ray).get(port)
    if ours is not None and ours.holder:
        of_ray = ours.model is None and port in keeper.plan.ray  # then `reasons` says what it is for
        return replace(ours, note="" if of_ray else ours.note), sentence(port, ours)
    with keeper.ledger.locked():
        instances = keeper.ledger.others()
    return await asyncio.to_thread(why, port, instances)


def listener_words(port: int, seen: Observation) -> str:
    """Return what this host says of who listens on a port of ours: program, user, address, since when; blocking.

    Empty where nobody does, and where the sentence about the port says so already.
    """
    if seen.state not in {PortState.SERVING, PortState.LEASED, PortState.EXTERNAL}:
        return ""
    owner = owner_of(port)
    found = describe_owner(owner) if owner is not None and owner.listening else ""
    return f"there listens {found}" if found and found not in seen.holder else ""


def sentence(port: int, seen: Observation) -> str:
    """Return what was observed as a sentence for a person."""
    match seen.state:
        case PortState.FREE:
            return f"port {port} is free"
        case PortState.TIME_WAIT:
            return f"port {port} is free but for {seen.note} (TIME_WAIT); ClaraCore takes it all the same"
        case PortState.HELD:
            return f'port {port} is held by {seen.holder} for model "{seen.model}"'
        case PortState.SERVING if seen.model is not None:
            return f"port {port} is taken by the server of {seen.holder} (pid {seen.pid})"
        case _:
            return f"port {port} is taken by {seen.holder}"


def reasons(port: int, plan: PortPlan | None) -> list[str]:
    """Return what else there is to know about a port: the plan's wish, the kernel's range, who is at home there."""
    found = [role_of(port, plan)] if plan is not None else []
    kernel = ephemeral_range()
    if port in kernel and port not in reserved_ephemeral_ports():
        found.append(f"it lies in {kernel.start}-{kernel.stop - 1}, where the kernel takes ports for connections")
    if port in WELL_KNOWN:
        found.append(f"{WELL_KNOWN[port]} is at home there")
    return [reason for reason in found if reason]
