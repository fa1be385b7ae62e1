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

from claracore.core.fit.cache import at, cache_bytes, cache_elements, cells
from claracore.core.fit.places import RAM

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        return {RAM: batch.alone(range(facts.layers))}
    found = {RAM: batch.inputs(copies=COPIES if places.pipelined else 1)}
    if RAM in places.layers:
        found[RAM] = max(found[RAM], batch.left_to_the_processor())
    for gpu in gpus:
        layers = [layer for layer, place in enumerate(places.layers) if place == gpu]
        if places.pipelined:
            found[gpu] = batch.pipelined(layers, first=gpu == gpus[0])
        elif gpu != gpus[0]:
            found[gpu] = batch.following(layers, places.experts)
        else:
            found[gpu] = max(batch.alone(layers, on_gpu=True), batch.taking_over(places))
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

    def alone(self, layers: Iterable[int], *, on_gpu: bool = False) -> int:
        """Return what a device needs that computes these layers and gets its input from the processor's side."""
        layers = list(layers)
        if not (self.facts.causal or self.facts.widths.gated or self.facts.experts):
            copies = 2 if on_gpu else 5
        else:
            copies = 4 if on_gpu else 5
        most = max(self._logits(), copies * self.stream + self._widest(layers))
        return self._masks(layers) + most

    def inputs(self, copies: int) -> int:
        """Return what the processor needs to prepare the input for GPUs."""
        streams = 2 * copies + 2 + (0 if self.facts.causal or self.facts.sliding_window else 1)
        layers = range(self.facts.layers)
        return streams * self.stream * self._input_part() + copies * self._masks(layers)

    def left_to_the_processor(self) -> int:
        """Return what is computed in RAM although a GPU takes over the matrices: what has no weights."""
        layers = range(self.facts.layers)
        recurrent = 3 * self._floats(self.facts.widths.convolution) + self._scan() if any(self.facts.recurrent) else 0
        return self._masks(layers) + 4 * self.stream + max(recurrent, self._scores())

    def pipelined(self, layers: list[int], *, first: bool) -> int:
        """Return what one of several GPUs needs that hold everything together: its inputs are there four times."""
        inputs = COPIES * (self._masks(layers) + (3 if first else 2) * self.stream)
        if self.has_states_only:
            widths = self.facts.widths
            inputs += COPIES * self._floats(widths.recurrent_out if first else widths.recurrent_in)
        return inputs + max(self._logits(), (4 if first else 3) * self.stream + self._widest(layers))

    def following(self, layers: list[int], experts: tuple[int, ...]) -> int:
        """Return what a GPU needs that is handed the stream by another one."""
        routed = any(experts[layer] != RAM for layer in layers)
        copies = 5 if self.has_states_only else 2
        most = max(self._logits(), copies * self.stream + self._widest(layers, routed=routed))
        return self._masks(layers) + most

    def taking_over(self, places: LayerPlaces) -> int:
        """Return what the first GPU needs to compute with matrices that lie in RAM, one of them at a time."""
        widths, layers = self.facts.widths, range(self.facts.layers)
        steps = [0]
        if RAM in places.experts and self.facts.experts:
            inner, used = self._expert(), self.facts.experts_used
            entering = widths.expert_entering_bytes + 2 * inner
            leaving = widths.expert_leaving_bytes + inner + used * self.stream
            kept = self._kept_apart(places)
            steps.append(4 * self.stream + kept + max(entering, leaving))
        if RAM in places.layers:
            inner = self._floats(widths.feed_forward)
            steps.append(7 * self.stream + widths.entering_bytes + 2 * inner)
            steps.append((2 if self.has_states_only else 5) * self.stream + self._widest(layers))
            steps.append(4 * self.stream + widths.leaving_bytes + inner)
            # The keys and values of a layer in RAM are copied to where its attention is computed.
            copied = max(cache_bytes(self.facts, self.settings), default=0)
            steps.append(4 * self.stream + self._attention() + copied + widths.expert_leaving_bytes)
        return self._masks(layers) + max(steps)

    def _kept_apart(self, places: LayerPlaces) -> int:
        """Return what the matrix before takes beside the one that is computed with.

        In a hybrid the mask is first needed after some recurrent layers. Larger than the stream, it fits into no other
        gap than the one that a matrix has left, which is then too small for the next.
        """
        is_hybrid = any(self.facts.recurrent) and not self.has_states_only and RAM not in places.layers
        fits = self._masks(range(self.facts.layers)) < self.stream
        return 0 if fits or not is_hybrid else self.facts.widths.expert_leaving_bytes

    @property
    def has_states_only(self) -> bool:
        """Whether all layers are recurrent."""
        return bool(self.facts.recurrent) and all(self.facts.recurrent)

    def _input_part(self) -> int:
        """Return how many streams an input has: pictures of some models enter several layers at once."""
        return 1 + self.facts.deepstack_layers

    def _logits(self) -> int:
        """Return what the output layer needs: the rows that count, and the stream that feeds them."""
        facts, settings = self.facts, self.settings
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
        """Return what attention needs: questions, answers, and what its kernel makes of the cache."""
        facts = self.facts
        widths = (heads * at(facts.head_dim_k, layer, default=0) for layer, heads in enumerate(facts.heads))
        query = self._floats(max(widths, default=0))
        latent = query // 2 if facts.latent_attention else 0
        return 2 * query + latent + self._scores() + self._cache_as_f16()

    def _scores(self) -> int:
        """Return the scores of each head for each cell, which only attention without flash attention writes down."""
        if self.settings.flash_attention:
            return 0
        size = cells(self.facts, self.settings)
        values = max(map(sum, (cache_elements(self.facts, layer)[1:] for layer in range(self.facts.layers))), default=0)
        return self._floats(max(self.facts.heads, default=0) * size.full) + self.tokens * values * 8

    def _cache_as_f16(self) -> int:
        """Return one layer's quantized cache as f16, which CUDA and HIP make of it while they read a prompt."""
        if self.settings.cache_type_k in FLOATS:
            return 0
        widest = max((sum(cache_elements(self.facts, layer)) for layer in range(self.facts.layers)), default=0)
        return cells(self.facts, self.settings).full * widest * 2

    def _recurrence(self) -> int:
        """Return what a recurrent layer needs: what enters it (twice), its convolution, and the scan."""
        widths = self.facts.widths
        return 2 * self._floats(widths.recurrent_in) + self._floats(widths.convolution) + self._scan() - 2 * self.stream

    def _scan(self) -> int:
        return self._floats(self.facts.widths.recurrent_out) + self._states()

    def _states(self) -> int:
        return self.facts.state_ssm_elements * self.settings.parallel * FLOAT

    def _masks(self, layers: Iterable[int]) -> int:
        """Return one mask over the cells per kind of layer: f16 with flash attention, f32 without."""
        facts, size = self.facts, cells(self.facts, self.settings)
        kinds = {
            at(facts.sliding, layer, default=False) for layer in layers if not at(facts.recurrent, layer, default=False)
        }
        columns = size.full * (False in kinds) + size.sliding * (True in kinds)
        return columns * self.tokens * (2 if self.settings.flash_attention else FLOAT)
