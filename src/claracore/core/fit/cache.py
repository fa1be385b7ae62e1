"""How many bytes does the memory of a conversation take: KV cache and recurrent state, layer by layer?

The rules are llama.cpp's own, read from what it prints when it loads a model (`llama_kv_cache: size = ...`), and the
tests hold them against that output: cells are rounded up to 256; without `--kv-unified` every slot has a stream of its
own with an equal share of the context; a layer with a sliding window keeps only window + one physical batch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

T = TypeVar("T")

CELL_STEP = 256

BLOCK = 32
CACHE_TYPES = {
    "f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18, "iq4_nl": 18
}  # fmt: skip
"""Bytes per block of 32 elements (ggml-common.h)."""


def rounded(tokens: int) -> int:
    """Round a number of cells up as llama.cpp does."""
    return -(-tokens // CELL_STEP) * CELL_STEP


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one layer's cache: `streams` times `full` (whole context) or `sliding` (window) cells."""

    full: int
    sliding: int
    streams: int


def cells(facts: ModelFacts, settings: Settings) -> Cells:
    """Return how many cells each kind of layer has."""
    slots = max(1, settings.parallel)
    streams = 1 if settings.unified else slots
    full = rounded(-(-settings.context // streams))
    if facts.sliding_window is None or settings.full_window:
        return Cells(full, full, streams)
    # With one stream for all slots each of them needs a window of its own in it.
    window = facts.sliding_window * (slots if settings.unified else 1) + settings.micro_batch
    return Cells(full, min(full, rounded(window)), streams)


class CachedLayer(NamedTuple):
    """What decides the cache of one layer: elements that a token leaves, and whether it is kept for a window only."""

    k_elements: int
    v_elements: int
    sliding: bool


@lru_cache(maxsize=256)
def layer_caches(facts: ModelFacts) -> tuple[CachedLayer, ...]:
    """Return what each layer keeps of a token; nothing where it has no cache. Remembered: a plan asks very often."""
    found = []
    for layer, elements in enumerate(_elements(facts)):
        present = at(facts.has_kv_cache, layer, default=True)
        found.append(CachedLayer(*(elements if present else (0, 0)), at(facts.sliding, layer, default=False)))
    return tuple(found)


def cache_bytes(facts: ModelFacts, settings: Settings) -> tuple[int, ...]:
    """Return the bytes of the KV cache per layer; 0 where a layer has none."""
    sizes = kind_bytes(facts, settings)
    return tuple(map(sizes.__getitem__, layer_caches(facts)))


def kind_bytes(facts: ModelFacts, settings: Settings) -> dict[CachedLayer, int]:
    """Return the bytes of the KV cache of a layer of each kind."""
    size = cells(facts, settings)
    k_type, v_type = CACHE_TYPES[settings.cache_type_k], CACHE_TYPES[settings.cache_type_v]
    kinds = set(layer_caches(facts))
    # Without flash attention values lie the other way round, and llama.cpp keeps as many in all layers.
    most = 0 if settings.flash_attention else max((kind.v_elements for kind in kinds), default=0)
    sizes = {}
    for kind in kinds:
        count = size.streams * (size.sliding if kind.sliding else size.full)
        values = max(kind.v_elements, most) if kind.k_elements else 0
        sizes[kind] = count * (kind.k_elements * k_type + values * v_type) // BLOCK
    return sizes


@lru_cache(maxsize=256)
def kinds_by_place(facts: ModelFacts, places: tuple[int, ...]) -> Mapping[int, Mapping[CachedLayer, int]]:
    """Return how many layers of each kind lie in each place, given the place of each layer."""
    found: dict[int, Counter[CachedLayer]] = {place: Counter() for place in sorted(set(places))}
    for place, kind in zip(places, layer_caches(facts), strict=True):
        found[place][kind] += 1
    return found


def borrowed_bytes(facts: ModelFacts, settings: Settings, places: Sequence[int], place: int) -> int:
    """Return the bytes of caches that are copied to a device because its layers use those of layers elsewhere.

    Layers without a cache of their own use that of the last one before of their kind (gemma3n), each a copy of it.
    """
    size = cells(facts, settings)
    k_type, v_type = CACHE_TYPES[settings.cache_type_k], CACHE_TYPES[settings.cache_type_v]
    lender: dict[bool, int] = {}
    total = 0
    for layer in range(facts.layers):
        slides = at(facts.sliding, layer, default=False)
        if at(facts.has_kv_cache, layer, default=True):
            lender[slides] = layer
        elif attends(facts, layer) and slides in lender and places[layer] == place:
            source = lender[slides]
            k_elements, v_elements = cache_elements(facts, source)
            count = size.streams * (size.sliding if slides else size.full)
            total += (places[source] != place) * count * (k_elements * k_type + v_elements * v_type) // BLOCK
    return total


def attends(facts: ModelFacts, layer: int) -> bool:
    """Whether a layer has attention; with a cache of its own it always does."""
    if at(facts.has_kv_cache, layer, default=False):
        return True
    return not at(facts.recurrent, layer, default=False) and at(facts.kv_heads, layer, default=1) > 0


def cache_elements(facts: ModelFacts, layer: int) -> tuple[int, int]:
    """Return key and value elements that one token leaves in one layer's cache."""
    latent = facts.latent_attention
    if latent is not None and latent.absorbed:
        return latent.kv_lora_rank + latent.rope_dimensions, 0
    heads = at(facts.kv_heads, layer, default=0)
    return heads * at(facts.head_dim_k, layer, default=0), heads * at(facts.head_dim_v, layer, default=0)


@lru_cache(maxsize=256)
def widest_query(facts: ModelFacts) -> int:
    """Return the most elements that a token asks with in one layer, all heads together."""
    return max((heads * size for heads, size in zip(facts.heads, facts.head_dim_k, strict=False)), default=0)


@lru_cache(maxsize=256)
def kinds_of_elements(facts: ModelFacts) -> frozenset[tuple[int, int]]:
    """Return the elements of keys and values that a token leaves in a layer, of all kinds of layers."""
    return frozenset(_elements(facts))


@lru_cache(maxsize=256)
def _elements(facts: ModelFacts) -> tuple[tuple[int, int], ...]:
    return tuple(cache_elements(facts, layer) for layer in range(facts.layers))


@lru_cache(maxsize=256)
def kinds_of_attention(facts: ModelFacts) -> tuple[bool | None, ...]:
    """Return whether each layer's attention slides; None without attention."""
    layers = range(facts.layers)
    return tuple(at(facts.sliding, layer, default=False) if attends(facts, layer) else None for layer in layers)


def prediction_cache_bytes(facts: ModelFacts, settings: Settings) -> int:
    """Return the bytes of the cache that prediction layers have for themselves: f16, for the whole context."""
    size = cells(facts, settings)
    widest = max((sum(cache_elements(facts, layer)) for layer in range(facts.layers)), default=0)
    return facts.prediction_layers * size.streams * size.full * widest * CACHE_TYPES["f16"] // BLOCK


def state_bytes(facts: ModelFacts, settings: Settings) -> tuple[int, ...]:
    """Return the bytes of recurrent state per layer: f32, one per slot and drafted token, whatever the context."""
    states = max(1, settings.parallel) * (1 + settings.drafted)
    state = (facts.state_conv_elements + facts.state_ssm_elements) * 4 * states
    if not state:
        return (0,) * facts.layers
    return tuple(state if at(facts.recurrent, layer, default=False) else 0 for layer in range(facts.layers))


def at(values: tuple[T, ...], layer: int, *, default: T) -> T:
    """Return the value of a layer; the default where the header does not say."""
    return values[layer] if layer < len(values) else default
