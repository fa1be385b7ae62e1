"""How many bytes does a model take, where, and why?

`estimate` returns rows: what, where, how many bytes, and the working in words, so that a person can check every
number. A place is the index of a GPU, or RAM (`places`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from claracore.core.fit.batch import FLOAT
from claracore.core.fit.cache import (
    at,
    cache_elements,
    cells,
    kind_bytes,
    kinds_by_place,
    prediction_cache_bytes,
    state_bytes,
)
from claracore.core.fit.compute import compute_buffers
from claracore.core.fit.places import RAM, LayerPlaces, layer_places, places_of
from claracore.core.fit.projector import computing_bytes, input_bytes, working
from claracore.core.units import MIB

if TYPE_CHECKING:
    from claracore.core.fit.learnt import Correction
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts
    from claracore.core.gguf.projector import ProjectorFacts


OF_LAYERS = frozenset({"weights", "experts", "KV cache", "recurrent state", "output layer"})
"""What each layer brings along, wherever it lies."""
LATER = frozenset({"checkpoints", "prompt cache", "logits"})
"""Rows that are nothing when a model is loaded, and grow while it answers."""
NGRAM_BYTES = 16 * MIB
"""4,194,304 tokens (b11434)."""
LEARNT = "more than counted"
"""The row of what a model was seen to take beyond the other rows; less than nothing where it took less."""


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One line of the working: `place` is a GPU's index or RAM."""

    what: str
    place: int
    bytes: int
    working: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """All rows of one model with one choice of settings."""

    rows: tuple[MemoryItem, ...]

    @property
    def by_place(self) -> dict[int, int]:
        """Bytes in each place where some are."""
        found: dict[int, int] = {}
        for row in self.rows:
            found[row.place] = found.get(row.place, 0) + row.bytes
        return found

    def on(self, place: int) -> int:
        """Bytes in one place."""
        return sum(row.bytes for row in self.rows if row.place == place)

    @property
    def loaded(self) -> Estimate:
        """The same without what comes later, while the model answers."""
        return Estimate(tuple(row for row in self.rows if row.what not in LATER))

    def beside_layers(self, place: int) -> int:
        """Bytes in one place that do not come and go with layers."""
        return sum(row.bytes for row in self.rows if row.place == place and row.what not in OF_LAYERS)

    @property
    def gpu_bytes(self) -> int:
        """Bytes on all GPUs together."""
        return sum(row.bytes for row in self.rows if row.place != RAM)

    @property
    def total(self) -> int:
        """Bytes everywhere."""
        return sum(row.bytes for row in self.rows)


@dataclass(frozen=True, slots=True)
class Companions:
    """What is loaded beside the model: a projector for pictures or sound, a draft model."""

    projector: ProjectorFacts | None = None
    draft: ModelFacts | None = None
    draft_settings: Settings | None = None
    learnt: tuple[Correction, ...] = ()
    """What the model was seen to take more, or less, than is counted here; one for each way of placing it."""


def estimate(facts: ModelFacts, settings: Settings, companions: Companions | None = None) -> Estimate:
    """Count the bytes of a model with these settings, and of what is loaded beside it."""
    places = places_of(facts, settings)
    rows = [
        *_weights(facts, settings.cpu_experts, places),
        *_caches(facts, settings, places),
        *_buffers(facts, settings, places),
    ]
    if settings.predicting:
        rows += _prediction(facts, settings, places)
    if settings.repeating:
        rows.append(MemoryItem("n-grams", RAM, NGRAM_BYTES, "a table of what followed what"))
    companions = companions or Companions()
    first = min(places.gpus, default=RAM)
    if companions.projector is not None:
        rows += _projecting(companions.projector, settings, first)
    if companions.draft is not None and companions.draft_settings is not None:
        draft = estimate(companions.draft, companions.draft_settings)
        rows += [MemoryItem(f"draft: {row.what}", row.place, row.bytes, row.working) for row in draft.rows]
    for correction in companions.learnt:
        more = correction.rows(facts.dealt_layers, settings, (*places.layers, places.output))
        rows += [MemoryItem(LEARNT, place, size, "seen when it was loaded here") for place, size in more]
    return Estimate(tuple(row for row in rows if row.bytes))


def _projecting(projector: ProjectorFacts, settings: Settings, place: int) -> list[MemoryItem]:
    """Return the rows of a projector; clip.cpp loads it on the first GPU."""
    flash = settings.flash_attention
    size = projector.weight_bytes + computing_bytes(projector, flash_attention=flash)
    return [
        MemoryItem("vision projector", place, size, working(projector, flash_attention=flash)),
        MemoryItem("projector input", RAM, input_bytes(projector), "what it reads, as floats, and masks"),
    ]


