"""Which models are configured, how, and in which group?

Large models swap: one at a time has the machine. Small ones (embeddings, rerankers, and chat models that are light
beside the largest) stay loaded beside it, as long as that costs the large ones neither their place nor a useful
context. Each small one is asked for by itself, the smallest first; a helper that is in the way on the GPU computes in
RAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from claracore.core.fit.budget import Budget
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions
from claracore.core.fit.plan import EMBEDDERS, Placement, Verdict, Wishes, plan, trained
from claracore.core.fit.settings import Settings
from claracore.core.units import GIB

if TYPE_CHECKING:
    from claracore.core.fit.learnt import Correction
    from claracore.core.gguf.model import ModelFacts

LARGE, SMALL = "large-models", "small-models"
LIGHT_PART = 4
"""A chat model is light when it is at most one part in so many of the largest one."""
LIGHT_BYTES = 3 * GIB
"""... and no larger than this: several gigabytes that stay loaded are missed, however large the largest is."""
HELPER_BYTES = GIB
"""A helper of at most this size is fast enough on processors beside a GPU."""
LIGHT_CONTEXT = 8192
SMALL_PART = 5
"""Small models together may take one part in so many of a device."""
USEFUL_CONTEXT = 8192
DRAFT_PART = 8
"""A draft model pays off when it is at least so many times faster: in active parameters."""
ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that was found and can be served."""

    id: str
    path: str
    facts: ModelFacts
    name: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()
    quantization: str = ""
    """As people call it; "" for as the facts have it."""
    mmproj_path: str | None = None
    mmproj_bytes: int = 0
    vocabulary: str | None = None
    """Proof of the vocabulary (a hash); equal means that one model can draft for the other. None: not looked at."""
    learnt: tuple[Correction, ...] = ()
    """How far its estimates were off when it ran here."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model with its placement and group."""

    candidate: Candidate
    placement: Placement
    group: str
    draft: Candidate | None = None
    draft_settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that is not configured, and why."""

    candidate: Candidate
    placement: Placement


class _Placing(Protocol):
    """Returns how a candidate is placed within a budget."""

    def __call__(self, candidate: Candidate, space: Budget, *, light: bool = False) -> Placement: ...


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that was decided about a set of models; both sorted by id."""

    chosen: tuple[Chosen, ...]
    refused: tuple[Refused, ...]


def choose(
    candidates: Sequence[Candidate],
    budget: Budget,
    wishes: Wishes,
    known_flags: KnownFlags,
    *,
    auto_draft: bool = False,
) -> Catalog:
    """Plan every candidate within `budget`, and decide which stay loaded beside the largest."""

    def placed(candidate: Candidate, space: Budget, *, light: bool = False) -> Placement:
        own = replace(wishes, comfort=LIGHT_CONTEXT) if light else wishes
        return plan(
            candidate.facts, space, own, known_flags, Companions(candidate.mmproj_bytes, learnt=candidate.learnt)
        )

    alone = {candidate.id: placed(candidate, budget) for candidate in candidates}
    kept, left = _beside([item for item in candidates if alone[item.id].fits], budget, alone, placed)
    large = [candidate for candidate in candidates if candidate.id not in kept]
    beside = {item.id: placed(item, left) if kept and alone[item.id].fits else alone[item.id] for item in large}
    chosen = [Chosen(item, kept[item.id], SMALL) for item in candidates if item.id in kept]
    chosen += [Chosen(item, beside[item.id], LARGE) for item in large if beside[item.id].fits]
    if auto_draft:
        chosen = [_with_draft(item, candidates, left, wishes, known_flags) for item in chosen]
    refused = [Refused(item, alone[item.id]) for item in large if not beside[item.id].fits]
    return Catalog(
        tuple(sorted(chosen, key=lambda item: item.candidate.id)),
        tuple(sorted(refused, key=lambda item: item.candidate.id)),
    )


