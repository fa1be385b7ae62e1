"""How should this model run on this machine?

`plan` walks a list of placements from the best to the worst and takes the first that fits: everything on one GPU, on
all GPUs, with a smaller cache, with the experts in RAM, with some layers in RAM, in RAM alone. Within each, the largest
comfortable context. Nothing is chosen without a reason that a person can read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from claracore.core.fit.budget import Budget
from claracore.core.fit.extras import LATER, with_extras
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions, Estimate, estimate
from claracore.core.fit.settings import Settings
from claracore.core.gguf.model import Kind
from claracore.core.units import gib

if TYPE_CHECKING:
    from claracore.core.gguf.model import ModelFacts

UNKNOWN_TRAINED = 4096
FLOOR = 2048
"""A chat with less context than this is no use; then the model does not fit."""
SHORT = 4096
"""... and so little is not worth a place on the GPU: some layers in RAM with more context are of more use."""
LADDER = (1048576, 524288, 262144, 131072, 65536, 32768, 16384, 8192, 4096, FLOOR)
CPU_COMFORT = 32768
"""On processors a longer prompt takes minutes to read; whoever wants it says so."""
EMBEDDING_COMFORT = 8192
COMMON = 4096
EMBEDDERS = frozenset({Kind.EMBEDDING, Kind.RERANKER})
GOOD_F16, GOOD_Q8 = 16384, 8192
"""A context from which on better cache precision is worth more than a longer context."""
SLOTS = 4
CPU_CACHE_SHARE = 4
"""On processors the cache may take one part in so many of the memory."""


class Verdict(StrEnum):
    """Where the model ends up."""

    GPU = "fits on the GPU"
    EXPERTS_IN_RAM = "fits with experts in RAM"
    PARTLY = "fits with layers in RAM"
    CPU = "fits in RAM"
    NOT = "does not fit"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for; None leaves the choice to us."""

    context: int | None = None
    parallel: int | None = None
    comfort: int | None = None
    """No context above this is called comfortable."""


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

    @property
    def loaded(self) -> Estimate:
        """What it takes once it is loaded, without what it may keep in RAM later."""
        return Estimate(tuple(row for row in self.estimate.rows if row.what not in LATER))

    @property
    def fits(self) -> bool:
        """Whether this machine has the memory for it."""
        return self.verdict is not Verdict.NOT


@dataclass(frozen=True, slots=True)
class Case:
    """What a placement is chosen for."""

    facts: ModelFacts
    budget: Budget
    wishes: Wishes
    known_flags: KnownFlags
    companions: Companions

    def costs(self, settings: Settings) -> Estimate:
        """Count what these settings take."""
        return estimate(self.facts, settings, self.companions)

    def gpus_hold(self, settings: Settings) -> bool:
        """Tell whether what these settings put on GPUs fits there."""
        cost = self.costs(settings)
        return all(cost.on(index) <= size for index, size in enumerate(self.budget.gpus))


@dataclass(frozen=True, slots=True)
class Attempt:
    """Settings to try: they are taken if what they cost is within the budget."""

    verdict: Verdict
    settings: Settings
    reason: str
    gpus: tuple[int, ...] = ()


def plan(
    facts: ModelFacts,
    budget: Budget,
    wishes: Wishes,
    known_flags: KnownFlags,
    companions: Companions | None = None,
) -> Placement:
    """Choose how to run the model in the memory that `budget` grants."""
    case = Case(facts, budget, wishes, known_flags, companions or Companions())
    cheapest: tuple[Settings, Estimate] | None = None
    for attempt in _attempts(case):
        cost = case.costs(attempt.settings)
        if budget.holds(cost) and _comfortable(case, attempt, cost):
            reason = _context_reason(case, attempt)
            settings, cost = _bounded(case, attempt.settings, cost)
            return Placement(attempt.verdict, settings, cost, budget, attempt.reason, reason, attempt.gpus)
        if cheapest is None or cost.total < cheapest[1].total:
            cheapest = attempt.settings, cost
    settings, cost = cheapest or (_settings(case, FLOOR), Estimate(()))
    return Placement(Verdict.NOT, settings, cost, budget, _needs(case, settings, cost), "the least that is of use")


