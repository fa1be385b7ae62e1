"""What does llama.cpp itself say about a plan?

Its figure for our own flags is held against what we count: where it says more than a device has, or is off by more than
is usual, the plan is made anew with the difference. Then it may show a way of its own (`alternative`), which is taken
when it is worth more by our own measure. Asking is somebody else's business (`Ask`); what is not answered changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from claracore.core.fit.alternative import alternative
from claracore.core.fit.asking import Asking, Compared, difference_rows
from claracore.core.fit.learnt import NOTABLE, NOTABLE_BYTES, Correction, placement_class
from claracore.core.fit.memory import Estimate
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement, plan
from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.fit.case import Case

ROUNDS: Final = 3
"""How often a plan is made anew; each time it is asked about again."""


class OpinionOutcome(StrEnum):
    """What came of asking."""

    UNANSWERED = "not answered"
    AGREED = "agreed"
    CORRECTED = "planned anew"
    BETTER = "a better way"


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """The plan after asking, and what was said."""

    placement: Placement
    outcome: OpinionOutcome = OpinionOutcome.UNANSWERED
    devices: tuple[Compared, ...] = ()
    """What llama.cpp says of the plan that was made first, beside what was counted."""
    corrections: tuple[Correction, ...] = ()
    """How far the count was off, where that is notable."""

    @property
    def words(self) -> str:
        """What llama.cpp said, as a sentence; empty when it was not asked, or did not answer."""
        if self.outcome is OpinionOutcome.UNANSWERED:
            return ""
        parts = [f"{gib(row.engine)} {_where(row.place)} (counted: {gib(row.counted)})" for row in self.devices]
        return f"llama.cpp itself says {' and '.join(parts)}{OUTCOME_WORDS[self.outcome]}"

    @property
    def as_plain(self) -> dict[str, Any] | None:
        """The same as plain data; None when nothing was said."""
        if self.outcome is OpinionOutcome.UNANSWERED:
            return None
        return {"outcome": self.outcome.value, "devices": [asdict(row) for row in self.devices]}


OUTCOME_WORDS: Final = {
    OpinionOutcome.UNANSWERED: "",
    OpinionOutcome.AGREED: "",
    OpinionOutcome.CORRECTED: "; the plan was made anew with that",
    OpinionOutcome.BETTER: "; its own way is worth more and was taken",
}


def second_opinion(case: Case, placement: Placement, asking: Asking) -> SecondOpinion:
    """Ask llama.cpp about the plan that was made for a case, and whether it knows a better one."""
    if not placement.fits or not asking.can_ask(case, placement):
        return SecondOpinion(placement)
    first = asking.compare(case, placement)
    if first is None:
        return SecondOpinion(placement)
    shown = _whole(placement, first)
    case, after, corrections = _corrected(case, placement, first, asking)
    better = alternative(case, after, asking) if after.fits else None
    if better is not None:
        return SecondOpinion(better, OpinionOutcome.BETTER, shown, corrections)
    outcome = OpinionOutcome.CORRECTED if corrections else OpinionOutcome.AGREED
    return SecondOpinion(after, outcome, shown, corrections)


def _whole(placement: Placement, compared: Sequence[Compared]) -> tuple[Compared, ...]:
    """Return the bytes of the whole plan, of which llama.cpp was asked about a part."""
    loaded = placement.estimate.loaded
    return tuple(Compared(row.place, loaded.on(row.place), max(0, loaded.on(row.place) + row.more)) for row in compared)


def _corrected(
    case: Case, placement: Placement, first: Sequence[Compared], asking: Asking
) -> tuple[Case, Placement, tuple[Correction, ...]]:
    """Plan anew with what llama.cpp says until it says that the plan fits; what was measured here is left alone."""
    measured = {each.placement for each in case.companions.learnt}
    found: dict[object, Correction] = {}
    compared: Sequence[Compared] | None = first
    for _ in range(ROUNDS):
        kind = placement_class(case.facts.dealt_layers, placement.settings)
        if not compared or kind in measured:
            break
        off = _off(case, placement, compared)
        if not off:
            break
        before = found[kind].by_place if kind in found else {}
        # Less than counted is told, and trusted to nobody: a program that counts less would fill a card to the brim.
        sums = {place: max(0, before.get(place, 0) + off.get(place, 0)) for place in {*before, *off}}
        if sums == before or not any((*before.values(), *sums.values())):
            break
        found[kind] = Correction(kind, sums, placement.settings.context)
        rest = tuple(each for each in case.companions.learnt if each.placement != kind)
        case = replace(case, companions=replace(case.companions, learnt=(*rest, found[kind])), _known={})
        placement = plan(case.facts, case.budget, case.wishes, case.known_flags, case.companions)
        compared = asking.compare(case, placement) if placement.fits else None
    return case, placement, tuple(found.values())


def _off(case: Case, placement: Placement, compared: Sequence[Compared]) -> dict[int, int]:
    """Return by how many bytes each place was miscounted, where that is notable or more than there is."""
    by_engine = Estimate((*placement.estimate.rows, *difference_rows(compared)))
    return {
        row.place: row.more
        for row in compared
        if abs(row.more) > max(NOTABLE_BYTES, NOTABLE * row.engine)
        or (row.more > 0 and not _has_room(case, by_engine, row.place))
    }


def _has_room(case: Case, cost: Estimate, place: int) -> bool:
    return case.budget.holds(cost) if place == RAM else cost.on(place) <= case.budget.gpus[place]


def _where(place: int) -> str:
    return "of RAM" if place == RAM else f"on GPU {place}"
