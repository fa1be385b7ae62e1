"""How large are the buffers in which llama.cpp computes one batch, and on which device?

llama.cpp reserves them for the worst case when it loads a model: one physical batch (`micro_batch` tokens) with the
cache full. What is alive at the same time in the widest step of a layer decides the size. The steps below were read off
llama.cpp's own allocator (b11434, its list of live tensors at the peak), shape by shape; `make bench-fit` records what
it reserves, and tests/fit holds the sums against that.

On a GPU lie, beside what a step needs: the masks, and copies of the residual stream. With weights in RAM the first GPU
takes over prompts of 32 tokens and more (`op_offload`) and needs room for one matrix at a time. GPUs that hold all
layers together work on four batches at once, each with its own inputs (`GGML_SCHED_MAX_COPIES`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from claracore.core.fit.cache import Cells, at, borrowed_bytes, cache_bytes, cache_elements, cells
from claracore.core.fit.places import RAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claracore.core.fit.places import LayerPlaces
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

FLOAT: Final = 4
COPIES: Final = 4
"""Batches in flight when several GPUs share all layers."""
FLOATS: Final = frozenset({"f32", "f16", "bf16"})


def compute_buffers(facts: ModelFacts, settings: Settings, places: LayerPlaces) -> dict[int, int]:
    """Return the bytes of the buffer for computing on each device that has one, by place."""
    batch = Batch(facts, settings)
    gpus = places.gpus
    if not gpus:
        return {RAM: batch.alone(range(facts.layers), output=True)}
    found = {RAM: batch.inputs(copies=COPIES if places.pipelined else 1)}
    if RAM in places.layers:
        found[RAM] = max(found[RAM], batch.left_to_the_processor())
    for gpu in gpus:
        layers = [layer for layer, place in enumerate(places.layers) if place == gpu]
        output = places.output == gpu
        if places.pipelined:
            found[gpu] = batch.pipelined(layers, places, first=gpu == gpus[0], output=output)
        elif gpu != gpus[0]:
            found[gpu] = batch.following(layers, places, output=output)
        elif layers[:1] != [0]:
            found[gpu] = max(batch.following(layers, places, output=output), batch.taking_over(places))
        else:
            found[gpu] = max(batch.alone(layers, on_gpu=True, output=output), batch.taking_over(places))
    return found


class Batch:
    """One physical batch of tokens on its way through the layers; all results are bytes."""

    def __init__(self, facts: ModelFacts, settings: Settings) -> None:
        self.facts = facts
        self.settings = settings
        self.tokens = min(settings.micro_batch, max(1, settings.context))
        self.stream = self._floats(facts.embedding_length or 0)
        """The residual stream: as many elements per token as the embedding has."""

    def _floats(self, elements: int) -> int:
        return self.tokens * elements * FLOAT

    def alone(self, layers: Iterable[int], *, output: bool, on_gpu: bool = False) -> int:
        """Return what a device needs that computes these layers and gets its input from the processor's side."""
        layers = list(layers)
        copies = (4 if self._is_doubled else 2) if on_gpu else 5
        most = max(
            self._logits(output=output),
            copies * self.stream + self._input_beside(on_gpu=on_gpu) + self._widest(layers),
            self._pictures() if on_gpu else 0,
        )
        return self._masks(layers) + self._aside() + most

    def inputs(self, copies: int) -> int:
        """Return what the processor needs to prepare the input for GPUs."""
        wide = 2 * copies + 2 + (0 if self._is_doubled or self.facts.sliding_window else 1)
        layers = range(self.facts.layers)
        return wide * self._input() + self._per_layer(self.facts.layers) + copies * self._masks(layers)

    def left_to_the_processor(self) -> int:
        """Return what is computed in RAM although a GPU takes over the matrices: what has no weights."""
        layers = range(self.facts.layers)
        recurrent = 3 * self._floats(self.facts.widths.convolution) + self._scan() if any(self.facts.recurrent) else 0
        return self._masks(layers) + 4 * self.stream + max(recurrent, self._scores())

    def pipelined(self, layers: list[int], places: LayerPlaces, *, first: bool, output: bool) -> int:
        """Return what one of several GPUs needs that hold everything together: its inputs are there four times."""
        if first:
            handed = (self.stream + 2 * self._input() + self._deep()) if self._is_doubled else 2 * self.stream
        else:
            handed = self._handed() * self.stream
        if self.facts.streams > 1:
            handed += 2 * (self.facts.streams - 1) * self.stream + self._per_layer(self.facts.layers)
        inputs = COPIES * (self._masks(layers) + handed + self._borrowed(layers, places))
        if self.has_states_only:
            widths = self.facts.widths
            inputs += COPIES * self._floats(widths.recurrent_out if first else widths.recurrent_in)
        copies = (4 if self._is_doubled else 2) if first else 2 if self.facts.widths.normalized_after else 3
        beside = self._input() - self.stream if first else 0
        most = max(self._logits(output=output), copies * self.stream + beside + self._widest(layers))
        return inputs + self._aside() + most

    def following(self, layers: list[int], places: LayerPlaces, *, output: bool) -> int:
        """Return what a GPU needs that is handed the stream by another one, or by the processor."""
        routed = any(places.experts[layer] != RAM for layer in layers)
        copies = 5 if self.has_states_only else 2
        most = max(self._logits(output=output), copies * self.stream + self._widest(layers, routed=routed))
        beside = self._per_layer(len(layers)) + (self.facts.streams - 1) * self.stream
        return self._masks(layers) + self._borrowed(layers, places) + beside + most

    def taking_over(self, places: LayerPlaces) -> int:
        """Return what the first GPU needs to compute with matrices that lie in RAM, one of them at a time."""
        widths, layers = self.facts.widths, range(self.facts.layers)
        steps = [0]
        if RAM in places.experts and self.facts.experts:
            steps.append(4 * self.stream + self._staged(places))
        if RAM in places.layers:
            inner = self._floats(widths.feed_forward)
            if self._is_doubled:
                steps.append(7 * self.stream + widths.entering_bytes + 2 * inner)
                copies = 2 if self.has_states_only else 5
            else:
                steps.append(4 * self.stream + widths.entering_bytes + inner)
                copies = 4
            beside = 2 * (self._input() - self.stream)
            steps.append(copies * self.stream + beside + self._widest(layers))
            steps.append(4 * self.stream + widths.leaving_bytes + inner)
            # The keys and values of a layer in RAM are copied to where its attention is computed.
            copied = max(cache_bytes(self.facts, self.settings), default=0)
            steps.append(4 * self.stream + self._attention() + copied + widths.expert_leaving_bytes)
        return self._masks(layers) + self._aside() + max(steps)

    def _staged(self, places: LayerPlaces) -> int:
        """Return what routed experts in RAM need beside the stream, and attention where it comes after some of them."""
        widths, inner = self.facts.widths, self._expert()
        leaving = widths.expert_leaving_bytes
        most = staged(widths.expert_entering_bytes, leaving, inner, self.facts.experts_used * self.stream)
        masks = self._masks(range(self.facts.layers))
        if not self._is_interrupted(places) or masks <= self.stream // 2:
            return most
        # A mask takes the gap that a matrix has left, which is too small for the next one; or if that is too small for
        # it, the gap of what the experts put out.
        out = self.facts.experts_used * self.stream
        kept = leaving + (out if leaving < out < 2 * leaving <= 2 * masks else 0)
        attention = self._attention() if self._scores() else 0
        return max(most, kept + leaving + inner, leaving + attention)

    def _is_interrupted(self, places: LayerPlaces) -> bool:
        """Whether a mask is first needed after some layers whose experts are staged.

        Without a shared expert, which is computed last, gaps of matrices are at the end and grow.
        """
        if not self.facts.widths.shared_expert or RAM in places.layers:
            return False
        kinds = [self._kind(layer) for layer in range(self.facts.layers)]
        return bool(set(kinds[1:]) - {kinds[0], None}) and places.experts[:1] == (RAM,)

    @property
    def has_states_only(self) -> bool:
        """Whether all layers are recurrent and none attends."""
        return bool(self.facts.recurrent) and all(self.facts.recurrent) and not any(self.facts.has_kv_cache)

    @property
    def _is_doubled(self) -> bool:
        """Whether the stream is there twice in a layer: as it came and normalized.

        Where layers normalize what they put out (BERT), it is handed on as it is.
        """
        return not self.facts.widths.normalized_after or self.facts.widths.gated

    def _handed(self) -> int:
        """Return how many streams one GPU hands to the next."""
        return 1 if self.facts.widths.normalized_after else 2

    def _input(self) -> int:
        """Return the bytes of an input: pictures of some models enter several layers at once."""
        return (1 + self.facts.deepstack_layers) * self.stream

    def _deep(self) -> int:
        """Return what of an input enters layers after the first one: a copy of the whole for each."""
        return self.facts.deepstack_layers * self._input()

    def _input_beside(self, *, on_gpu: bool) -> int:
        """Return by how much wider than the stream the copies of the input are that live as long as a layer."""
        return (1 if on_gpu else 3) * (self._input() - self.stream) + (self._deep() if on_gpu else 0)

    def _pictures(self) -> int:
        """Return what it takes to make the stream of an input that enters several layers."""
        return self.stream + 4 * self._input() + self._deep()

    def _per_layer(self, layers: int) -> int:
        """Return the bytes of the inputs that so many layers have of their own (gemma3n)."""
        return self._floats(self.facts.layer_input_length * layers)

    def _borrowed(self, layers: Sequence[int], places: LayerPlaces) -> int:
        """Return the bytes of caches that these layers use though they lie elsewhere."""
        return borrowed_bytes(self.facts, self.settings, places.layers, places.layers[layers[0]]) if layers else 0

    def _aside(self) -> int:
        """Return what lies beside the stream in all layers: inputs of their own, and further streams, twice."""
        return self._per_layer(self.facts.layers) + 2 * (self.facts.streams - 1) * self.stream

    def _logits(self, *, output: bool) -> int:
        """Return what the output layer needs: the rows that count, and the stream that feeds them."""
        facts, settings = self.facts, self.settings
        if not output:
            return 0
        rows = self.tokens if settings.embeddings and facts.causal else settings.parallel
        return rows * ((facts.vocab_size or 0) + 5 * (facts.embedding_length or 0)) * FLOAT

    def _widest(self, layers: Iterable[int], *, routed: bool = True) -> int:
        """Return what the widest step of these layers needs beside the stream."""
        layers = list(layers)
        widths = self.facts.widths
        experts = self.facts.tensor_bytes.experts
        dense = 0
        if any(not at(experts, layer, default=0) for layer in layers):
            dense = self._floats(widths.feed_forward) * (3 if widths.gated else 1)
        shared = self._floats(widths.shared_expert) * 3
        steps = [dense, shared, self._experts() if routed else 0]
        if any(at(self.facts.recurrent, layer, default=False) for layer in layers):
            steps.append(self._recurrence())
        if any(at(self.facts.heads, layer, default=0) for layer in layers):
            steps.append(self._attention())
        return max(steps)

    def _expert(self) -> int:
        return self.facts.experts_used * self._floats(self.facts.widths.expert)

    def _experts(self) -> int:
        """Return what the routed experts need: gate, up and their product; what they put out if it fits in no gap."""
        inner, out = self._expert(), self.facts.experts_used * self.stream
        return 3 * inner + (out if out > 2 * inner else 0)

    def _attention(self) -> int:
        """Return what attention needs: questions, answers or keys and values, and what is made of the cache."""
        facts = self.facts
        query, cached = 0, 0
        for layer, heads in enumerate(facts.heads):
            query = max(query, heads * at(facts.head_dim_k, layer, default=0))
            cached = max(cached, sum(cache_elements(facts, layer)))
        latent = query // 2 if facts.latent_attention else max(0, cached - query)
        return self._floats(2 * query + latent) + self._scores() + self._cache_as_f16()

    def _scores(self) -> int:
        """Return the scores of each head for each cell, which only attention without flash attention writes down."""
        if self.settings.flash_attention:
            return 0
        values = max(map(sum, (cache_elements(self.facts, layer)[1:] for layer in range(self.facts.layers))), default=0)
        scores = self._floats(max(self.facts.heads, default=0) * self._cells().full)
        return scores + self.tokens * values * (8 if self._caches else FLOAT)

    @property
    def _caches(self) -> bool:
        return any(self.facts.has_kv_cache)

    def _cells(self) -> Cells:
        """Return what a token may look at: cells of the cache, or without one the other tokens of its batch."""
        if self._caches:
            return cells(self.facts, self.settings)
        return Cells(self.tokens, self.tokens, 1)

    def _cache_as_f16(self) -> int:
        """Return one layer's quantized cache as f16, which CUDA and HIP make of it while they read a prompt."""
        if self.settings.cache_type_k in FLOATS:
            return 0
        widest = max((sum(cache_elements(self.facts, layer)) for layer in range(self.facts.layers)), default=0)
        return cells(self.facts, self.settings).full * widest * 2

    def _recurrence(self) -> int:
        """Return what a recurrent layer needs: what enters it (twice), its convolution, and the scan.

        A delta net has no matrix of its own for all that enters; its convolution is there twice, and what it compares.
        """
        widths = self.facts.widths
        convolution = self._floats(widths.convolution)
        if not widths.recurrent_in:
            return 2 * convolution + self._floats(widths.recurrent_out) + self._states() + self.stream
        return 2 * self._floats(widths.recurrent_in) + convolution + self._scan() - 2 * self.stream

    def _scan(self) -> int:
        return self._floats(self.facts.widths.recurrent_out) + self._states()

    def _states(self) -> int:
        return self.facts.state_ssm_elements * self.settings.parallel * FLOAT

    def _kind(self, layer: int) -> bool | None:
        """Return whether a layer's attention slides; None without attention."""
        facts = self.facts
        if at(facts.recurrent, layer, default=False) and not at(facts.has_kv_cache, layer, default=False):
            return None
        return at(facts.sliding, layer, default=False)

    def _masks(self, layers: Iterable[int]) -> int:
        """Return one mask over the cells per kind of layer: f16 with flash attention, f32 without."""
        size = self._cells()
        kinds = {self._kind(layer) for layer in layers}
        columns = size.full * (False in kinds) + size.sliding * (True in kinds)
        return columns * self.tokens * (2 if self.settings.flash_attention else FLOAT)


def staged(entering: int, leaving: int, inner: int, out: int) -> int:
    """Return what routed experts need whose matrices are copied to a GPU one at a time, with the gaps between.

    `entering` and `leaving` are bytes of matrices, `inner` and `out` of what they put out. Gate and up come one after
    the other in the same place. Their product goes there next if it fits, and all behind it is free again; otherwise
    it goes to the end, and what follows has to fit into the gap before it.
    """
    if entering >= inner:
        return max(entering + 2 * inner, inner + leaving + out)
    gap = entering + 2 * inner
    end = gap + inner
    if leaving > gap:
        return end + leaving + (out if out > gap else 0)
    return end + (out if out > gap - leaving else 0)
