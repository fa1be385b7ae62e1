"""Which program is meant by `llama-server` in a command, and why that one?

A command that names a path means that file. The bare word means the first of these that runs: what the configuration's
`engine` names, the installed build that is in use, what is on PATH, the embedded engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

PlaceKind = Literal["configured", "used", "path", "embedded"]
WORDS: Final[dict[PlaceKind, str]] = {
    "configured": "`engine` of the configuration",
    "used": "the installed build in use (`claracore engines use`)",
    "path": "llama-server on PATH",
    "embedded": "the embedded engine (pip install 'claracore[engine]')",
}
WRITTEN: Final = "a path that stands in the command itself"


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """One place where an engine may be."""

    kind: PlaceKind
    path: str = ""
    """Of the program; empty where nothing is there."""
    problem: str = ""
    """Why it does not run; empty where it does."""

    @property
    def runs(self) -> bool:
        """Whether it is there and runs."""
        return bool(self.path) and not self.problem


def active_place(places: Sequence[EnginePlace]) -> EnginePlace | None:
    """Return the place that is meant; None where no engine runs."""
    return next((place for place in places if place.runs), None)


def explained_order(places: Sequence[EnginePlace]) -> list[str]:
    """Return a sentence for each place, in order."""
    active = active_place(places)
    lines = [f"1. {WRITTEN}"]
    for number, place in enumerate(places, 2):
        if place is active:
            state = f"this one is meant: {place.path}"
        elif place.runs:
            state = f"{place.path}, not asked"
        else:
            state = f"{place.path} does not run: {place.problem}" if place.path else "none"
        lines.append(f"{number}. {WORDS[place.kind]}: {state}")
    return lines
