"""Which ranges does a configuration declare?

A group with startPort is a range of its own, everything else shares the common one. A range ends where the next begins,
at an explicit endPort, or at 65535.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from claracore.core.config.command import uses_port
from claracore.core.config.model import Config
from claracore.core.config.ranks import master_port_name, uses_master_port
from claracore.core.ports.ranges import LAST_PORT, UNGROUPED, Range
from claracore.types import Finding, Place


def declared_ranges(config: Config, places: Mapping[str, Place]) -> tuple[tuple[Range, ...], list[Finding]]:
    """Return the ranges by their first port, and errors for those that cannot be: overlap, end before start."""
    members = _members(config)
    ranges = [Range(UNGROUPED, config.start_port, LAST_PORT, members.get(UNGROUPED, ()), place=places.get("startPort"))]
    findings: list[Finding] = []
    for name, group in config.groups.items():
        if group.start_port is None:
            if group.end_port is not None:
                findings.append(_end_without_start(name, places))
            continue
        end = group.end_port or LAST_PORT
        place = _place(name, "startPort", places)
        stretch = Range(name, group.start_port, end, members.get(name, ()), group.end_port is not None, place)
        if end < stretch.start:
            findings.append(_end_before_start(stretch, places))
        ranges.append(stretch)
    # The common range before a group's that begins at the same port: it is the one that gives way.
    ranges.sort(key=lambda stretch: (stretch.start, stretch.name != UNGROUPED))
    return _with_ends(ranges), findings + _overlaps(ranges, places)


def _members(config: Config) -> dict[str, tuple[str, ...]]:
    """Return for each range who needs a port from it, sorted: models, and after one where its ranks meet."""
    members: dict[str, list[str]] = {}
    for model_id, model in sorted(config.models.items()):
        needed = [model_id] if uses_port(model) else []
        if uses_master_port(model):
            needed.append(master_port_name(model_id))
        if needed:
            group = config.groups.get(config.group_of(model_id))
            own = group is not None and group.start_port is not None
            members.setdefault(config.group_of(model_id) if own else UNGROUPED, []).extend(needed)
    return {name: tuple(models) for name, models in members.items()}


def _with_ends(ranges: list[Range]) -> tuple[Range, ...]:
    """Let each range without an endPort end where the next one begins."""
    ended = [
        this if this.explicit_end else replace(this, end=min(this.end, following.start - 1))
        for this, following in pairwise(ranges)
    ]
    return (*ended, *ranges[-1:])


def _overlaps(ranges: list[Range], places: Mapping[str, Place]) -> list[Finding]:
    findings = []
    for this, following in pairwise(ranges):
        if this.start == following.start and this.name != UNGROUPED:
            findings.append(
                Finding(
                    "error",
                    f'groups "{this.name}" and "{following.name}" both begin at port {this.start}',
                    following.path,
                    following.place,
                    "give one of them another startPort",
                )
            )
        elif this.explicit_end and this.end >= following.start:
            path = f"groups.{this.name}.endPort"
            findings.append(
                Finding(
                    "error",
                    f'the range {this} of group "{this.name}" runs into {following.title}, '
                    f"which begins at {following.start}",
                    path,
                    _place(this.name, "endPort", places),
                    f"set endPort to {following.start - 1} or less, or begin {following.title} at {this.end + 1}",
                )
            )
    return findings


def _end_before_start(stretch: Range, places: Mapping[str, Place]) -> Finding:
    path = f"groups.{stretch.name}.endPort"
    message = f"endPort {stretch.end} lies before startPort {stretch.start}"
    place = _place(stretch.name, "endPort", places)
    return Finding("error", message, path, place, f"set endPort to {stretch.start} or more, or remove it")


def _end_without_start(name: str, places: Mapping[str, Place]) -> Finding:
    path = f"groups.{name}.endPort"
    message = f'group "{name}" has an endPort but no startPort, so it shares the common range'
    return Finding(
        "error", message, path, _place(name, "endPort", places), "add startPort to the group, or remove endPort"
    )


def _place(name: str, key: str, places: Mapping[str, Place]) -> Place | None:
    """Return where a group's option stands: groups may be at the top or under routing."""
    path = f"groups.{name}.{key}"
    return places.get(path) or places.get(f"routing.router.settings.{path}")
