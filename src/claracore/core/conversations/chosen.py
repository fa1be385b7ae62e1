"""Which slot does an engine say it has taken for a prompt, and how much of it goes on with what is there?

llama-server prints it for each prompt, before it reads it (tools/server/server-context.cpp, `get_available_slot`):
`id  0 | task -1 | selected slot by LCP similarity, f_sim_best = 0.992 (> 0.100 thold), f_keep = 1.000`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MARK: Final = "selected slot by "
LINE: Final = re.compile(
    r"id +(\d{1,4}) \| .*selected slot by (?:LCP similarity, (?:f_)?sim_best = ([\d.]+) .*f_keep = )?([\d.]*)"
)


@dataclass(frozen=True, slots=True)
class ChosenSlot:
    """What is said of one prompt; both parts are 0 where nothing in the slot was like it."""

    slot: int
    similar: float
    """The part of the prompt that is in the slot, 0 to 1."""
    kept: float
    """The part of what is in the slot that the prompt begins with, 0 to 1."""


def chosen_slot(line: str) -> ChosenSlot | None:
    """Return what a line of an engine's output says of the slot for a prompt; None for any other line."""
    match = LINE.search(line) if MARK in line else None
    if match is None:
        return None
    try:
        return ChosenSlot(int(match[1]), float(match[2] or 0), float(match[3] or 0) if match[2] else 0.0)
    except ValueError:
        return None
