"""Who has which port right now, and which one may a model try next?

The table behind `sockets/ports.py`: it knows the plan and what was given out, never what the kernel thinks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

from claracore.ports.ranges import LAST_PORT, PortPlan


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
        """Follow a new plan; what is given stays given until it is released."""
        self.plan = plan
        self.blocked.clear()
        self._planned_for = {port: model_id for model_id, port in plan.assignment.items()}
        self._overflow = overflow_start(plan)

    def candidates(self, model_id: str, avoid: Collection[int] = ()) -> Iterator[int]:
        """Yield the ports that the model may try, best first.

        The planned one, the one it has, the rest of its range, and behind an implied end the ports after the last
        range (P4). Never a reserved port, another model's, or one to avoid.
        """
        tried = set()
        for port in self._in_order(model_id):
            ours = self._planned_for.get(port, model_id) == model_id
            if ours and not (
                port in tried or self._is_others(port, model_id) or port in avoid or port in self.plan.reserved
            ):
                tried.add(port)
                yield port

    def _is_others(self, port: int, model_id: str) -> bool:
        """Whether the port is given to another model."""
        having = self._having.get(port)
        return having is not None and having != {model_id}

    def _in_order(self, model_id: str) -> Iterator[int]:
        planned = self.plan.assignment.get(model_id)
        current = self.given.get(model_id)
        first = [port for port in (planned, current) if port is not None]
        home = self.plan.range_of(model_id)
        if home is None:
            return iter(first)
        middle = planned if planned is not None and planned in home else home.start
        overflow = range(0) if home.explicit_end else range(self._overflow, LAST_PORT + 1)
        return chain(first, range(middle, home.end + 1), range(home.start, middle), overflow)

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
