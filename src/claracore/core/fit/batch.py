"""What is alive at the same time while one batch of tokens passes through the layers of a model, in bytes?

The steps were read off llama.cpp's own allocator (b11434, its list of live tensors at the peak), shape by shape.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from claracore.core.fit.cache import (
    Cells,
    at,
    borrowed_bytes,
    cells,
    kinds_of_attention,
    kinds_of_elements,
    widest_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claracore.core.fit.places import LayerPlaces
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

FLOAT: Final = 4
FLOATS: Final = frozenset({"f32", "f16", "bf16"})


class AmongLayers(NamedTuple):
    """What there is among some layers of a model."""

    kinds: frozenset[bool | None]
    """Of attention: does it slide?"""
    dense: bool
    """One has no routed experts."""
    recurrent: bool
    attending: bool


@lru_cache(maxsize=256)
def among_layers(facts: ModelFacts, layers: tuple[int, ...]) -> AmongLayers:
    """Return what there is among these layers; remembered, as it is asked for with each context that is tried."""
    kinds, experts = kinds_of_attention(facts), facts.tensor_bytes.experts
    return AmongLayers(
        frozenset(kinds[layer] for layer in layers) - {None},
        any(not at(experts, layer, default=0) for layer in layers),
        any(at(facts.recurrent, layer, default=False) for layer in layers),
        any(at(facts.heads, layer, default=0) for layer in layers),
    )


class Batch:
    """One physical batch of tokens on its way through the layers; all results are bytes."""

    def __init__(self, facts: ModelFacts, settings: Settings) -> None:
        self.facts = facts
        self.settings = settings
        self.tokens = min(settings.micro_batch, max(1, settings.context))
        self.stream = self.floats(facts.embedding_length or 0)
        """The residual stream: as many elements per token as the embedding has."""

    def floats(self, elements: int) -> int:
        """Return the bytes of so many elements for each token."""
        return self.tokens * elements * FLOAT

    @property
    def has_states_only(self) -> bool:
        """Whether all layers are recurrent and none attends."""
        return bool(self.facts.recurrent) and all(self.facts.recurrent) and not any(self.facts.has_kv_cache)

    @property
    def is_doubled(self) -> bool:
        """Whether the stream is there twice in a layer: as it came and normalized.

        Where layers normalize what they put out (BERT), it is handed on as it is.
        """
        return not self.facts.widths.normalized_after or self.facts.widths.gated

    def handed(self) -> int:
        """Return how many streams one GPU hands to the next."""
        return 1 if self.facts.widths.normalized_after else 2

    def input(self) -> int:
        """Return the bytes of an input: pictures of some models enter several layers at once."""
        return (1 + self.facts.deepstack_layers) * self.stream

    def deep(self) -> int:
        """Return what of an input enters layers after the first one: a copy of the whole for each."""
        return self.facts.deepstack_layers * self.input()

    def input_beside(self, *, on_gpu: bool) -> int:
        """Return by how much wider than the stream the copies of the input are that live as long as a layer."""
        return (1 if on_gpu else 3) * (self.input() - self.stream) + (self.deep() if on_gpu else 0)

    def pictures(self) -> int:
        """Return what it takes to make the stream of an input that enters several layers."""
        return self.stream + 4 * self.input() + self.deep()

    def per_layer(self, layers: int) -> int:
        """Return the bytes of the inputs that so many layers have of their own (gemma3n)."""
        return self.floats(self.facts.layer_input_length * layers)

    def borrowed(self, layers: Sequence[int], places: LayerPlaces) -> int:
        """Return the bytes of caches that these layers use though they lie elsewhere."""
        return borrowed_bytes(self.facts, self.settings, places.layers, places.layers[layers[0]]) if layers else 0

    def aside(self) -> int:
        """Return what lies beside the stream in all layers: inputs of their own, and further streams, twice."""
        return self.per_layer(self.facts.layers) + 2 * (self.facts.streams - 1) * self.stream

    def logits(self, *, output: bool) -> int:
        """Return what the output layer needs: the rows that count, and the stream that feeds them."""
        facts, settings = self.facts, self.settings
        if not output:
            return 0
        rows = self.tokens if settings.embeddings and facts.causal else settings.parallel
        return rows * ((facts.vocab_size or 0) + 5 * (facts.embedding_length or 0)) * FLOAT

    def widest(self, layers: Iterable[int], *, routed: bool = True) -> int:
        """Return what the widest step of these layers needs beside the stream."""
        layers, widths = tuple(layers), self.facts.widths
        among = among_layers(self.facts, layers)
        steps = [0]
        # After attention the last layer goes on with the few tokens that an answer is made of.
        if self.settings.embeddings or self.facts.streams > 1 or layers != (self.facts.layers - 1,):
            if among.dense:
                steps.append(self.floats(widths.feed_forward) * (3 if widths.gated else 1))
            shared = self.floats(widths.shared_expert) * (3 if widths.experts_gated else 1)
            steps += [shared, self._experts() if routed else 0]
        if among.recurrent:
            steps.append(self.recurrence())
        if among.attending:
            steps.append(self.attention)
        return max(steps)

    def expert(self) -> int:
        """Return what one matrix of all experts that are used puts out."""
        return self.facts.experts_used * self.floats(self.facts.widths.expert)

    def _experts(self) -> int:
        """Return what the routed experts need: gate, up and their product; what they put out if it fits in no gap."""
        inner, out = self.expert(), self.facts.experts_used * self.stream
        if not self.facts.widths.experts_gated:
            return inner + out
        return 3 * inner + (out if out > 2 * inner else 0)

    @cached_property
    def attention(self) -> int:
        """What attention needs: questions, answers or keys and values; what its kernel makes of the cache."""
        facts = self.facts
        query = widest_query(facts)
        latent = query // 2 if facts.latent_attention else max(0, max(map(sum, self._cached), default=0) - query)
        return self.floats(2 * query + latent) + self.scores + self._cache_as_f16()

    @cached_property
    def _cached(self) -> frozenset[tuple[int, int]]:
        """The elements of keys and values that a token leaves in a layer, of all kinds of layers."""
        return kinds_of_elements(self.facts)

    @cached_property
    def scores(self) -> int:
        """The scores of each head for each cell, which only attention without flash attention writes down."""
        if self.settings.flash_attention:
            return 0
        values = max((value for _, value in self._cached), default=0)
        scores = self.floats(max(self.facts.heads, default=0) * self._cells.full)
        return scores + (0 if self._caches else self.floats(values))

    @cached_property
    def _caches(self) -> bool:
        return any(self.facts.has_kv_cache)

    @cached_property
    def _cells(self) -> Cells:
        """What a token may look at: cells of the cache, or without one the other tokens of its batch."""
        if self._caches:
            return cells(self.facts, self.settings)
        return Cells(self.tokens, self.tokens, 1)

    def _cache_as_f16(self) -> int:
        """Return one layer's quantized cache as f16, which CUDA and HIP make of it while they read a prompt."""
        if self.settings.cache_type_k in FLOATS:
            return 0
        return self._cells.full * max(map(sum, self._cached), default=0) * 2

    def recurrence(self) -> int:
        """Return what a recurrent layer needs: what enters it (twice), its convolution, and the scan.

        A delta net has no matrix of its own for all that enters; its convolution is there twice, and what it compares.
        """
        widths = self.facts.widths
        convolution = self.floats(widths.convolution)
        if not widths.recurrent_in:
            return 2 * convolution + self.floats(widths.recurrent_out) + self._states() + self.stream
        return 2 * self.floats(widths.recurrent_in) + convolution + self.scan() - 2 * self.stream

    def scan(self) -> int:
        """Return what the scan of a recurrent layer puts out, with the states after it."""
        return self.floats(self.facts.widths.recurrent_out) + self._states()

    def _states(self) -> int:
        return self.facts.state_ssm_elements * self.settings.parallel * FLOAT

    @cached_property
    def kinds(self) -> tuple[bool | None, ...]:
        """Whether each layer's attention slides; None without attention."""
        return kinds_of_attention(self.facts)

    def masks(self, layers: Iterable[int]) -> int:
        """Return one mask over the cells per kind of layer: f16 with flash attention.

        Without it f32, and for each value where it goes in the cache.
        """
        size = self._cells
        kinds = among_layers(self.facts, tuple(layers)).kinds
        columns = size.full * (False in kinds) + size.sliding * (True in kinds)
        if self.settings.flash_attention:
            return columns * self.tokens * 2
        values = max((value for _, value in self._cached), default=0) if self._caches else 0
        return self.floats(columns) + len(kinds) * self.tokens * values * 8