def _bounded(case: Case, settings: Settings, cost: Estimate) -> tuple[Settings, Estimate]:
    """Bound what a server of conversations keeps in RAM while it runs."""
    if case.facts.kind in EMBEDDERS:
        return settings, cost
    return with_extras(case.facts, settings, cost, case.budget, case.known_flags)


def _needs(case: Case, settings: Settings, cost: Estimate) -> str:
    """Return the sentence that says what the least settings need and what there is."""
    parts = [f"{gib(size)} on GPU {index}" for index, size in enumerate(case.budget.gpus)]
    parts.append(f"{gib(max(0, case.budget.ram))} of RAM")
    least = f"needs {gib(cost.total)} even with {settings.context} tokens of context"
    return f"{least}; there may be used {' and '.join(parts)}"


def _comfortable(case: Case, attempt: Attempt, cost: Estimate) -> bool:
    """Tell whether a machine with this on it is still pleasant to use: a large cache in RAM is not."""
    if attempt.verdict is not Verdict.CPU or case.wishes.context is not None or attempt.settings.context <= COMMON:
        return True
    cache = sum(row.bytes for row in cost.rows if row.what == "KV cache")
    return cache * CPU_CACHE_SHARE <= case.budget.ram


def _attempts(case: Case) -> Iterator[Attempt]:
    usable = tuple(index for index, size in enumerate(case.budget.gpus) if size > 0)
    if usable:
        yield from _on_gpus(case, usable, {"f16": GOOD_F16, "q8_0": GOOD_Q8})
        if case.facts.experts and case.known_flags.knows("--n-cpu-moe"):
            yield from _experts_in_ram(case, usable)
        yield from _short_on_gpus(case, usable)
        yield from _partly(case, usable)
    yield from _on_cpu(case)


def _on_gpus(case: Case, usable: tuple[int, ...], enough: Mapping[str, int]) -> Iterator[Attempt]:
    """Everything on GPUs: the single largest one first, because a split costs speed."""
    largest = max(usable, key=lambda index: case.budget.gpus[index])
    ladder = _contexts(case)
    for kind in _cache_types(case):
        contexts = [size for size in ladder if size >= min(enough.get(kind, FLOOR), ladder[0])]
        for gpus in [(largest,), usable] if len(usable) > 1 else [usable]:
            for context in contexts:
                settings = replace(
                    _settings(case, context, kind), gpu_layers=case.facts.layers + 1, split=_split(case.budget, gpus)
                )
                yield Attempt(Verdict.GPU, settings, _gpu_reason(case.facts, gpus, kind), gpus)


def _short_on_gpus(case: Case, usable: tuple[int, ...]) -> Iterator[Attempt]:
    """Everything on GPUs with a short context and the smallest cache: still several times faster than layers in RAM."""
    smallest = _cache_types(case)[-1]
    yield from (
        attempt for attempt in _on_gpus(case, usable, {smallest: SHORT}) if attempt.settings.cache_type_k == smallest
    )


def _experts_in_ram(case: Case, usable: tuple[int, ...]) -> Iterator[Attempt]:
    """Attention on GPUs, as few layers' experts in RAM as possible: they are large and each token uses few of them."""
    count = case.facts.layers
    for context in _contexts(case, CPU_COMFORT):
        base = replace(_settings(case, context), gpu_layers=count + 1, split=_split(case.budget, usable))
        moved = 1 + bisect_left(range(1, count + 1), 1, key=lambda n: case.gpus_hold(replace(base, cpu_experts=n)))
        if moved <= count:
            reason = f"the experts of {moved} of {count} layers do not fit on the GPU beside the rest"
            yield Attempt(Verdict.EXPERTS_IN_RAM, replace(base, cpu_experts=moved), reason, usable)


def _partly(case: Case, usable: tuple[int, ...]) -> Iterator[Attempt]:
    """Yield, for each context to try, the placement with as many layers on the GPUs as fit."""
    count = case.facts.layers
    for context in _contexts(case, GOOD_Q8):
        base = replace(_settings(case, context, _cache_types(case)[-1]), split=_split(case.budget, usable))
        layers = bisect_left(range(1, count + 1), 1, key=lambda n: not case.gpus_hold(replace(base, gpu_layers=n)))
        if layers > 0:
            reason = f"{layers} of {count + 1} layers fit on the GPU, the rest computes in RAM"
            yield Attempt(Verdict.PARTLY, replace(base, gpu_layers=layers), reason, usable)


