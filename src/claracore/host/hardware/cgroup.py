"""Which limits do control groups put on this process?

Version 2: one tree, `memory.max` and `cpu.max`; version 1: a tree per controller, `memory.limit_in_bytes` and
`cpu.cfs_quota_us`. A limit anywhere between our group and the root of the mount counts, so all of them are read and
the smallest wins. Inside a container /proc/self/cgroup may name a path that is not visible there; the group is then
the mount's own root. Formats: kernel.org, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from claracore.host.hardware.tree import Tree, whole_number

UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest page-aligned 63-bit number; nobody has an exbibyte."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The smallest limits found; None means unlimited. `used_bytes` belongs to the group of `memory_bytes`."""

    memory_bytes: int | None = None
    used_bytes: int = 0
    processors: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """One cgroup mount: where it is seen, which part of the hierarchy it shows, its controllers ("" is version 2)."""

    point: str
    root: str
    controllers: frozenset[str]


def parse_membership(text: str) -> dict[str, str]:
    """Parse /proc/self/cgroup to controller -> path; the version 2 line has the controller ""."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        for controller in controllers.split(","):
            paths[controller] = path or "/"
    return paths


def parse_mounts(text: str) -> list[Mount]:
    """Parse /proc/self/mountinfo; only cgroup and cgroup2 mounts are kept."""
    mounts = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if not dash or len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(tail[2].split(",")) if tail[0] == "cgroup" else frozenset({""})
        mounts.append(Mount(fields[4], fields[3], controllers))
    return mounts


def folders(mount: Mount, path: str) -> Iterator[str]:
    """Yield the group's folder and its parents up to the mount point, innermost first."""
    inside = PurePosixPath(path)
    try:
        relative = inside.relative_to(mount.root)
    except ValueError:
        relative = PurePosixPath(".")
    while True:
        yield str(PurePosixPath(mount.point) / relative)
        if relative == PurePosixPath("."):
            return
        relative = relative.parent


def read_limits(tree: Tree) -> Limits:
    """Read every limit that applies to this process."""
    paths = parse_membership(tree.text("/proc/self/cgroup") or "")
    mounts = parse_mounts(tree.text("/proc/self/mountinfo") or "")
    memory: tuple[int, int, str] | None = None
    processors: tuple[float, str] | None = None
    for mount in mounts:
        for controller in mount.controllers & paths.keys() & {"", "memory", "cpu"}:
            for folder in folders(mount, paths[controller]):
                found = _memory(tree, folder, controller)
                if found and (memory is None or found[0] < memory[0]):
                    memory = found
                quota = _processors(tree, folder, controller)
                if quota and (processors is None or quota[0] < processors[0]):
                    processors = quota
    return Limits(
        memory_bytes=memory[0] if memory else None,
        used_bytes=memory[1] if memory else 0,
        processors=processors[0] if processors else None,
        source=", ".join(part for part in (memory and memory[2], processors and processors[1]) if part),
    )


def _memory(tree: Tree, folder: str, controller: str) -> tuple[int, int, str] | None:
    if controller == "cpu":
        return None
    limit_name, used_name, cached_name = (
        ("memory.max", "memory.current", "inactive_file")
        if controller == ""
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    limit = tree.number(f"{folder}/{limit_name}")
    if limit is None or limit >= UNLIMITED:
        return None
    used = tree.number(f"{folder}/{used_name}") or 0
    # Page cache that nobody uses is given back before the limit hurts; the kernel counts it as used.
    cached = _statistic(tree.text(f"{folder}/memory.stat") or "", cached_name)
    return limit, max(0, used - cached), f"{folder}/{limit_name}"


def _processors(tree: Tree, folder: str, controller: str) -> tuple[float, str] | None:
    if controller == "memory":
        return None
    if controller == "":
        name, words = "cpu.max", (tree.text(f"{folder}/cpu.max") or "").split()
    else:
        name = "cpu.cfs_quota_us"
        words = [tree.text(f"{folder}/cpu.cfs_quota_us") or "", tree.text(f"{folder}/cpu.cfs_period_us") or ""]
    numbers = [whole_number(word) for word in words]
    match numbers:
        case [int(quota), int(period)] if quota > 0 and period > 0:
            return quota / period, f"{folder}/{name}"
        case _:
            return None


def _statistic(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return whole_number(value) or 0
    return 0
