"""Which models are configured, how, and in which group?

Small are embedders, rerankers and whatever is light in itself; large is the rest. Embedders and rerankers help others:
they are placed first, and the others are planned into what they leave, so that nobody has to go for a helper. One that
would cost another model its place computes on the processor. Who goes when memory is short is not decided here
(`routing.router.use: memory`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import EMBEDDERS, Wishes
from claracore.core.fit.drafting import can_repeat, head_for
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import NGRAM_BYTES, Companions, Estimate, MemoryItem
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement, choices, plan
from claracore.core.fit.settings import Settings
from claracore.core.fit.value import FULL_CONTEXT
from claracore.core.fit.ways import Verdict
from claracore.core.gguf.model import Kind
from claracore.core.units import GIB

if TYPE_CHECKING:
    from claracore.core.fit.learnt import Correction
    from claracore.core.gguf.model import ModelFacts
    from claracore.core.gguf.projector import ProjectorFacts

LARGE, SMALL = "large-models", "small-models"
LIGHT_PARAMETERS = 4_500_000_000
"""A chat model of at most so many is light ("4B" models have up to so many), or..."""
LIGHT_BYTES = 3 * GIB
"""... one that takes no more than this with its context. Both are less on a small machine."""
ROOMY = 8 * GIB
"""On a machine whose models may use less than this, what is light is less in proportion."""
LIGHT_CONTEXT = 16384
"""Light models stay together, so none of them takes more than this unasked."""
HELPER_BYTES = GIB
"""A helper of at most this size is fast enough on processors beside a GPU."""
LEAST_INPUT = 512
"""Tokens: no helper's inputs are made shorter than this because others need memory, too."""
HELPERS_PART = 5
"""Helpers together may take one part in so many of a device."""
FEW_HELPERS = 8
"""So many at most are moved to RAM one by one."""
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
    projector: ProjectorFacts | None = None
    vocabulary: str | None = None
    """Proof of the vocabulary (a hash); equal means that one model can draft for the other. None: not looked at."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters that are put on it."""
    copies: tuple[str, ...] = ()
    """Other files with the same contents: an entry that names one of them is this model's."""
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
    heads: Sequence[Candidate] = (),
) -> Catalog:
    """Plan every candidate within `budget`: helpers first, then the others into what these leave.

    With `auto_draft` each gets what can draft for it: one of the `heads`, another candidate, or what it wrote before.
    """
    plans = Plans(wishes, known_flags)
    helpers = [item for item in candidates if item.facts.kind in EMBEDDERS]
    others = [item for item in candidates if item.facts.kind not in EMBEDDERS]
    beside, left = _helpers(helpers, others, budget, plans)
    for item in others:
        beside[item.id] = plans.one(item, left, comfort=_comfort(item.facts, budget))
        if not beside[item.id].fits:
            beside[item.id] = plans.one(item, budget)
    chosen = [
        Chosen(item, beside[item.id], SMALL if item in helpers or is_small(item, beside[item.id], budget) else LARGE)
        for item in candidates
        if beside[item.id].fits
    ]
    if auto_draft:
        chosen = [_with_draft(item, (*heads, *candidates), left, wishes, known_flags) for item in chosen]
    refused = [Refused(item, beside[item.id]) for item in candidates if not beside[item.id].fits]
    return Catalog(
        tuple(sorted(chosen, key=lambda item: item.candidate.id)),
        tuple(sorted(refused, key=lambda item: item.candidate.id)),
    )


def plan_beside(
    candidate: Candidate, helpers: Iterable[Estimate], budget: Budget, wishes: Wishes, known_flags: KnownFlags
) -> Placement:
    """Plan one model as `choose` would, beside helpers whose places are known."""
    plans = Plans(wishes, known_flags)
    if candidate.facts.kind in EMBEDDERS:
        return _helpers_within([candidate], budget, plans)[0][candidate.id]
    part, left = _part_for_helpers(budget), budget
    for cost in sorted(helpers, key=lambda cost: cost.total):
        if part.holds(cost):
            part, left = part.without(cost), left.without(cost)
    placement = plans.one(candidate, left, comfort=_comfort(candidate.facts, budget))
    return placement if placement.fits else plans.one(candidate, budget)


