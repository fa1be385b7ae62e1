"""What came of looking at one thing on this machine?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `way_out` says what to do when it is not `ok`."""

    name: str
    ok: bool
    message: str
    way_out: str = ""
