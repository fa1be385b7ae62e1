"""Which ports did models have before, so that they get them again?

The pure half: what to remember after a plan. Keeping it on disk is the business of `sockets/history.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.ports.ranges import PortPlan

REMEMBERED_DEPARTED = 64
"""So many models that are gone keep their port out of use; then the one that left first loses it."""


def remember(history: Mapping[str, int], plan: PortPlan) -> dict[str, int]:
    """Return the history after a plan: first the models that are gone, in the order in which they left.

    A port that was given to somebody else is remembered for its present model only.
    """
    taken = set(plan.assignment.values())
    gone = {
        model_id: port for model_id, port in history.items() if model_id not in plan.assignment and port not in taken
    }
    kept = list(gone.items())[-REMEMBERED_DEPARTED:]
    return {**dict(kept), **plan.assignment}