def alternatives(item: Chosen, budget: Budget, wishes: Wishes, known_flags: KnownFlags) -> list[Placement]:
    """Return the choices for a model: in the memory that it was planned into, a helper in all that there is."""
    candidate = item.candidate
    space = budget if candidate.facts.kind in EMBEDDERS else item.placement.budget
    draft = item.draft.facts if item.draft is not None else None
    companions = Companions(candidate.projector, draft, item.draft_settings, candidate.learnt)
    return choices(candidate.facts, space, wishes, known_flags, companions, chosen=item.placement)


def is_small(candidate: Candidate, placement: Placement, budget: Budget) -> bool:
    """Tell whether a model is light enough, as it is placed, to stay loaded beside others."""
    return is_light(candidate.facts, budget) or placement.loaded.total <= LIGHT_BYTES * _scale(budget)


def _comfort(facts: ModelFacts, budget: Budget) -> int | None:
    """Return the most context that a model should have for the others' sake; None for no limit."""
    return LIGHT_CONTEXT if is_light(facts, budget) else None


def is_light(facts: ModelFacts, budget: Budget) -> bool:
    """Tell whether a model is light in itself, wherever it is placed."""
    scale = _scale(budget)
    return facts.parameters <= LIGHT_PARAMETERS * scale and facts.file_bytes <= 2 * LIGHT_BYTES * scale


def _scale(budget: Budget) -> float:
    """Return how much less than usual is light on this machine: 1 on one with enough memory."""
    return min(1.0, budget.whole / ROOMY)


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans candidates as a person wishes."""

    wishes: Wishes
    known_flags: KnownFlags
    _known: dict[tuple[str, Budget, int | None], Placement] = field(default_factory=dict)

    def one(self, candidate: Candidate, space: Budget, *, comfort: int | None = None) -> Placement:
        """Return how a candidate is placed within a budget, with no more context than is comfortable."""
        key = (candidate.id, space, comfort)
        if key not in self._known:
            wishes = replace(self.wishes, comfort=comfort) if comfort is not None else self.wishes
            companions = Companions(candidate.projector, learnt=candidate.learnt)
            self._known[key] = plan(candidate.facts, space, wishes, self.known_flags, companions)
        return self._known[key]


def _helpers(
    helpers: Sequence[Candidate], others: Sequence[Candidate], budget: Budget, plans: Plans
) -> tuple[dict[str, Placement], Budget]:
    """Place the helpers, on GPUs where that costs no other model its place; return them and what they leave.

    The largest goes to RAM first; all at once where there are many, which would take long to find out one by one.
    """
    in_ram: set[str] = set()
    while True:
        placed, left = _helpers_within(helpers, budget, plans, in_ram)
        moved = [item for item in helpers if placed[item.id].gpus and item.id not in in_ram]
        if left.gpus == budget.gpus or not moved or _is_room_for(others, left, budget, plans):
            return placed, left
        largest = max(moved, key=lambda item: (item.facts.file_bytes, item.id))
        in_ram |= {largest.id} if len(helpers) <= FEW_HELPERS else {item.id for item in helpers}


def _is_room_for(others: Sequence[Candidate], left: Budget, budget: Budget, plans: Plans) -> bool:
    """Tell whether every model is placed within what is left as well as alone."""

    def is_as_good(item: Candidate) -> bool:
        comfort = _comfort(item.facts, budget)
        beside = plans.one(item, left, comfort=comfort)
        return _is_best(beside) or _as_good(beside, plans.one(item, budget, comfort=comfort))

    return all(map(is_as_good, others))


def _helpers_within(
    helpers: Sequence[Candidate], budget: Budget, plans: Plans, in_ram: AbstractSet[str] = frozenset()
) -> tuple[dict[str, Placement], Budget]:
    """Place the helpers, the smallest first, and set memory apart for them while their part of it lasts.

    Those `in_ram` compute on the processor, if they are fast enough there.
    """
    part = _part_for_helpers(budget)
    placed: dict[str, Placement] = {}
    for item in sorted(helpers, key=lambda item: (item.facts.file_bytes, item.id)):
        placement = placed[item.id] = _helper(item, part, budget, plans, on_gpus=item.id not in in_ram)
        if part.holds(placement.estimate):
            part, budget = part.without(placement.estimate), budget.without(placement.estimate)
    return placed, budget


def _helper(item: Candidate, part: Budget, budget: Budget, plans: Plans, *, on_gpus: bool) -> Placement:
    """Place one helper; what its longest input needs must fit into the helpers' part as well, or inputs are shorter."""
    comfort = None
    while True:
        spaces = _spaces(item, part, budget.ram, on_gpus=on_gpus)
        tries = (plans.one(item, space, comfort=comfort) for space in spaces)
        good = (placement for placement in tries if placement.verdict in {Verdict.GPU, Verdict.CPU})
        placement = next(good, None) or plans.one(item, budget, comfort=comfort)
        shorter = placement.settings.context // 2
        holds_too_little = part.holds(placement.loaded) and not part.holds(placement.estimate)
        if not holds_too_little or shorter < LEAST_INPUT or plans.wishes.context is not None:
            return placement
        comfort = shorter


