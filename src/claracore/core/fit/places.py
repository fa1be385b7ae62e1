"""Which part of a model lies where?

As llama.cpp decides it: with `--n-gpu-layers N` the output layer and the last N - 1 layers are on the GPUs, dealt out
in order by `--tensor-split`; the token embedding always stays in RAM, and with `--n-cpu-moe M` the routed experts of
the first M layers. A place is the index of a GPU, or RAM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from claracore.core.fit.settings import Settings

if TYPE_CHECKING:
    from claracore.core.gguf.model import ModelFacts

RAM: Final = -1


@dataclass(frozen=True, slots=True)
class LayerPlaces:
    """Where each part lies. `layers` has one place per layer, `experts` as many for their routed experts."""

    layers: tuple[int, ...]
    experts: tuple[int, ...]
    output: int

    @property
    def gpus(self) -> tuple[int, ...]:
        """The GPUs that are used, in the engine's order."""
        return tuple(sorted({*self.layers, self.output} - {RAM}))

    @property
    def pipelined(self) -> bool:
        """Whether llama.cpp lets several GPUs work on several batches at once, each with its own inputs.

        It does when they hold everything (`llama_context`: all layers offloaded, no tensor overridden).
        """
        return len(self.gpus) > 1 and RAM not in (*self.layers, *self.experts, self.output)


def places_of(facts: ModelFacts, settings: Settings) -> LayerPlaces:
    """Return where the parts of a model lie."""
    return _places(facts.layers, facts.dealt_layers, settings.gpu_layers, settings.cpu_experts, settings.split)


@lru_cache(maxsize=256)
def _places(count: int, dealt: int, gpu_layers: int, cpu_experts: int, split: tuple[float, ...]) -> LayerPlaces:
    """Return the places, which are remembered: while a context is looked for they stay the same."""
    *placed, output = _dealt_out(dealt, gpu_layers, split)
    del placed[count:]
    experts = (RAM if layer < cpu_experts else place for layer, place in enumerate(placed))
    return LayerPlaces(tuple(placed), tuple(experts), output)


def layer_places(layers: int, settings: Settings) -> tuple[int, ...]:
    """Return the place of each layer and, as the last one, of the output layer."""
    return _dealt_out(layers, settings.gpu_layers, settings.split)


def _dealt_out(layers: int, gpu_layers: int, split: tuple[float, ...]) -> tuple[int, ...]:
    first = max(layers + 1 - gpu_layers, 0)
    on_gpu = min(gpu_layers, layers + 1)
    if len(split) < 2 and first == 0:
        return (0,) * (layers + 1)
    places = [RAM] * (layers + 1)
    bounds = _bounds(split)
    for layer in range(first, layers + 1 if on_gpu else 0):
        share = (layer - first) / on_gpu
        places[layer] = next(device for device, bound in enumerate(bounds) if share < bound)
    return tuple(places)


def _bounds(split: Sequence[float]) -> list[float]:
    """Turn shares into upper bounds; the last is above 1 so that rounding never leaves a layer without a place."""
    whole = sum(split) or 1.0
    bounds = [running / whole for running in accumulate(split or (1.0,))]
    bounds[-1] = 2.0
    return bounds
