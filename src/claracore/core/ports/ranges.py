"""Which stretch of ports belongs to whom?

A value shared by the plan, the leases and the reports; how ranges are drawn from a configuration is in `declare.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from claracore.core.ports.containers import Container
from claracore.core.ports.listen import Listen
from claracore.types import Endpoint, Finding, Place

LAST_PORT = 65535
UNGROUPED = "(default)"
"""The range of all models whose group has no startPort."""


@dataclass(frozen=True, slots=True)
class Range:
    """The ports `start` to `end`, both included, for `members` (model ids, sorted).

    `explicit_end` is True when the configuration says `endPort`: a hard limit, nothing overflows.
    """

    name: str
    start: int
    end: int
    members: tuple[str, ...] = ()
    explicit_end: bool = False
    place: Place | None = None
    """Where startPort stands; None when it is the built-in default."""

    @property
    def path(self) -> str:
        """The dotted path of the startPort that begins this range."""
        return "startPort" if self.name == UNGROUPED else f"groups.{self.name}.startPort"

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return "the common range" if self.name == UNGROUPED else f'group "{self.name}"'

    def __contains__(self, port: int) -> bool:
        return self.start <= port <= self.end

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def runs(ports: Iterable[int]) -> list[tuple[int, int]]:
    """Return ports as stretches without gaps, each as (first, last).

    >>> runs([6400, 6379, 6401, 6380])
    [(6379, 6380), (6400, 6401)]
    """
    found: list[tuple[int, int]] = []
    for port in sorted(ports):
        begin = found.pop()[0] if found and found[-1][1] == port - 1 else port
        found.append((begin, port))
    return found


@dataclass(frozen=True, slots=True)
class PortPlan:
    """Who is to have which port, before anything runs.

    `assignment` has every model that is given a port, `fixed` those whose port stands in their own cmd or proxy,
    `reserved` all ports that are never given out: the web port, the fixed ones and Ray's.
    """

    web: Listen
    ranges: tuple[Range, ...] = ()
    assignment: Mapping[str, int] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)
    reserved: frozenset[int] = frozenset()
    external: frozenset[str] = frozenset()
    """Models that only point at a server which somebody else runs: we start nothing and verify nobody."""
    containers: Mapping[str, Container] = field(default_factory=dict)
    """Models whose command runs a container: a runtime binds their port, not our child."""
    detached: Mapping[str, Endpoint] = field(default_factory=dict)
    """Models whose command does not name the port of their proxy: an external server may be there, of our own user."""
    unchecked: frozenset[str] = frozenset()
    """Models with `owner: any`: whoever is on their port already is theirs."""
    unusable: Mapping[str, Finding] = field(default_factory=dict)
    """Models that cannot be served because of their fixed port, and why; the others can."""
    findings: tuple[Finding, ...] = ()
    ray: Mapping[int, str] = field(default_factory=dict)
    """What Ray has or is to have here, each with its purpose; among the reserved ones."""
    ollama: Listen | None = None
    """Where clients of Ollama find us too; None for nowhere."""
    _homes: Mapping[str, Range] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the members of the ranges, so that `range_of` is a look-up."""
        homes = {model_id: stretch for stretch in reversed(self.ranges) for model_id in stretch.members}
        object.__setattr__(self, "_homes", homes)

    @property
    def claimed(self) -> frozenset[int]:
        """All ports that models have or name: what `--listen auto` has to keep away from."""
        ours = {self.web.port, self.ollama.port} if self.ollama is not None else {self.web.port}
        return (self.reserved - ours) | {*self.assignment.values(), *self.fixed.values()}

    def range_of(self, model_id: str) -> Range | None:
        """Return the range that the model is to be given a port from."""
        return self._homes.get(model_id)

    def in_ranges(self) -> Iterator[tuple[Range, list[tuple[int, str]]]]:
        """Give each range with what is assigned in it, as (port, model), by port."""
        by_port = sorted((port, model_id) for model_id, port in self.assignment.items())
        for stretch in self.ranges:
            first = bisect_left(by_port, (stretch.start,))
            yield stretch, by_port[first : bisect_left(by_port, (stretch.end + 1,), first)]