def _part_for_helpers(budget: Budget) -> Budget:
    return Budget(tuple(size // HELPERS_PART for size in budget.gpus), budget.ram // HELPERS_PART, budget.shared)


def _spaces(candidate: Candidate, part: Budget, ram: int, *, on_gpus: bool) -> Iterator[Budget]:
    """Yield where a helper may be tried: on the smallest GPU first, which large ones need least."""
    part = replace(part, ram=ram)
    if on_gpus:
        indices = [index for index, size in enumerate(part.gpus) if size > 0]
        for chosen in sorted(indices, key=lambda index: part.gpus[index]):
            yield replace(part, gpus=tuple(size if index == chosen else 0 for index, size in enumerate(part.gpus)))
    if not any(part.gpus) or candidate.facts.file_bytes <= HELPER_BYTES:
        yield replace(part, gpus=(0,) * len(part.gpus))


def _is_best(now: Placement) -> bool:
    """Tell whether it is as good as any placement, whichever that is."""
    return now.verdict is ORDER[0] and now.settings.context >= FULL_CONTEXT // 2


def _as_good(now: Placement, alone: Placement) -> bool:
    """Tell whether a model loses nothing that matters: its place, or a context that is of use."""
    enough = min(FULL_CONTEXT, alone.settings.context) // 2
    return ORDER.index(now.verdict) <= ORDER.index(alone.verdict) and now.settings.context >= enough


def _with_draft(
    chosen: Chosen, candidates: Sequence[Candidate], budget: Budget, wishes: Wishes, known_flags: KnownFlags
) -> Chosen:
    """Add what can draft for this one: a head of it, else the largest model that can and fits beside it."""
    target = chosen.candidate
    if chosen.placement.settings.predicting or target.mmproj_path or target.facts.kind in EMBEDDERS:
        return chosen
    drafts = _drafts(chosen, candidates) if known_flags.knows("--model-draft") else []
    for draft in (*_head(target, candidates, known_flags), *drafts):
        settings = chosen.placement.settings
        own = Settings(
            settings.context, gpu_layers=draft.facts.dealt_layers + 1 if settings.gpu_layers else 0,
            parallel=settings.parallel, unified=settings.unified,
        )  # fmt: skip
        placement = plan(target.facts, budget, wishes, known_flags, Companions(draft=draft.facts, draft_settings=own))
        if _as_good(placement, chosen.placement):
            return replace(chosen, placement=placement, draft=draft, draft_settings=own)
    return repeating(chosen) if can_repeat(target.facts, known_flags) else chosen


def _head(target: Candidate, candidates: Sequence[Candidate], known_flags: KnownFlags) -> list[Candidate]:
    found = head_for(target.facts, [(item.path, item.facts) for item in candidates], known_flags)
    return [] if found is None else [candidates[found]]


def _drafts(chosen: Chosen, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the models with the same vocabulary that are much faster, the largest first."""
    target = chosen.candidate
    if target.vocabulary is None or chosen.group != LARGE:
        return []
    found = [
        item
        for item in candidates
        if item.vocabulary == target.vocabulary
        and item.facts.kind not in {*EMBEDDERS, Kind.DRAFT_HEAD}
        and item.facts.parameters_active * DRAFT_PART <= target.facts.parameters_active
    ]
    return sorted(found, key=lambda item: -item.facts.parameters_active)


def repeating(chosen: Chosen) -> Chosen:
    """Return the model with what it wrote before as its draft; that takes next to nothing."""
    placement = chosen.placement
    settings = replace(placement.settings, repeating=True)
    row = MemoryItem("n-grams", RAM, NGRAM_BYTES, "a table of what followed what")
    cost = Estimate((*placement.estimate.rows, row))
    return replace(chosen, placement=replace(placement, settings=settings, estimate=cost))