def _on_cpu(case: Case) -> Iterator[Attempt]:
    for kind in _cache_types(case):
        for context in _contexts(case, CPU_COMFORT):
            yield Attempt(Verdict.CPU, _settings(case, context, kind), "everything computes on the processor")


def _settings(case: Case, context: int, kind: str = "f16") -> Settings:
    facts = case.facts
    base = Settings(
        context, cache_type_k=kind, cache_type_v=kind, flash_attention=bool(case.known_flags.flash_attention)
    )
    if facts.kind in EMBEDDERS:
        # A model that looks at the whole text at once needs it in one physical batch. One that reads in order does
        # not, and computes logits for the whole batch, which is 1 GiB for 2048 tokens and Qwen's vocabulary.
        whole = not facts.causal or pooling(facts) != "last"
        size = max(512, context) if whole else 512
        return replace(base, batch=size, micro_batch=size, embeddings=True)
    unified = case.known_flags.knows("--kv-unified")
    slots = case.wishes.parallel or (SLOTS if unified else 1)
    return replace(base, parallel=slots, unified=unified and slots > 1)


def pooling(facts: ModelFacts) -> str:
    """Return how token vectors become one: as the file says, else as is usual (the last of a model that reads on)."""
    if facts.pooling not in (None, "none"):
        return str(facts.pooling)
    return "last" if facts.causal else "mean"


def _contexts(case: Case, comfort: int | None = None) -> list[int]:
    """Contexts to try, the longest first; never above the trained one, above `comfort` only when asked for."""
    limit = trained(case.facts)
    if case.wishes.context is not None:
        return [min(case.wishes.context, limit)]
    caps = [limit, comfort, case.wishes.comfort, EMBEDDING_COMFORT if case.facts.kind in EMBEDDERS else None]
    limit = min(cap for cap in caps if cap is not None)
    return [limit, *(size for size in LADDER if size < limit)]


def trained(facts: ModelFacts) -> int:
    """Return the trained context; a cautious number when the file does not say."""
    return facts.context_trained or UNKNOWN_TRAINED


def _cache_types(case: Case) -> list[str]:
    """Cache types to try: q8_0 is half of f16 and costs next to nothing, but its blocks need heads of 32 elements."""
    facts = case.facts
    blocks = all(size % 32 == 0 for size in (*facts.head_dim_k, *facts.head_dim_v))
    known = case.known_flags.knows("--cache-type-k") and bool(case.known_flags.flash_attention)
    return ["f16", "q8_0"] if blocks and known and any(facts.kv_heads) else ["f16"]


def _split(budget: Budget, gpus: tuple[int, ...]) -> tuple[float, ...]:
    """Shares by usable memory; a GPU that is not used has the share 0."""
    if len(budget.gpus) < 2:
        return ()
    whole = sum(budget.gpus[index] for index in gpus)
    return tuple(round(budget.gpus[index] / whole, 2) if index in gpus else 0.0 for index in range(len(budget.gpus)))


def _gpu_reason(facts: ModelFacts, gpus: tuple[int, ...], kind: str) -> str:
    where = "the GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs together"
    tail = "" if kind == "f16" else ", with a cache of 8 bits because one of 16 leaves too little context"
    return f"all {facts.layers} layers and the output fit on {where}{tail}"


def _context_reason(case: Case, attempt: Attempt) -> str:
    limit, context = trained(case.facts), attempt.settings.context
    if case.facts.context_trained is None:
        return "the file does not say what it was trained with"
    if case.wishes.context is not None and case.wishes.context > limit:
        return f"all that the model was trained with, although {case.wishes.context} were asked for"
    if context == limit:
        return "all that the model was trained with"
    if case.wishes.context is not None:
        return f"as asked for; it was trained with {limit}"
    if attempt.verdict is Verdict.CPU and context == CPU_COMFORT:
        return f"trained with {limit}, but a longer prompt takes minutes to read on a processor"
    if context == _contexts(case)[0]:
        return f"enough for its work; it was trained with {limit}"
    return f"the most that is comfortable here; it was trained with {limit}"
