"""Who must go so that this model fits, when bytes decide?

Whoever fits beside all that runs starts. Otherwise those that are ending anyway are waited for, and if that is not
enough, the cheapest set goes that makes room on every device that is short: as few pinned and persistent models as
possible (so none, unless there is no other way: then the target is refused), as few helpers, as few busy ones, then
those that cost least, then those that have been idle longest; never more than is needed. A model of which it is not
known how much it takes runs alone on this machine, beside those that stay in any case.

A device of which nothing is known has room for one model.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint, FootprintSource
from claracore.core.scheduler.picture import MemoryPicture, Shortage
from claracore.core.scheduler.policy import Situation

STAYS: Final = 1e12
"""What it costs, in seconds, to let a pinned or persistent model go: more than everything else together."""
HELPS: Final = 1e10
"""What it costs to let an embedder or a reranker go for a model that does neither: more than waiting for others."""
BUSY: Final = 1e9
"""What it costs beyond its own price to wait for a model that is busy."""
EXACT: Final = 12
"""Among so many models every set is looked at, as far as it may be cheaper than the best so far."""
MOST_LOOKS: Final = 400
NEVER: Final = float("inf")


class _Candidate(NamedTuple):
    """A model that might go; in this order the one that goes first is the smallest."""

    price: float
    idle_since: float
    model: str
    frees: Mapping[str, int]
    """Bytes on each device that is short and of which it has some."""


@dataclass(frozen=True, slots=True)
class ByMemory:
    """The eviction rule by memory."""

    persistent: frozenset[str] = frozenset()
    """Models that never go for others."""
    elsewhere: frozenset[str] = frozenset()
    """Models that take nothing of this machine."""
    helpers: frozenset[str] = frozenset()
    """Embedders and rerankers: they go for others only if these have no room otherwise."""

    def evictees(self, situation: Situation) -> frozenset[str]:
        """Return which of the running models must stop before the target starts."""
        picture, target = situation.memory, situation.target
        if picture is None or target in self.elsewhere:
            return frozenset()
        needs = _needs(picture.footprint(target))
        if needs is None:
            return self._company(situation, picture)
        rivals = self._rivals(situation, picture, needs)
        rest = situation.running - rivals - self.elsewhere
        missing = _missing(picture, needs, rest)
        going = frozenset(model for model in rest & situation.ending if any(map(picture.footprint(model).on, missing)))
        if going:
            missing = _missing(picture, needs, rest - going)
        if not missing:
            return rivals | going
        candidates = self._candidates(situation, picture, rest - going, missing)
        return rivals | going | {each.model for each in _cheapest(candidates, missing)}

    def too_large(self, situation: Situation) -> tuple[Shortage, ...]:
        """Return the devices on which the target has no room even if all others go."""
        picture = situation.memory
        if picture is None or situation.target in self.elsewhere:
            return ()
        needs = _needs(picture.footprint(situation.target)) or {}
        return _shortages(picture, needs, ())

    def shortages(self, situation: Situation) -> tuple[Shortage, ...]:
        """Return the devices that have not enough for the target beside all that runs."""
        picture = situation.memory
        if picture is None or situation.target in self.elsewhere:
            return ()
        needs = _needs(picture.footprint(situation.target))
        if needs is None or self._rivals(situation, picture, needs):
            return (Shortage("", 0, 0),)
        return _shortages(picture, needs, situation.running - self.elsewhere)

    def _company(self, situation: Situation, picture: MemoryPicture) -> frozenset[str]:
        """Return who must go for a model of which nothing is known: whoever takes anything and does not stay."""
        stays = (self.persistent | picture.pinned) - situation.ending
        return frozenset(
            model for model in situation.running - stays - self.elsewhere if _needs(picture.footprint(model)) != {}
        )

    def _rivals(self, situation: Situation, picture: MemoryPicture, needs: Mapping[str, int]) -> frozenset[str]:
        """Return who cannot be beside the target because bytes cannot be compared: theirs, or those of the device."""
        unseen = [device for device in needs if device not in picture.usable]
        found = set()
        known = picture.footprints
        for model in situation.running - self.elsewhere if needs else ():
            footprint = known.get(model, UNKNOWN_FOOTPRINT)
            if footprint.source is FootprintSource.UNKNOWN or any(footprint.on(device) for device in unseen):
                found.add(model)
        return frozenset(found)

    def _candidates(
        self, situation: Situation, picture: MemoryPicture, models: Iterable[str], missing: Mapping[str, int]
    ) -> list[_Candidate]:
        """Return who has something of what is missing, the cheapest first."""
        known, idle_since = picture.footprints, situation.idle_since
        found = []
        for model in models:
            by_device = known[model].by_device
            frees = {device: size for device, size in by_device.items() if device in missing and size}
            if frees:
                found.append(
                    _Candidate(
                        self._price(picture, model, situation.target), idle_since.get(model, NEVER), model, frees
                    )
                )
        return sorted(found, key=operator.itemgetter(0, 1, 2))

    def _price(self, picture: MemoryPicture, model: str, target: str) -> float:
        price = picture.costs.get(model, 0.0)
        if model in picture.pinned or model in self.persistent:
            return STAYS + price
        if model in self.helpers and target not in self.helpers:
            price += HELPS
        # Who has no price starts just now, or runs in thought only: somebody ahead has asked for it.
        return BUSY + price if model in picture.busy or model not in picture.costs else price


def _needs(footprint: Footprint) -> dict[str, int] | None:
    """Return the bytes that a model takes, by device; None when that is not known."""
    if footprint.source is FootprintSource.UNKNOWN:
        return None
    return {device: size for device, size in footprint.by_device.items() if size > 0}


def _short(picture: MemoryPicture, needs: Mapping[str, int], beside: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Give each device that has less than is needed beside these models: how much is, and how much it has.

    That is below zero where others have taken what our models were promised. What those take is known.
    """
    free = {device: picture.usable[device] for device in needs if device in picture.usable}
    known = picture.footprints
    for model in beside if free else ():
        for device, size in known[model].by_device.items():
            if device in free:
                free[device] -= size
    for device, left in free.items():
        if needs[device] > left:
            yield device, needs[device], left


