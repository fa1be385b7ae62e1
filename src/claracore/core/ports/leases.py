"""Who has which port right now, and which one may a model try next?

The table behind `sockets/ports.py`: it knows the plan and what was given out, never what the kernel thinks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from claracore.core.ports.ranges import LAST_PORT, PortPlan


class SkippedPorts:
    """Ports that are skipped: `after` steps over them all at once, however many they are (union by path halving).

    `refused` are those that could not be had while it is used, and who has them.
    """

    def __init__(self, ports: Iterable[int]) -> None:
        self.refused: dict[int, str] = {}
        self._next = {port: port + 1 for port in ports}

    def add(self, port: int) -> None:
        """Skip one more."""
        self._next.setdefault(port, port + 1)

    def after(self, port: int) -> int:
        """Return the first port from here on that is not skipped."""
        following = self._next
        while port in following:
            beyond = following[port]
            following[port] = port = following.get(beyond, beyond)
        return port

    def left_in(self, area: range) -> Iterator[int]:
        """Yield the ports of an area that are not skipped, also by what is added meanwhile."""
        port = self.after(area.start)
        while port < area.stop:
            yield port
            port = self.after(port + 1)


class Leases:
    """A table of ports given to models: one port a model, and never one that another model has or is planned for."""

    def __init__(self, plan: PortPlan) -> None:
        self.given: dict[str, int] = {}
        self._having: dict[int, set[str]] = {}
        """The models of each port that is given; more than one have a port that stands in their commands."""
        self.blocked: dict[int, str] = {}
        """Ports that a stranger or another instance had when we last asked, and who it was."""
        self.replan(plan)

    def replan(self, plan: PortPlan) -> None:
        """Replace the plan; what is given stays given until it is released."""
        self.plan = plan
        self.blocked.clear()
        self._planned_for = {port: model_id for model_id, port in plan.assignment.items()}
        self._overflow = overflow_start(plan)

    def skipped(self) -> SkippedPorts:
        """Return the ports of which no model needs to try one that is neither planned for it nor has it."""
        return SkippedPorts(chain(self._planned_for, self._having, self.plan.reserved))

    def candidates(
        self, model_id: str, avoid: Collection[int] = (), skipped: SkippedPorts | None = None
    ) -> Iterator[int]:
        """Yield the ports that the model may try, best first.

        The planned one, the one it has, the rest of its range, and behind an implied end the ports after the last
        range. Never a reserved port, another model's, or one to avoid. Who asks for many models hands in what
        `skipped` gave for the first of them.
        """
        mine = dict.fromkeys(
            port for port in (self.plan.assignment.get(model_id), self.given.get(model_id)) if port is not None
        )
        for port in mine:
            is_planned_for_other = self._planned_for.get(port, model_id) != model_id
            barred = is_planned_for_other or self._is_others(port, model_id) or port in self.plan.reserved
            if not barred and port not in avoid:
                yield port
        skipped = skipped or self.skipped()
        for area in self._beyond(model_id):
            for port in skipped.left_in(area):
                if port not in avoid:
                    yield port

    def _is_others(self, port: int, model_id: str) -> bool:
        """Whether the port is given to another model."""
        having = self._having.get(port)
        return having is not None and having != {model_id}

    def _beyond(self, model_id: str) -> tuple[range, ...]:
        """Return where else the model may be, best first."""
        home = self.plan.range_of(model_id)
        if home is None:
            return ()
        planned = self.plan.assignment.get(model_id)
        middle = planned if planned is not None and planned in home else home.start
        overflow = range(0) if home.explicit_end else range(self._overflow, LAST_PORT + 1)
        return range(middle, home.end + 1), range(home.start, middle), overflow

    def give(self, model_id: str, port: int) -> None:
        """Note that the model has the port now; it loses the one it had."""
        self.release(model_id)
        self.given[model_id] = port
        self._having.setdefault(port, set()).add(model_id)
        self.blocked.pop(port, None)

    def release(self, model_id: str) -> None:
        """Note that the model has no port any more."""
        port = self.given.pop(model_id, None)
        if port is not None:
            having = self._having[port]
            having.discard(model_id)
            if not having:
                del self._having[port]

    def block(self, port: int, why: str) -> None:
        """Note who else has the port."""
        self.blocked[port] = why


def overflow_start(plan: PortPlan) -> int:
    """Return the first port behind the last range; behind its highest assigned port when it has no end of its own."""
    if not plan.ranges:
        return LAST_PORT + 1
    last = max(plan.ranges, key=lambda stretch: stretch.start)
    if last.explicit_end:
        return last.end + 1
    return max((port for port in plan.assignment.values() if port in last), default=last.start - 1) + 1
