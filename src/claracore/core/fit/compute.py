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

from claracore.core.fit.batch import Batch
from claracore.core.fit.places import RAM
from claracore.core.fit.staging import taking_over

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claracore.core.fit.places import LayerPlaces
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

COPIES: Final = 4
"""Batches in flight when several GPUs share all layers."""


def compute_buffers(facts: ModelFacts, settings: Settings, places: LayerPlaces) -> dict[int, int]:
    """Return the bytes of the buffer for computing on each device that has one, by place."""
    batch = Batch(facts, settings)
    gpus = places.gpus
    if not gpus:
        return {RAM: _alone(batch, range(facts.layers), output=True)}
    found = {RAM: _inputs(batch, copies=COPIES if places.pipelined else 1)}
    if RAM in places.layers:
        found[RAM] = max(found[RAM], _left_to_the_processor(batch))
    for gpu in gpus:
        layers = [layer for layer, place in enumerate(places.layers) if place == gpu]
        output = places.output == gpu
        if places.pipelined:
            found[gpu] = _pipelined(batch, layers, places, first=gpu == gpus[0], last=gpu == gpus[-1])
        elif gpu != gpus[0]:
            found[gpu] = _following(batch, layers, places, output=output)
        elif layers[:1] != [0] and not batch.has_states_only:
            found[gpu] = max(_following(batch, layers, places, output=output), taking_over(batch, places))
        else:
            found[gpu] = max(_alone(batch, layers, on_gpu=True, output=output), taking_over(batch, places))
    return found


def _alone(batch: Batch, layers: Iterable[int], *, output: bool, on_gpu: bool = False) -> int:
    """Return what a device needs that computes these layers and gets its input from the processor's side."""
    layers = list(layers)
    copies = (4 if batch.is_doubled else 2) if on_gpu else 5
    most = max(
        batch.logits(output=output),
        copies * batch.stream + batch.input_beside(on_gpu=on_gpu) + batch.widest(layers),
        batch.pictures() if on_gpu else 0,
    )
    return batch.masks(layers) + batch.aside() + most


def _inputs(batch: Batch, copies: int) -> int:
    """Return what the processor needs to prepare the input for GPUs."""
    layers = range(batch.facts.layers)
    streams = 1 if batch.is_doubled else 2
    each = 2 * batch.input() + batch.masks(layers)
    return batch.input() + streams * batch.stream + batch.per_layer(batch.facts.layers) + copies * each


def _left_to_the_processor(batch: Batch) -> int:
    """Return what is computed in RAM although a GPU takes over the matrices: what has no weights."""
    layers = range(batch.facts.layers)
    recurrent = 3 * batch.floats(batch.facts.widths.convolution) + batch.scan() if any(batch.facts.recurrent) else 0
    return batch.masks(layers) + 4 * batch.stream + max(recurrent, batch.scores)


def _pipelined(batch: Batch, layers: list[int], places: LayerPlaces, *, first: bool, last: bool) -> int:
    """Return what one of several GPUs needs that hold everything together: its inputs are there four times."""
    if first:
        handed = (batch.stream + 2 * batch.input() + batch.deep()) if batch.is_doubled else 2 * batch.stream
    else:
        handed = batch.handed() * batch.stream
    inputs = COPIES * (batch.masks(layers) + handed + batch.aside() + batch.borrowed(layers, places))
    if batch.has_states_only:
        widths = batch.facts.widths
        inputs += COPIES * batch.floats((not first) * widths.recurrent_in + (not last) * widths.recurrent_out)
    copies = (4 if batch.is_doubled else 2) if first else 2 if batch.facts.widths.normalized_after else 3
    beside = batch.input() - batch.stream if first else 0
    most = max(batch.logits(output=last), copies * batch.stream + beside + batch.widest(layers))
    return inputs + batch.aside() + most


def _following(batch: Batch, layers: list[int], places: LayerPlaces, *, output: bool) -> int:
    """Return what a GPU needs that is handed the stream by another one, or by the processor."""
    if not layers:
        return batch.logits(output=output)
    routed = any(places.experts[layer] != RAM for layer in layers)
    copies = 5 if batch.has_states_only else 2
    most = max(batch.logits(output=output), copies * batch.stream + batch.widest(layers, routed=routed))
    beside = batch.per_layer(len(layers)) + (batch.facts.streams - 1) * batch.stream
    return batch.masks(layers) + batch.borrowed(layers, places) + beside + most
