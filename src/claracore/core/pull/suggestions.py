"""Which models are suggested to somebody who has none, and which six of them suit a machine?

The list itself is data (`host/library/suggestions.toml`); here is what it must look like, and who is shown what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from claracore.core.fit.budget import Budget
from claracore.core.fit.size import BESIDE_WEIGHTS, SizeVerdict, by_size, speed_by_size
from claracore.core.fit.speed import MachineSpeed
from claracore.core.pull.reference import Reference, parse
from claracore.errors import BadRequest

SHOWN: Final = 6
USABLE: Final = 5.0
"""Tokens per second: who reads along is not much faster. What is slower is shown only when nothing else is left."""
PLEASANT: Final = 15.0
"""Of those that write so fast, and are handy, the largest is recommended."""
HANDY: Final = 0.5
"""What takes no more of the memory that is free leaves room for all else, and is fetched soon: a first model should."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One model of the list."""

    repo: str
    quantization: str
    name: str
    bytes: int
    """Of the model's files."""
    projector_bytes: int
    """Of what lets it see, which comes along; 0 for one that only reads."""
    parameters: int
    active_parameters: int
    """Used for one token; all, but for mixtures of experts."""
    good_for: str
    """For what, in a few words after which a full stop may stand."""
    licence: str

    @property
    def reference(self) -> Reference:
        """What it is called on the hub."""
        return Reference(self.repo, self.quantization)

    @property
    def total_bytes(self) -> int:
        """All that is fetched."""
        return self.bytes + self.projector_bytes

    @property
    def used(self) -> float:
        """The part of its weights that is read for one token."""
        return self.active_parameters / self.parameters


@dataclass(frozen=True, slots=True)
class Suited:
    """A suggestion, and how it would run on a machine."""

    suggestion: Suggestion
    fit: SizeVerdict
    writing: float | None
    """Tokens per second; None where nobody can know."""
    recommended: bool = False


class WrongSuggestion(ValueError):
    """An entry of the list has not the shape that it must have."""


def suggestions_of(document: Mapping[str, Any]) -> list[Suggestion]:
    """Read the list. Raises WrongSuggestion with the number of the entry and what is wrong."""
    entries = document.get("model")
    if not isinstance(entries, list) or not entries:
        raise WrongSuggestion("there is no [[model]] in it")
    found = [_suggestion(number, entry) for number, entry in enumerate(entries, start=1)]
    names = [str(each.reference) for each in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise WrongSuggestion(f"{twice} is there twice")
    return found


def _suggestion(number: int, entry: object) -> Suggestion:
    what = f"entry {number}"
    if not isinstance(entry, dict):
        raise WrongSuggestion(f"{what} is no table")
    kinds = {field.name: str if field.type == "str" else int for field in fields(Suggestion)}
    if entry.keys() != kinds.keys():
        raise WrongSuggestion(f"{what} has other keys than {', '.join(kinds)}: {sorted(entry.keys() ^ kinds.keys())}")
    for name, kind in kinds.items():
        if type(entry[name]) is not kind or entry[name] == "" or (kind is int and entry[name] < 0):
            raise WrongSuggestion(f"{what}: {name} = {entry[name]!r} is no {kind.__name__} that can be")
    found = Suggestion(**entry)
    try:
        is_readable = parse(str(found.reference)) == found.reference
    except BadRequest as error:
        raise WrongSuggestion(f"{what}: {error.message}") from error
    if not is_readable or not 0 < found.active_parameters <= found.parameters or not found.bytes:
        raise WrongSuggestion(f"{what} ({found.reference}) has a size or numbers of parameters that cannot be")
    return found


def suited(
    suggestions: Sequence[Suggestion], budget: Budget, machine: MachineSpeed, count: int = SHOWN
) -> list[Suited]:
    """Return the suggestions for a machine: the recommended one, then the others from large to small.

    The largest that write fast enough to read along; if these are too few, slower ones, the fastest first; if nothing
    fits at all, the smallest, so that somebody sees how much is missing.
    """
    judged = [_judged(each, budget, machine) for each in suggestions]
    fitting = [each for each in judged if each.fit is not SizeVerdict.NOWHERE]
    if not fitting:
        return sorted(judged, key=_size)[:count]
    usable = sorted((each for each in fitting if _is_at_least(each, USABLE)), key=_size, reverse=True)
    slower = sorted((each for each in fitting if not _is_at_least(each, USABLE)), key=lambda each: -(each.writing or 0))
    best = _best(fitting, budget)
    others = [each for each in (*usable, *slower) if each is not best][: count - 1]
    return [replace(best, recommended=True), *sorted(others, key=_size, reverse=True)]


def _judged(suggestion: Suggestion, budget: Budget, machine: MachineSpeed) -> Suited:
    fit = by_size(suggestion.total_bytes, budget)
    return Suited(suggestion, fit, speed_by_size(suggestion.bytes, suggestion.used, budget, machine))


def _best(fitting: Sequence[Suited], budget: Budget) -> Suited:
    """Return the largest that is handy and pleasant to talk to; the fastest, where none is."""
    handy = [each for each in fitting if each.suggestion.total_bytes * BESIDE_WEIGHTS <= HANDY * budget.whole]
    candidates = handy or fitting
    pleasant = [each for each in candidates if _is_at_least(each, PLEASANT)]
    by: Callable[[Suited], float] = _size if pleasant else lambda each: each.writing or 0.0
    return max(pleasant or candidates, key=by)


def _is_at_least(each: Suited, speed: float) -> bool:
    return each.writing is None or each.writing >= speed


def _size(each: Suited) -> int:
    return each.suggestion.parameters
