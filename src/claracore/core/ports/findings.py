"""What should a person know about a port plan before anything runs?

Each check returns findings with a severity, a place and a way out. Nothing here changes the plan.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from claracore.core.ports.assign import Assignment
from claracore.core.ports.listen import Listen
from claracore.core.ports.messages import in_file
from claracore.core.ports.ranges import UNGROUPED, PortPlan, Range
from claracore.core.ports.tenants import WELL_KNOWN
from claracore.core.units import counted
from claracore.types import Finding, Place

NAMES_SHOWN = 5


def exhausted(assignment: Assignment, ranges: Sequence[Range], places: Mapping[str, Place]) -> Iterator[Finding]:
    """Too many members: an error behind an explicit end or 65535, a warning where they overflow."""
    homeless, overflowed = _by_home(assignment.homeless), _by_home(assignment.overflowed)
    for stretch in ranges:
        lacking, moved = homeless.get(stretch.name, []), overflowed.get(stretch.name, [])
        if lacking and stretch.end >= stretch.start:  # else that is what is wrong, and it has been said
            yield _lacking(stretch, lacking, assignment.capacity(stretch), places)
        if moved:
            yield _overflowed(stretch, moved, assignment, ranges)


def _by_home(models: Mapping[str, Range]) -> dict[str, list[str]]:
    """Return the models by the name of their range."""
    found: dict[str, list[str]] = {}
    for model_id, home in models.items():
        found.setdefault(home.name, []).append(model_id)
    return found


def _lacking(stretch: Range, lacking: list[str], capacity: int, places: Mapping[str, Place]) -> Finding:
    path = f"groups.{stretch.name}.endPort" if stretch.explicit_end else stretch.path
    out = (
        f"set endPort to {stretch.end + len(lacking)} or more, or move models to another group"
        if stretch.explicit_end and stretch.end + len(lacking) <= 65535
        else f"set {stretch.path} to a lower port"
    )
    return Finding(
        "error",
        f"{stretch.title} ({stretch}) has {counted(len(stretch.members), 'model')} but room for {capacity}: "
        f"{len(lacking)} {_ports(len(lacking))} short ({_some(lacking)})",
        path,
        places.get(path) or stretch.place,
        out,
    )


def _overflowed(stretch: Range, moved: list[str], assignment: Assignment, ranges: Sequence[Range]) -> Finding:
    following = next((other for other in ranges if other.start > stretch.end and other is not stretch), None)
    where = in_file(following.place) if following and following.place else ""
    ports = sorted(assignment.ports[model_id] for model_id in moved)
    out = f"move {following.path} to {following.start + len(moved)}{where} to keep them together" if following else ""
    if stretch.end < stretch.start and following is not None:
        problem = f"{stretch.title} has no ports, because {following.title} begins at {following.start} too"
    else:
        problem = f"{stretch.title} ({stretch}) is too small for its {counted(len(stretch.members), 'model')}"
    return Finding(
        "warning",
        f"{problem}: {_some(moved)} {'go' if len(moved) > 1 else 'goes'} to {_some(ports)}",
        stretch.path,
        stretch.place,
        out,
    )


def culprit(model_id: str, places: Mapping[str, Place]) -> str:
    """Return the path of the option that most likely names the port."""
    path = f"models.{model_id}.cmd"
    return path if path in places or f"models.{model_id}.proxy" not in places else f"models.{model_id}.proxy"


def met(
    plan: PortPlan,
    privileged_below: int,
    kernel_range: range | None,
    left_out: Collection[int],
    places: Mapping[str, Place],
) -> Iterator[Finding]:
    """Whom planned ports meet: the web port, the rights of this user, the kernel, other programs, Ray."""
    yield from old_start_port(plan.web, plan.ranges)
    yield from privileged(plan, privileged_below, places)
    yield from ephemeral(plan, kernel_range, left_out)
    yield from tenants(plan)
    yield from of_ray(plan, places)


def old_start_port(listen: Listen, ranges: Sequence[Range]) -> Iterator[Finding]:
    """Find a range that begins at the web port: harmless, but not what a person reads."""
    for stretch in ranges:
        if listen.port == stretch.start and stretch.members:
            yield Finding(
                "warning",
                f"{stretch.path} {stretch.start} is the web interface's own port; models begin at {stretch.start + 1}",
                stretch.path,
                stretch.place,
                "run `claracore config migrate` to set it to 8100" if stretch.name == UNGROUPED else "choose another",
            )


def privileged(plan: PortPlan, below: int, places: Mapping[str, Place]) -> Iterator[Finding]:
    """Ports that this user may not bind."""
    if 0 < plan.web.port < below:
        out = f"use --listen with a port from {below} on"
        yield Finding("error", f"this user may not listen on port {plan.web.port}", "", None, out)
    for stretch, given in plan.in_ranges():
        low = [port for port, _ in given if port < below]
        if low:
            message = f"ports below {below} need rights that this user does not have"
            yield Finding("error", message, stretch.path, stretch.place, f"set {stretch.path} to {below} or more")
    for model_id, port in plan.fixed.items():
        if port < below and not (model_id in plan.containers or model_id in plan.external):
            path = culprit(model_id, places)
            message = f"port {port} is below {below}; the model's server needs rights of its own to bind it"
            yield Finding("warning", message, path, places.get(path), "write ${PORT} instead of the number")


def ephemeral(plan: PortPlan, kernel_range: range | None, left_out: Collection[int]) -> Iterator[Finding]:
    """Ports that the kernel gives to outgoing connections of any process."""
    if kernel_range is None:
        return
    for stretch, given in plan.in_ranges():
        inside = [port for port, _ in given if port in kernel_range and port not in left_out]
        if inside:
            yield Finding(
                "warning",
                f"{_ports(len(inside))} {_some(inside)} of {stretch.title} {'lie' if len(inside) > 1 else 'lies'} in "
                f"{kernel_range.start}-{kernel_range.stop - 1}, where the kernel takes ports for outgoing connections",
                stretch.path,
                stretch.place,
                f"set {stretch.path} below {kernel_range.start}, or keep them free with "
                f"`sysctl net.ipv4.ip_local_reserved_ports={inside[0]}-{inside[-1]}`",
            )


def tenants(plan: PortPlan) -> Iterator[Finding]:
    """Planned ports at which another program is at home."""
    for stretch, given in plan.in_ranges():
        met = [port for port, _ in given if port in WELL_KNOWN]
        if met:
            known = ", ".join(f"{port} ({WELL_KNOWN[port]})" for port in met[:NAMES_SHOWN])
            yield Finding(
                "warning",
                f"models are given ports at which other programs are at home: {known}",
                stretch.path,
                stretch.place,
                f"if you run one of them, set {stretch.path} elsewhere, e.g. to {_quiet_start(plan, stretch)}",
            )


def of_ray(plan: PortPlan, places: Mapping[str, Place]) -> Iterator[Finding]:
    """Ports of Ray's that a model names itself, or on which we listen: Ray does not start while somebody has them."""
    for model_id, port in plan.fixed.items():
        if port in plan.ray:
            path = culprit(model_id, places)
            message = f"port {port} is Ray's here: {plan.ray[port]}; Ray waits while this model has it"
            out = "write ${PORT} instead of the number, or give Ray other ports (`cluster`)"
            yield Finding("warning", message, path, places.get(path), out)
    if plan.web.port in plan.ray:
        message = f"port {plan.web.port}, on which ClaraCore listens, is Ray's too: {plan.ray[plan.web.port]}"
        yield Finding("warning", message, "cluster", places.get("cluster"), "give Ray other ports (`cluster`)")