@lru_cache(maxsize=256)
def _weights(facts: ModelFacts, cpu_experts: int, places: LayerPlaces) -> tuple[MemoryItem, ...]:
    """Return the rows of weights, which are remembered: while a context is looked for they stay the same."""
    weights = facts.tensor_bytes
    layers: Counter[int] = Counter()
    experts: Counter[int] = Counter()
    for layer in range(facts.layers):
        layers[places.layers[layer]] += weights.layers[layer] if layer < len(weights.layers) else 0
        experts[places.experts[layer]] += weights.experts[layer] if layer < len(weights.experts) else 0
    output = weights.output
    if weights.tied_output and (places.output != RAM or _repacked(facts)):
        # The embedding in RAM cannot be multiplied with on a GPU, nor once it is re-arranged for the processor.
        output += weights.token_embedding_weight
    counts = Counter(places.layers)
    moved = min(cpu_experts, facts.layers)
    rows = [MemoryItem("token embedding", RAM, weights.token_embedding + weights.other, "always in RAM")]
    rows += [
        MemoryItem("weights", place, layers[place], f"{counts[place]} of {facts.layers} layers")
        for place in sorted(counts)
    ]
    for place in sorted(experts):
        working = f"routed experts of {moved if place == RAM and moved else counts[place]} layers"
        rows.append(MemoryItem("experts", place, experts[place], working))
    copied = "with a copy of the embedding" if output > weights.output else "norms and the output matrix"
    rows.append(MemoryItem("output layer", places.output, output, copied))
    return tuple(rows)


def _prediction(facts: ModelFacts, settings: Settings, places: LayerPlaces) -> list[MemoryItem]:
    """Return what the model's prediction layers take: they are dealt out last, and have a context of their own."""
    place = layer_places(facts.dealt_layers, settings)[facts.dealt_layers - 1]
    buffers = compute_buffers(facts, settings, places)
    weights = facts.tensor_bytes.prediction
    rows = [
        MemoryItem("prediction layers", place, weights, f"{facts.prediction_layers} after the model's own"),
        MemoryItem("prediction cache", place, prediction_cache_bytes(facts, settings), "the whole context, f16"),
    ]
    working = "as much again as the model's own, at most"
    return [
        *rows,
        *(MemoryItem("prediction buffer", at, buffers.get(at, 0), working) for at in dict.fromkeys((place, RAM))),
    ]


def _repacked(facts: ModelFacts) -> bool:
    """Tell whether llama.cpp re-arranges the token embedding's type for the processor (its CPU_REPACK buffer).

    On x86 these are Q4_0, Q4_K and IQ4_NL, which all have 4.5 bits per weight, and nothing else has.
    """
    elements = (facts.vocab_size or 0) * (facts.embedding_length or 0)
    return elements > 0 and facts.tensor_bytes.token_embedding_weight * 16 == elements * 9


def _caches(facts: ModelFacts, settings: Settings, places: LayerPlaces) -> list[MemoryItem]:
    sizes, working = kind_bytes(facts, settings), _cache_working(facts, settings)
    rows = [
        MemoryItem("KV cache", place, sum(sizes[kind] * count for kind, count in kinds.items()), working)
        for place, kinds in kinds_by_place(facts, places.layers).items()
    ]
    states: Counter[int] = Counter()
    for place, state in zip(places.layers, state_bytes(facts, settings), strict=True) if any(facts.recurrent) else ():
        states[place] += state
    working = f"fixed size, {settings.parallel} slot{'s' * (settings.parallel > 1)}, f32"
    return rows + [MemoryItem("recurrent state", place, size, working) for place, size in sorted(states.items())]


def _cache_working(facts: ModelFacts, settings: Settings) -> str:
    size = cells(facts, settings)
    caching, sliding, (k_elements, v_elements) = _caching(facts)
    types = settings.cache_type_k
    if settings.cache_type_v != settings.cache_type_k:
        types += f"/{settings.cache_type_v}"
    parts = []
    streams = f"{size.streams} x " if size.streams > 1 else ""
    if caching - sliding:
        parts.append(f"{caching - sliding} layers x {streams}{size.full} tokens")
    if sliding:
        parts.append(f"{sliding} sliding layers x {streams}{size.sliding} tokens")
    return f"{' + '.join(parts)}, {k_elements}+{v_elements} elements each, {types}"


@lru_cache(maxsize=256)
def _caching(facts: ModelFacts) -> tuple[int, int, tuple[int, int]]:
    """Return how many layers have a cache, how many of these slide, and the elements of the first one."""
    caching = [layer for layer in range(facts.layers) if at(facts.has_kv_cache, layer, default=True)]
    sliding = sum(1 for layer in caching if at(facts.sliding, layer, default=False))
    return len(caching), sliding, cache_elements(facts, caching[0]) if caching else (0, 0)


def _buffers(facts: ModelFacts, settings: Settings, places: LayerPlaces) -> list[MemoryItem]:
    tokens = min(settings.micro_batch, settings.context)
    working = f"one batch of {tokens} tokens"
    rows = [
        MemoryItem("compute buffer", place, size, f"inputs of {working}" if place == RAM and places.gpus else working)
        for place, size in sorted(compute_buffers(facts, settings, places).items())
    ]
    words = facts.vocab_size or 0
    rows.append(MemoryItem("answers", RAM, settings.parallel * words * FLOAT, f"{settings.parallel} x {words} logits"))
    if settings.embeddings:
        # llama-server (b11434) makes a logit of each word for each token of an input, though nobody asks for them.
        working = f"{tokens} x {words} for the longest input"
        rows.append(MemoryItem("logits", RAM, tokens * words * FLOAT, working))
    return rows
