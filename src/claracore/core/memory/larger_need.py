"""How much does a model take that did not fit into what was counted for it?

What a server says when it runs out is one step of many: what it asked for last, rarely what it had by then. So the
larger need is as sure as the message: all of it where it tells both; else what was there for it and what it asked for
beyond, as far as the device goes; else all that the device has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claracore.core.memory.allocation_errors import AllocationError
from claracore.core.units import MIB

LEAST_MORE: Final = 64 * MIB
"""By so much at least it needs more than there was."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model is taken to need of a device."""

    bytes: int
    proven: bool
    """Whether its server has said so. What is not proven is never more than the device has."""


def larger_need(error: AllocationError, known: int, available: int, usable: int) -> Need:
    """Return what a model is taken to need of a device on which it ran out of memory.

    `known` is what it was thought to take, `available` what was there for it beside others, `usable` what all models
    may take together; bytes.
    """
    if error.needs is not None and error.needs > available:
        return Need(max(error.needs, known), proven=True)
    if error.asked is None:
        return Need(max(known, usable), proven=False)
    more = max(known, available) + max(error.asked, LEAST_MORE)
    return Need(max(known, min(usable, more)), proven=False)