def _quiet_start(plan: PortPlan, stretch: Range) -> int:
    """Return a start near the present one from which all members get ports that are nobody's home."""
    need = len(stretch.members)
    busy = sorted(set(WELL_KNOWN) | {port for port in plan.assignment.values() if port not in stretch} | plan.reserved)
    for start in range((stretch.start // 100 + 1) * 100, 32768 - need, 100):
        if bisect_left(busy, start) == bisect_left(busy, start + need):
            return start
    return stretch.start


def _ports(count: int) -> str:
    return "port" if count == 1 else "ports"


def _some(values: Sequence[object]) -> str:
    """Return a few values as text: numbers as runs (8100-8104), names in quotes."""
    if values and all(isinstance(value, int) for value in values):
        runs = [_run([value for _, value in run]) for _, run in groupby(enumerate(values), _offset)]
        return ", ".join(runs[:NAMES_SHOWN]) + (", ..." if len(runs) > NAMES_SHOWN else "")
    names = ", ".join(f'"{value}"' for value in values[:NAMES_SHOWN])
    return names + (f" and {len(values) - NAMES_SHOWN} more" if len(values) > NAMES_SHOWN else "")


def _offset(item: tuple[int, object]) -> int:
    """Return a key that is the same for all members of a run of consecutive numbers."""
    index, value = item
    return int(str(value)) - index


def _run(values: list[object]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}"
