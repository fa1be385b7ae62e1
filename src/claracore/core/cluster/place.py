"""Where is a request answered best, and why there?

Pure. A name that several machines have has a place on each. Better than all else is one where the model is loaded and
free; then one where it can be loaded without anybody going; one where it is loaded and busy; one where idle models
would have to go. A place that is lost or drained is none, nor is one that would load an older configuration. `places`
gives all, the best first: when the first fails, the next is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from claracore.core.cluster.model import Fit, NodeState
from claracore.types import ModelState

LOCAL: Final = "local"
"""What this machine is called among the nodes."""
USUAL_SLOTS: Final = 4
"""How many requests a server is taken to answer at once that does not say it: llama-server's own default."""


@dataclass(frozen=True, slots=True)
class PlacementWish:
    """What a person wishes of the choice of machines, by the names of nodes; `LOCAL` is this one."""

    prefer: tuple[str, ...] = ()
    """Among equally good places these come first, in this order."""
    avoid: frozenset[str] = frozenset()
    """Only when there is no other."""
    spread: bool = True
    """Among equally good places the least busy comes first; otherwise the first is filled first."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model on one machine, as it is at this moment."""

    model_id: str
    """What it is called here."""
    node: str
    state: ModelState
    node_state: NodeState = NodeState.UP
    fit: Fit = Fit.UNKNOWN
    """Of a model that is not loaded."""
    requests: int = 0
    """With it, waiting ones too."""
    slots: int | None = None
    wakes: bool = False
    """Whether the machine, when it is lost, is only asleep and will be woken by a request."""
    drained: bool = False
    """Whether the machine is to get no new requests."""
    outdated: bool = False
    """Whether the machine has an older configuration of it, and would have to load it."""
    why: str = ""
    """What the machine says of a model that cannot be loaded there now."""


class Rank(IntEnum):
    """How good a place is, the best first."""

    FREE = 0
    LOADING = 1
    FITS = 2
    MAY_FIT = 3
    BUSY = 4
    FITS_AFTER = 5
    ENDING = 6
    SILENT = 7
    ASLEEP = 8
    FETCHES = 9
    REFUSES = 10


REASONS: Final = {
    Rank.FREE: "it is loaded there and free",
    Rank.LOADING: "it is being loaded there",
    Rank.FITS: "it fits what is free there",
    Rank.MAY_FIT: "it is there; whether it fits is not said",
    Rank.BUSY: "it is loaded there and busy",
    Rank.FITS_AFTER: "it fits there when idle models go",
    Rank.ENDING: "it is being stopped there",
    Rank.SILENT: "the machine has not answered of late",
    Rank.ASLEEP: "the machine sleeps and can be woken",
    Rank.FETCHES: "the file has to be fetched first",
    Rank.REFUSES: "the machine would refuse to load it now",
}
DRAINED: Final = "the machine is drained: it gets no new requests"
OUTDATED: Final = "the machine has an older configuration of it, and loads it no more until it has this one"
LOST: Final = "the machine is lost"
_BY_FIT: Final = {
    Fit.NOW: Rank.FITS,
    Fit.UNKNOWN: Rank.MAY_FIT,
    Fit.AFTER: Rank.FITS_AFTER,
    Fit.FETCH: Rank.FETCHES,
    Fit.NEVER: Rank.REFUSES,
}


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """One machine on which a request may be answered."""

    model_id: str
    node: str
    rank: Rank
    why: str = ""
    """What the machine says of it."""

    @property
    def reason(self) -> str:
        """Why it is where it is among the places, in words."""
        return f"{self.node}: {REASONS[self.rank]}{f' ({self.why})' if self.why else ''}"


def rank_of(offer: Offer) -> Rank | None:
    """Return how good an offer is; None for one that cannot be taken."""
    if offer.drained or offer.outdated:
        return None
    if offer.node_state is NodeState.LOST:
        return Rank.ASLEEP if offer.wakes else None
    if offer.node_state is NodeState.SILENT:
        return Rank.SILENT
    if offer.state is ModelState.READY:
        return Rank.FREE if offer.requests < (offer.slots or USUAL_SLOTS) else Rank.BUSY
    if offer.state is ModelState.STARTING and offer.fit is not Fit.FETCH:
        return Rank.LOADING if offer.requests < (offer.slots or USUAL_SLOTS) else Rank.BUSY
    if offer.state is ModelState.STOPPING:
        return Rank.ENDING
    return _BY_FIT[offer.fit]


def why_no_place(offer: Offer) -> str:
    """Say in words why an offer cannot be taken; empty for one that can."""
    if rank_of(offer) is not None:
        return ""
    if offer.drained:
        return f"{offer.node}: {DRAINED}"
    return f"{offer.node}: {OUTDATED if offer.outdated else LOST}"


@dataclass(frozen=True, slots=True)
class PlaceCandidate:
    """An offer that can be taken. It stays as good as it is until the offer or the wish is another one."""

    offer: Offer
    rank: Rank
    key: tuple[bool, int, int, float, bool]
    """The least is the best; among equal ones they take turns."""


def candidate(offer: Offer, wish: PlacementWish) -> PlaceCandidate | None:
    """Return how good an offer is for somebody with this wish; None for one that cannot be taken.

    A busy place counts by requests for each of its slots, so that a machine with twice the slots gets twice the
    requests.
    """
    rank = rank_of(offer)
    if rank is None:
        return None
    node, prefer = offer.node, wish.prefer
    load = offer.requests / (offer.slots or USUAL_SLOTS) if wish.spread or rank is Rank.BUSY else 0.0
    preferred = prefer.index(node) if node in prefer else len(prefer)
    return PlaceCandidate(offer, rank, (node in wish.avoid, int(rank), preferred, load, node != LOCAL))


def best(candidates: Sequence[PlaceCandidate | None], wish: PlacementWish, turn: int = 0) -> ModelPlace | None:
    """Return the first of `ordered`, without ordering the others."""
    least = min((each.key for each in candidates if each is not None), default=None)
    if least is None:
        return None
    equal = [number for number, each in enumerate(candidates) if each is not None and each.key == least]
    first = (
        next((number for number in equal if number >= turn % len(candidates)), equal[0]) if wish.spread else equal[0]
    )
    chosen = candidates[first]
    return None if chosen is None else _place(chosen)


def _place(chosen: PlaceCandidate) -> ModelPlace:
    return ModelPlace(chosen.offer.model_id, chosen.offer.node, chosen.rank, chosen.offer.why)


def ordered(candidates: Sequence[PlaceCandidate | None], wish: PlacementWish, turn: int = 0) -> tuple[ModelPlace, ...]:
    """Return where a request may go, the best place first; empty when every machine is lost.

    `turn` counts up, so that places that do not differ take turns.
    """
    count = len(candidates)
    numbered = [(number, each) for number, each in enumerate(candidates) if each is not None]
    numbered.sort(key=lambda pair: (pair[1].key, (pair[0] - turn) % count if wish.spread else pair[0]))
    return tuple(_place(each) for _, each in numbered)


def places(offers: Sequence[Offer], wish: PlacementWish, turn: int = 0) -> tuple[ModelPlace, ...]:
    """Return where a request may go with these offers, as `ordered` does."""
    return ordered([candidate(offer, wish) for offer in offers], wish, turn)
