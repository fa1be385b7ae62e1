"""How much does a model take that did not fit into what was counted for it?

What a server says when it runs out is one step of many: what it asked for last, rarely what it had by then. So the
larger need is as sure as the message: all of it where it tells both; else what was there for it and what it asked for
beyond, as far as the device goes; else all that the device has.
"""

from __future__ import annotations

from typing import Final

from claracore.core.memory.allocation_errors import AllocationError
from claracore.core.units import MIB

LEAST_MORE: Final = 64 * MIB
"""By so much at least it needs more than there was."""


def larger_need(error: AllocationError, known: int, available: int, usable: int) -> int:
    """Return the bytes that a model is taken to need of a device on which it ran out of memory.

    `known` is what it was thought to take, `available` what was there for it beside others, `usable` what all models
    may take together. More than that is returned only where the message proves it.
    """
    beyond = max(known, available + LEAST_MORE)
    if error.needs is not None:
        return max(error.needs, min(beyond, max(usable, known)))
    if error.asked is None:
        return max(known, usable)
    return max(known, min(usable, max(known, available) + max(error.asked, LEAST_MORE)))
