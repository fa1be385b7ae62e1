"""Which model is planned on which port?

Without history a pure function of the configuration: model ids sorted within their range. With it every model keeps its
port, and the ports of models that are gone are given away last, the one freed longest ago first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from claracore.core.ports.leases import overflow_start
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import LAST_PORT, PortPlan, Range


class Assignment:
    """The ports of a plan while it is being made.

    `homeless` are the models that found no port at all, `overflowed` those that found one outside their full range. A
    port outside is on loan: a range that has room for all again takes them back. This is the one exception from keeping
    the port, and on purpose: history tells only ports, not ranges, so keeping it would also keep models where a
    startPort was that the person has changed since.
    """

    def __init__(self, ranges: Sequence[Range], reserved: Collection[int], history: Mapping[str, int]) -> None:
        self.ports: dict[str, int] = {}
        self.homeless: dict[str, Range] = {}
        self._ranges = ranges
        self._in_order = sorted(set(reserved))
        self._taken = set(reserved)
        self._history = history
        planned = {model_id for stretch in ranges for model_id in stretch.members}
        self._left_behind = {port: None for model_id, port in history.items() if model_id not in planned}
        """Ports of models that are gone, in the order in which they were freed."""
        for stretch in ranges:
            self._keep(stretch.members, range(stretch.start, stretch.end + 1))
        for stretch in ranges:
            if not stretch.explicit_end and len(stretch.members) > self.capacity(stretch):
                self._keep(stretch.members, self._behind_all())
        for stretch in ranges:
            self._fill(stretch)
        self._place_the_homeless()
        self.overflowed = {
            model_id: stretch
            for stretch in ranges
            for model_id in stretch.members
            if model_id in self.ports and self.ports[model_id] not in stretch
        }

    def capacity(self, stretch: Range) -> int:
        """Return how many models fit into the range beside the reserved ports."""
        return max(0, stretch.end - stretch.start + 1) - (
            bisect_right(self._in_order, stretch.end) - bisect_left(self._in_order, stretch.start)
        )

    def _keep(self, members: Iterable[str], area: range) -> None:
        """Give members the port they had, as far as it still lies in the area."""
        for model_id in members:
            port = self._history.get(model_id)
            if port is not None and port in area and port not in self._taken:
                self._assign(model_id, port)

    def _fill(self, stretch: Range) -> None:
        free = self._free(range(stretch.start, stretch.end + 1))
        for model_id in stretch.members:
            if model_id not in self.ports:
                port = next(free, None)
                if port is None:
                    self.homeless[model_id] = stretch
                else:
                    self._assign(model_id, port)

    def _free(self, area: range) -> Iterator[int]:
        """Yield free ports of the area, never used ones first."""
        for port in area:
            if port not in self._taken and port not in self._left_behind:
                yield port
        for port in list(self._left_behind):
            if port in area and port not in self._taken:
                yield port

    def _assign(self, model_id: str, port: int) -> None:
        self.ports[model_id] = port
        self._taken.add(port)
        self._left_behind.pop(port, None)

    def _place_the_homeless(self) -> None:
        """Let members beyond an implied end overflow to the first free ports after the last range."""
        movable = {name: stretch for name, stretch in sorted(self.homeless.items()) if not stretch.explicit_end}
        if not movable:
            return
        start = overflow_start(PortPlan(Listen(), tuple(self._ranges), self.ports))
        free = self._free(range(start, LAST_PORT + 1))
        for model_id in movable:
            port = next(free, None)
            if port is None:
                return
            self._assign(model_id, port)
            del self.homeless[model_id]

    def _behind_all(self) -> range:
        """Return where overflowed models may have been: behind an explicit end, or the open tail of the last range."""
        last = max(self._ranges, key=lambda stretch: stretch.start)
        return range(last.end + 1 if last.explicit_end else last.start, LAST_PORT + 1)
