"""How should this model run on this machine?

`plan` takes of all ways that fit the one that is worth most (`value`). Nothing is chosen without a reason that a person
can read, and `choices` shows what else there would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from claracore.core.fit.budget import Budget
from claracore.core.fit.case import EMBEDDERS, Case, Wishes
from claracore.core.fit.drafting import with_prediction
from claracore.core.fit.extras import with_extras
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions, Estimate
from claracore.core.fit.places import places_of
from claracore.core.fit.settings import Settings
from claracore.core.fit.value import FULL_CONTEXT, slowness, value_of
from claracore.core.fit.ways import CPU_COMFORT, Verdict, Way, ways
from claracore.core.fit.windows import whole_windows
from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.gguf.model import ModelFacts

MOST_CHOICES: Final = 5
WORTH_MORE: Final = 1.25
"""Nobody waits longer for less than so many times the context..."""
WORTH_WAITING: Final = 1.15
"""... nor gives up context for less time saved."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The way chosen, what it costs, and the numbers that explain it."""

    verdict: Verdict
    settings: Settings
    estimate: Estimate
    budget: Budget
    reason: str
    """Why this placement and none before it, as a sentence."""
    context_reason: str
    gpus: tuple[int, ...] = ()
    """Indices of the GPUs that are used; the settings' split has one share for each."""
    time: float = 1.0
    """How long a token takes, compared with all weights on one graphics card."""

    @property
    def loaded(self) -> Estimate:
        """What it takes once it is loaded, without what it may keep in RAM later."""
        return self.estimate.loaded

    @property
    def fits(self) -> bool:
        """Whether this machine has the memory for it."""
        return self.verdict is not Verdict.NOT


def plan(
    facts: ModelFacts,
    budget: Budget,
    wishes: Wishes,
    known_flags: KnownFlags,
    companions: Companions | None = None,
) -> Placement:
    """Choose how to run the model in the memory that `budget` grants."""
    return _best(Case(facts, budget, wishes, known_flags, companions or Companions()))


def _best(case: Case) -> Placement:
    best: tuple[float, Way] | None = None
    for way in ways(case):
        value = value_of(case.facts, way.settings)
        if best is None or value > best[0]:
            best = value, way
        if _is_enough(case, way):
            break
    return placed(case, best[1]) if best is not None else _refusal(case)


def choices(
    facts: ModelFacts,
    budget: Budget,
    wishes: Wishes,
    known_flags: KnownFlags,
    companions: Companions | None = None,
    *,
    chosen: Placement | None = None,
) -> list[Placement]:
    """Return the chosen placement and what may be preferred to it: faster, or with more context; the fastest first.

    `chosen` is what was chosen within other limits (a helper beside other models, say); else `plan` chooses. The
    longest context is always among them, and so is the chosen way with whole windows where its conversations survive
    swaps with these only.
    """
    case = Case(facts, budget, wishes, known_flags, companions or Companions())
    chosen = replace(chosen, budget=budget) if chosen is not None else _best(case)
    if not chosen.fits:
        return []
    found = [placed(case, way) for way in (*ways(case), *ways(case, greedy=True))]
    kept = [chosen]
    for placement in sorted(found, key=_fastest_first):
        if not any(_is_no_worse(other, placement) for other in kept):
            kept.append(placement)
    return [*sorted(_fewest(facts, chosen, kept), key=_fastest_first), *_with_whole_windows(case, chosen)]


def _with_whole_windows(case: Case, chosen: Placement) -> Iterator[Placement]:
    settings = whole_windows(case, chosen.settings)
    if settings is not None:
        found = placed(case, Way(chosen.verdict, settings, chosen.gpus), case.costs(settings))
        yield replace(found, reason=chosen.reason, context_reason=chosen.context_reason)


def _fewest(facts: ModelFacts, chosen: Placement, kept: list[Placement]) -> list[Placement]:
    """Return no more than people want to compare: the chosen one, the longest context, and those worth most."""

    def first(placement: Placement) -> tuple[bool, bool, float]:
        is_longest = placement.settings.context == longest
        return placement is not chosen, not is_longest, -value_of(facts, placement.settings)

    longest = max(placement.settings.context for placement in kept)
    return sorted(kept, key=first)[:MOST_CHOICES]


