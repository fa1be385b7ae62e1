"""How does a set of plans change when one of them is looked at again (`opinion`)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.core.fit.case import EMBEDDERS, Case, Wishes
from claracore.core.fit.catalog import (
    LARGE,
    LIGHT_CONTEXT,
    SMALL,
    Catalog,
    Chosen,
    Refused,
    is_light,
    is_small,
    repeating,
)
from claracore.core.fit.memory import Companions
from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.fit.budget import Budget
    from claracore.core.fit.flags import KnownFlags
    from claracore.core.fit.opinion import SecondOpinion


def cases_of(catalog: Catalog, budget: Budget, wishes: Wishes, known_flags: KnownFlags) -> dict[str, Case]:
    """Return, by id, what each model was planned for; helpers are small, and nobody asks about them."""
    return {
        chosen.candidate.id: _case(chosen, budget, wishes, known_flags)
        for chosen in catalog.chosen
        if chosen.candidate.facts.kind not in EMBEDDERS
    }


def _case(chosen: Chosen, budget: Budget, wishes: Wishes, known_flags: KnownFlags) -> Case:
    candidate, placement = chosen.candidate, chosen.placement
    if is_light(candidate, budget) and placement.settings.context <= LIGHT_CONTEXT:
        wishes = replace(wishes, comfort=LIGHT_CONTEXT)
    companions = Companions(
        candidate.projector,
        chosen.draft.facts if chosen.draft is not None else None,
        chosen.draft_settings,
        candidate.learnt,
    )
    return Case(candidate.facts, placement.budget, wishes, known_flags, companions)


def reconsidered(catalog: Catalog, opinions: Mapping[str, SecondOpinion], budget: Budget) -> Catalog:
    """Return the plans with what was said of some, by id; each reason tells what it was."""
    chosen: list[Chosen] = []
    refused = list(catalog.refused)
    for item in catalog.chosen:
        opinion = opinions.get(item.candidate.id)
        if opinion is None or opinion.placement == item.placement:
            chosen.append(item)
        elif opinion.placement.fits:
            chosen.append(_with(item, opinion, budget))
        else:
            refused.append(Refused(item.candidate, opinion.placement))
    return Catalog(tuple(chosen), tuple(sorted(refused, key=lambda item: item.candidate.id)))


def _with(item: Chosen, opinion: SecondOpinion, budget: Budget) -> Chosen:
    more = [
        f"{gib(abs(size))} {'more' if size > 0 else 'less'}"
        for correction in opinion.corrections[-1:]
        for size in correction.by_place.values()
        if size
    ]
    reason = f"{opinion.placement.reason}; llama.cpp itself counts {' and '.join(more)}" if more else ""
    placement = replace(opinion.placement, reason=reason or opinion.placement.reason)
    small = item.group == SMALL and is_small(item.candidate, placement, budget)
    changed = replace(item, placement=placement, group=SMALL if small else LARGE)
    return repeating(changed) if item.placement.settings.repeating else changed