def _small_ones(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that may stay loaded, in the order of asking: helpers, then light chat models, each by size."""
    by_size = sorted(candidates, key=lambda item: (item.facts.file_bytes, item.id))
    helpers = [item for item in by_size if item.facts.kind in EMBEDDERS]
    chats = [item for item in by_size if item.facts.kind not in EMBEDDERS]
    largest = chats[-1].facts.file_bytes if chats else 0
    light = min(largest // LIGHT_PART, LIGHT_BYTES)
    return helpers + [item for item in chats if item.facts.file_bytes <= light]


def _beside(
    candidates: Sequence[Candidate], budget: Budget, alone: Mapping[str, Placement], placed: _Placing
) -> tuple[dict[str, Placement], Budget]:
    """Place small models into their part of the memory; return them and what is left for the others."""
    part = Budget(tuple(size // SMALL_PART for size in budget.gpus), budget.ram // SMALL_PART, budget.shared)
    kept: dict[str, Placement] = {}
    for candidate in _small_ones(candidates):
        others = [item for item in candidates if item.id != candidate.id and item.id not in kept]
        for space in _spaces(candidate, part):
            placement = placed(candidate, space, light=candidate.facts.kind not in EMBEDDERS)
            left = budget.without(placement.estimate)
            if _useful(candidate, placement, space) and _bearable(others, left, alone, placed):
                kept[candidate.id] = placement
                part, budget = part.without(placement.estimate), left
                break
    return kept, budget


def _spaces(candidate: Candidate, part: Budget) -> Iterator[Budget]:
    """Yield where a small model may be tried: on the smallest GPU first, which large ones need least."""
    indices = [index for index, size in enumerate(part.gpus) if size > 0]
    for chosen in sorted(indices, key=lambda index: part.gpus[index]):
        yield replace(part, gpus=tuple(size if index == chosen else 0 for index, size in enumerate(part.gpus)))
    if not indices:
        yield part
    if any(part.gpus) and candidate.facts.kind in EMBEDDERS and candidate.facts.file_bytes <= HELPER_BYTES:
        yield replace(part, gpus=(0,) * len(part.gpus))


def _useful(candidate: Candidate, placement: Placement, space: Budget) -> bool:
    """Tell whether a small model is placed so that it is worth its memory."""
    fast = placement.verdict is Verdict.GPU or (
        placement.verdict is Verdict.CPU and (candidate.facts.kind in EMBEDDERS or not space.gpus)
    )
    return fast and placement.settings.context >= min(LIGHT_CONTEXT, trained(candidate.facts))


def _bearable(others: Sequence[Candidate], left: Budget, alone: Mapping[str, Placement], placed: _Placing) -> bool:
    """Tell whether none of the others loses anything that matters when only so much is left."""
    return all(left.holds(alone[item.id].loaded) or _as_good(placed(item, left), alone[item.id]) for item in others)


def _as_good(now: Placement, alone: Placement) -> bool:
    """Tell whether a large model loses nothing that matters: its place, or a context that is of use."""
    return ORDER.index(now.verdict) <= ORDER.index(alone.verdict) and now.settings.context >= min(
        USEFUL_CONTEXT, alone.settings.context
    )


def _with_draft(
    chosen: Chosen, candidates: Sequence[Candidate], budget: Budget, wishes: Wishes, known_flags: KnownFlags
) -> Chosen:
    """Add the largest model that can draft for this one and still fits beside it."""
    target = chosen.candidate
    if (
        target.vocabulary is None
        or chosen.group != LARGE
        or target.mmproj_path
        or not known_flags.knows("--model-draft")
    ):
        return chosen
    drafts = [
        item
        for item in candidates
        if item.vocabulary == target.vocabulary
        and item.facts.kind not in EMBEDDERS
        and item.facts.parameters_active * DRAFT_PART <= target.facts.parameters_active
    ]
    for draft in sorted(drafts, key=lambda item: -item.facts.parameters_active):
        settings = chosen.placement.settings
        own = Settings(
            settings.context, gpu_layers=draft.facts.layers + 1 if settings.gpu_layers else 0,
            parallel=settings.parallel, unified=settings.unified,
        )  # fmt: skip
        placement = plan(target.facts, budget, wishes, known_flags, Companions(draft=draft.facts, draft_settings=own))
        if _as_good(placement, chosen.placement):
            return replace(chosen, placement=placement, draft=draft, draft_settings=own)
    return chosen