def _fastest_first(placement: Placement) -> tuple[float, bool, int]:
    settings = placement.settings
    return (round(placement.time, 2), settings.cache_type_k != "f16", -settings.context)


def _is_no_worse(one: Placement, other: Placement) -> bool:
    """Tell whether one is about as fast on as few cards, and nobody would take the other for its context."""
    if len(one.gpus) > len(other.gpus) and (other.gpus or _is_helper(one)):
        return False
    return one.time <= other.time * WORTH_WAITING and one.settings.context * WORTH_MORE >= other.settings.context


def _is_helper(placement: Placement) -> bool:
    """Tell whether it is of a kind that is fast enough on a processor, where it leaves the cards to others."""
    return placement.settings.embeddings


def _is_enough(case: Case, way: Way) -> bool:
    """Tell whether no way that is tried later can be worth more: they are slower, and context has little value left."""
    if way.verdict is Verdict.GPU and len(way.gpus) == 1 and way.settings.cache_type_k == "f16":
        return way.settings.context >= min(case.longest, FULL_CONTEXT)
    return False


def placed(case: Case, way: Way, cost: Estimate | None = None) -> Placement:
    """Return a way as a placement, with what is kept in RAM later; `cost` is what it takes, if that is known better."""
    way = with_prediction(case, way) if cost is None else way
    settings, cost = way.settings, cost or case.costs(way.settings)
    if case.facts.kind not in EMBEDDERS:
        settings, cost = with_extras(case.facts, settings, cost, case.budget, case.known_flags)
    time = slowness(case.facts, places_of(case.facts, settings))
    reason = _reason(case.facts, way)
    return Placement(way.verdict, settings, cost, case.budget, reason, _context_reason(case, way), way.gpus, time)


def _refusal(case: Case) -> Placement:
    """Return the placement of a model that does not fit, with what it would need at least."""
    settings = case.settings(case.shortest(), case.cache_types()[-1])
    cost = case.costs(settings)
    parts = [f"{gib(size)} on GPU {index}" for index, size in enumerate(case.budget.gpus)]
    parts.append(f"{gib(max(0, case.budget.ram))} of RAM")
    least = f"needs {gib(cost.total)} even with {settings.context} tokens of context"
    reason = f"{least}; there may be used {' and '.join(parts)}"
    return Placement(Verdict.NOT, settings, cost, case.budget, reason, "the least that is of use")


def _reason(facts: ModelFacts, way: Way) -> str:
    settings, count = way.settings, facts.dealt_layers
    where = "the GPU" if len(way.gpus) == 1 else f"{len(way.gpus)} GPUs together"
    small = "" if settings.cache_type_k == "f16" else ", with a cache of 8 bits: one of 16 leaves too little context"
    match way.verdict:
        case Verdict.GPU:
            return f"all {count} layers and the output fit on {where}{small}"
        case Verdict.EXPERTS_IN_RAM:
            return (
                f"the experts of {settings.cpu_experts} of {count} layers do not fit on {where} beside the rest{small}"
            )
        case Verdict.PARTLY:
            return f"{settings.gpu_layers} of {count + 1} layers fit on {where}, the rest computes in RAM{small}"
    return f"everything computes on the processor{small}"


def _context_reason(case: Case, way: Way) -> str:
    limit, context = case.trained, way.settings.context
    if case.facts.context_trained is None:
        return "the file does not say what it was trained with"
    if case.wishes.context is not None and case.wishes.context > limit:
        return f"all that the model was trained with, although {case.wishes.context} were asked for"
    if context == limit:
        return "all that the model was trained with"
    if case.wishes.context is not None:
        return f"as asked for; it was trained with {limit}"
    if way.verdict is Verdict.CPU and context == CPU_COMFORT:
        return f"trained with {limit}, but a longer prompt takes minutes to read on a processor"
    if context == case.longest:
        return f"enough for its work; it was trained with {limit}"
    if way.verdict in {Verdict.PARTLY, Verdict.EXPERTS_IN_RAM} and context == way.limit:
        return f"trained with {limit}; more would push more of the model into RAM"
    if context == way.limit:
        return f"trained with {limit}; more would take memory that another model can use"
    return f"the most that fits this way; it was trained with {limit}"
