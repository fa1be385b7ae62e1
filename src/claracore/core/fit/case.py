"""What is a way of running a model chosen for, and what does the choice cost?

A model, the memory there is, what the person and the engine allow. Costs are remembered, because the same settings are
asked about again and again while a way is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from claracore.core.fit.budget import Budget
from claracore.core.fit.extras import least_extras
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.memory import Companions, Estimate, estimate
from claracore.core.fit.settings import BATCH, MICRO_BATCH, Settings
from claracore.core.gguf.model import Kind

if TYPE_CHECKING:
    from claracore.core.gguf.model import ModelFacts

UNKNOWN_TRAINED: Final = 4096
STEP: Final = 1024
"""Contexts are multiples of this, or all that a model was trained with."""
GUESSES: Final = 3
"""So often the longest context is looked for on a line; then between the shortest and the longest that may be it."""
FLOOR: Final = 2048
"""A chat with less context than this is no use; then the model does not fit."""
EMBEDDING_COMFORT: Final = 8192
EMBEDDERS: Final = frozenset({Kind.EMBEDDING, Kind.RERANKER})
SLOTS: Final = 4
LOGITS_SHARE: Final = 6
"""Of RAM, one part in so many may go to what an embedder computes for its longest input."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for; None leaves the choice to us."""

    context: int | None = None
    parallel: int | None = None
    comfort: int | None = None
    """No context above this is called comfortable."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a placement is chosen for."""

    facts: ModelFacts
    budget: Budget
    wishes: Wishes
    known_flags: KnownFlags
    companions: Companions
    _known: dict[Settings, Estimate] = field(default_factory=dict, compare=False)

    def costs(self, settings: Settings) -> Estimate:
        """Count what these settings take."""
        known = self._known.get(settings)
        if known is None:
            known = self._known[settings] = estimate(self.facts, settings, self.companions)
        return known

    def fits(self, settings: Settings) -> bool:
        """Tell whether what these settings take is there, on all devices at once, with the least that comes later."""
        return min(self.left(settings)) >= 0

    def left(self, settings: Settings) -> tuple[int, ...]:
        """Return the bytes that are left of RAM, of each GPU, and of RAM once there is the least that comes later."""
        ram, *gpus = self.budget.rest(self.costs(settings))
        later = 0 if self.facts.kind in EMBEDDERS else least_extras(self.facts, settings, self.known_flags)
        return (ram, *gpus, ram - self.budget.beside.ram - later)

    def gpus_hold(self, settings: Settings) -> bool:
        """Tell whether what these settings put on GPUs fits there."""
        return min(self.budget.rest(self.costs(settings))[1:], default=0) >= 0

    @property
    def trained(self) -> int:
        """The longest context that makes sense."""
        return trained(self.facts)

    @property
    def longest(self) -> int:
        """The longest context to try: never above the trained one, nor above what was asked for."""
        caps = [self.trained, self.wishes.context, self.wishes.comfort]
        if self.facts.kind in EMBEDDERS and self.wishes.context is None:
            caps.append(self._longest_input())
        return min(cap for cap in caps if cap is not None)

    def _longest_input(self) -> int:
        """Return the most tokens of one input of an embedder: for each it keeps a logit of every word in RAM."""
        if self.facts.causal:
            return EMBEDDING_COMFORT
        per_token = max(1, self.facts.vocab_size or 0) * 4
        affordable = max(512, self.budget.ram // LOGITS_SHARE // per_token)
        return min(EMBEDDING_COMFORT, 1 << (affordable.bit_length() - 1))

    def shortest(self) -> int:
        """Return the shortest context that is still of use, or the one that was asked for."""
        return self.longest if self.wishes.context is not None else min(FLOOR, self.longest)

    def settings(self, context: int, kind: str = "f16") -> Settings:
        """Return settings with everything on the processor, as this engine is started."""
        unified = self.known_flags.knows("--kv-unified")
        # One that embeds with a cache fails when several inputs together are longer than it (b11434).
        shares = unified and (self.facts.kind not in EMBEDDERS or not self.facts.causal)
        slots = self.wishes.parallel or (SLOTS if shares else 1)
        batch = self.batch(context)
        return Settings(
            context, slots, unified and slots > 1, kind, kind, batch or BATCH, batch or MICRO_BATCH,
            bool(self.known_flags.flash_attention), embeddings=batch is not None,
        )  # fmt: skip

    def batch(self, context: int) -> int | None:
        """Return the tokens that an embedder computes at once; None for others, whose batches are as usual."""
        if self.facts.kind not in EMBEDDERS:
            return None
        # A model that looks at the whole text at once needs it in one physical batch. One that reads in order does
        # not, and computes logits for the whole batch, which is 1 GiB for 2048 tokens and Qwen's vocabulary.
        whole = not self.facts.causal or pooling(self.facts) != "last"
        return max(512, context) if whole else 512

    def cache_types(self) -> list[str]:
        """Cache types to try: q8_0 is half of f16 and costs next to nothing, but needs heads of 32 elements."""
        facts = self.facts
        blocks = all(size % 32 == 0 for size in (*facts.head_dim_k, *facts.head_dim_v))
        known = self.known_flags.knows("--cache-type-k") and bool(self.known_flags.flash_attention)
        cached = any(facts.kv_heads) and facts.causal
        return ["f16", "q8_0"] if blocks and known and cached else ["f16"]

    def longest_that(self, left: Callable[[int], Sequence[int]], limit: int) -> int | None:
        """Return the longest context up to `limit` that leaves no less than nothing; None when there is none of use.

        `left` says how many bytes a context leaves of each thing that may run out. They become fewer as it grows,
        mostly on a straight line. So the longest is where the first of these lines ends, which both it and the next one
        prove; where they bend, halves are tried. Contexts are `limit` itself or multiples of STEP.
        """
        least = -(-self.shortest() // STEP) * STEP
        high = Tried(limit, left(limit))
        if high.holds:
            return limit
        if least >= limit or not (low := Tried(least, left(least))).holds:
            return None
        guesses = 0
        while low.context + STEP < high.context:
            guess = between(low, high) if guesses < GUESSES else (low.context + high.context) // 2
            last = (high.context - 1) // STEP * STEP
            context = min(max(guess // STEP * STEP, low.context + STEP), last)
            tried = Tried(context, left(context))
            low, high = (tried, high) if tried.holds else (low, tried)
            guesses += 1
        return low.context


class Tried(NamedTuple):
    """A context, and the bytes that it leaves of each thing that may run out."""

    context: int
    left: Sequence[int]

    @property
    def holds(self) -> bool:
        """Whether nothing has run out."""
        return min(self.left) >= 0


def between(low: Tried, high: Tried) -> int:
    """Return the context at which the first thing runs out, if all become less on straight lines."""
    ends = (
        (high.context - low.context) * some // (some - lacking)
        for some, lacking in zip(low.left, high.left, strict=True)
        if lacking < 0
    )
    return low.context + min(ends)


def trained(facts: ModelFacts) -> int:
    """Return the trained context; a cautious number when the file does not say."""
    return facts.context_trained or UNKNOWN_TRAINED


def pooling(facts: ModelFacts) -> str:
    """Return how token vectors become one: as the file says, else as is usual (the last of a model that reads on)."""
    if facts.pooling not in (None, "none"):
        return str(facts.pooling)
    return "last" if facts.causal else "mean"