def _missing(picture: MemoryPicture, needs: Mapping[str, int], beside: Iterable[str]) -> dict[str, int]:
    return {device: need - left for device, need, left in _short(picture, needs, beside)}


def _shortages(picture: MemoryPicture, needs: Mapping[str, int], beside: Iterable[str]) -> tuple[Shortage, ...]:
    return tuple(Shortage(*short) for short in _short(picture, needs, beside))


# --- the cheapest set -----------------------------------------------------------------------------------------------


def _cheapest(candidates: Sequence[_Candidate], missing: Mapping[str, int]) -> Sequence[_Candidate]:
    """Return the cheapest of the candidates that free what is missing on every device; all of them if none do."""
    best = _without_spare(_greedy(candidates, missing), missing)
    return _without_spare(_exact(candidates, missing, best), missing) if len(candidates) <= EXACT else best


def _greedy(candidates: Sequence[_Candidate], missing: Mapping[str, int]) -> list[_Candidate]:
    """Return those that free most for their price, as many as it takes."""

    def price_of_help(each: _Candidate) -> float:
        help_ = 0.0
        for device, size in each.frees.items():
            need = missing[device]
            help_ += size / need if size < need else 1.0
        return each.price / help_

    left = dict(missing)
    chosen: list[_Candidate] = []
    for each in sorted(candidates, key=price_of_help):
        if any(left[device] > 0 for device in each.frees):
            chosen.append(each)
            for device, size in each.frees.items():
                left[device] -= size
            if max(left.values()) <= 0:
                break
    return chosen


def _without_spare(chosen: Sequence[_Candidate], missing: Mapping[str, int]) -> list[_Candidate]:
    """Return the same without those that are not needed; the dearest are left out first."""
    spare = {device: -size for device, size in missing.items()}
    for each in chosen:
        for device, size in each.frees.items():
            spare[device] += size
    kept = list(chosen)
    for each in sorted(chosen, key=operator.itemgetter(0, 1), reverse=True):
        if all(size <= spare[device] for device, size in each.frees.items()):
            kept.remove(each)
            for device, size in each.frees.items():
                spare[device] -= size
    return kept


def _exact(
    candidates: Sequence[_Candidate], missing: Mapping[str, int], known: Sequence[_Candidate]
) -> Sequence[_Candidate]:
    """Return the cheapest set that is enough, the one idle for longest among equals; `known` if none is better.

    Depth first: with the next candidate, then without it; not further where that is dearer than the best so far, or
    where all that are left are not enough.
    """
    frees = [tuple(each.frees.get(device, 0) for device in missing) for each in candidates]
    left = list(accumulate(reversed(frees), _sum, initial=(0,) * len(missing)))[::-1]
    best, best_key = known, _key(known)
    waiting: list[tuple[int, tuple[int, ...], float, tuple[_Candidate, ...]]] = [(0, tuple(missing.values()), 0.0, ())]
    looks = 0
    while waiting and looks < MOST_LOOKS:
        looks += 1
        at, needed, price, chosen = waiting.pop()
        if price > best_key[0] or any(map(operator.gt, needed, left[at])):
            continue
        if max(needed) <= 0:
            if (key := _key(chosen)) < best_key:
                best, best_key = chosen, key
            continue
        each = candidates[at]
        waiting.append((at + 1, needed, price, chosen))
        fewer = tuple(map(operator.sub, needed, frees[at]))
        waiting.append((at + 1, fewer, price + each.price, (*chosen, each)))
    return best


def _key(chosen: Sequence[_Candidate]) -> tuple[float, float]:
    return sum(each.price for each in chosen), max((each.idle_since for each in chosen), default=0.0)


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(operator.add, one, other))
