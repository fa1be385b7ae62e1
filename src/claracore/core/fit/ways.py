"""In which ways can a model be run on this machine at all?

Each way is settings that fit: on one card, on several, with the experts of some layers in RAM, with whole layers there,
on the processor alone; each with the longest context that is of use and as little in RAM as possible. `plan` takes the
one that is worth most (`value`), `choices` shows them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from claracore.core.fit.cache import cache_bytes, state_bytes
from claracore.core.fit.case import Case
from claracore.core.fit.dealing import balanced, filled
from claracore.core.fit.settings import Settings
from claracore.core.fit.value import FULL_CONTEXT

MODEST_CONTEXT: Final = 131072
"""A model that fills most of the memory anyway gets no more: few ever use it, and it has to be loaded."""
CPU_COMFORT: Final = 32768
"""On processors a longer prompt takes minutes to read; whoever wants it says so."""
COMMON_CONTEXT: Final = 4096
CPU_CACHE_SHARE: Final = 4
"""On processors the cache may take one part in so many of the memory."""
RUNGS: Final = (131072, 65536, 32768, 16384, 8192, 4096)
"""Contexts for which the least that has to go to RAM is looked for; then what is left is used up."""
BATCHES: Final = (4096, 2048)
"""Micro-batches to try where matrices are copied to a card for each of them, the fastest first."""


class Verdict(StrEnum):
    """Where the model ends up."""

    GPU = "fits on the GPU"
    EXPERTS_IN_RAM = "fits with experts in RAM"
    PARTLY = "fits with layers in RAM"
    CPU = "fits in RAM"
    NOT = "does not fit"


@dataclass(frozen=True, slots=True)
class Way:
    """Settings that fit, and why they are what they are."""

    verdict: Verdict
    settings: Settings
    gpus: tuple[int, ...] = ()
    limit: int = 0
    """The context that was aimed at."""


def ways(case: Case, *, greedy: bool = False) -> Iterator[Way]:
    """Yield the ways that fit, the fastest first; with `greedy` the longest contexts, whatever they are worth."""
    longest = 0
    for gpus in teams(case):
        for kind in case.cache_types():
            for way in _on_gpus(case, gpus, kind, greedy=greedy):
                longest = max(longest, way.settings.context)
                yield way
    # Layers in RAM bring no more context than this, and are slower.
    has_all = longest >= min(case.longest, FULL_CONTEXT) and not greedy
    everyone = _usable(case)
    # Nothing goes to RAM before every card is full.
    for kind in case.cache_types() if everyone else ():
        if case.facts.experts and case.known_flags.knows("--n-cpu-moe"):
            yield from _experts_in_ram(case, everyone, kind, greedy=greedy)
        if not has_all:
            yield from _partly(case, everyone, kind, greedy=greedy)
    for kind in case.cache_types():
        yield from _on_processor(case, kind)


def teams(case: Case) -> list[tuple[int, ...]]:
    """Return which GPUs may work together: the largest one, the two largest, and so on."""
    usable = sorted(_usable(case), key=lambda index: (-case.budget.gpus[index], index))
    return [tuple(sorted(usable[:count])) for count in range(1, len(usable) + 1)]


def _usable(case: Case) -> tuple[int, ...]:
    return tuple(index for index, size in enumerate(case.budget.gpus) if size > 0)


def dealt(case: Case, settings: Settings, gpus: tuple[int, ...]) -> Settings:
    """Return the settings with their layers dealt out to these GPUs; only a machine with several needs shares."""
    if len(case.budget.gpus) < 2:
        return settings
    if len(gpus) == 1:
        return replace(settings, split=_spread((1,), gpus, len(case.budget.gpus)))
    sizes = _layer_sizes(case, settings)
    trial = replace(settings, split=_spread(tuple(case.budget.gpus[gpu] for gpu in gpus), gpus, len(case.budget.gpus)))
    fixed = case.costs(trial)
    free = [case.budget.gpus[gpu] - fixed.beside_layers(gpu) for gpu in gpus]
    best = trial
    for deal in (balanced, filled):
        best = replace(settings, split=_spread(deal(sizes, free), gpus, len(case.budget.gpus)))
        if case.gpus_hold(best):
            return best
    return best


def _spread(shares: Sequence[float], gpus: tuple[int, ...], count: int) -> tuple[float, ...]:
    """Return a share for each GPU of the machine; one that is not used has 0."""
    return tuple(float(shares[gpus.index(index)]) if index in gpus else 0.0 for index in range(count))


def _layer_sizes(case: Case, settings: Settings) -> list[int]:
    """Return the bytes of each layer that goes to a GPU, in order; the output layer is the last."""
    facts, weights = case.facts, case.facts.tensor_bytes
    caches, states = cache_bytes(facts, settings), state_bytes(facts, settings)
    sizes = [
        weights.layers[layer] + caches[layer] + states[layer]
        + (0 if layer < settings.cpu_experts else weights.experts[layer])
        for layer in range(facts.layers)
    ]  # fmt: skip
    sizes += [0] * facts.prediction_layers
    sizes.append(weights.output + (weights.token_embedding_weight if weights.tied_output else 0))
    return sizes[max(0, len(sizes) - settings.gpu_layers) :]


def _ceiling(case: Case, way: Settings, gpus: tuple[int, ...], *, greedy: bool) -> int:
    """Return the longest context that is worth its memory.

    Up to 32,768 tokens any context is. Beyond, a model may take half of the memory of the cards it is on, so that
    another one fits beside it; one that takes more than half anyway may have all, up to 131,072.
    """
    longest = case.longest
    if greedy or longest <= FULL_CONTEXT or case.wishes.context is not None:
        return longest
    half = sum(case.budget.gpus[gpu] for gpu in gpus) // 2

    def left(context: int) -> tuple[int]:
        return (half - case.costs(replace(way, context=context)).gpu_bytes,)

    if min(left(FULL_CONTEXT)) < 0:
        return min(longest, MODEST_CONTEXT)
    return case.longest_that(left, longest) or FULL_CONTEXT


def _on_gpus(case: Case, gpus: tuple[int, ...], kind: str, *, greedy: bool) -> Iterator[Way]:
    """Everything on these GPUs."""
    everything = replace(case.settings(case.longest, kind), gpu_layers=case.facts.dealt_layers + 1)

    def settings(context: int) -> Settings:
        return dealt(case, _with_context(case, everything, context), gpus)

    if not case.gpus_hold(settings(case.shortest())):
        return
    limit = _ceiling(case, settings(case.shortest()), gpus, greedy=greedy)
    context = case.longest_that(lambda context: case.left(settings(context)), limit)
    if context is not None:
        yield Way(Verdict.GPU, settings(context), gpus, limit)


def _with_context(case: Case, settings: Settings, context: int) -> Settings:
    """Return the settings with another context; an embedder's batches are as long as its context."""
    batch = case.batch(context)
    if batch is None:
        return replace(settings, context=context)
    return replace(settings, context=context, batch=batch, micro_batch=batch)


def _rungs(case: Case, limit: int) -> list[int]:
    """Return contexts to look for the least that has to go to RAM, the longest first."""
    if case.wishes.context is not None:
        return [case.longest]
    longest = min(limit, case.longest)
    return [longest, *(rung for rung in RUNGS if case.shortest() <= rung < longest)]


def _experts_in_ram(case: Case, gpus: tuple[int, ...], kind: str, *, greedy: bool) -> Iterator[Way]:
    """Attention on GPUs, as few layers' experts in RAM as possible: they are large, and each token uses few of them."""
    count = case.facts.layers
    limit = case.longest if greedy else min(case.longest, MODEST_CONTEXT)
    first = next((layer for layer, size in enumerate(case.facts.tensor_bytes.experts) if size), count)
    for rung in _rungs(case, limit):
        base = replace(case.settings(rung, kind), gpu_layers=case.facts.dealt_layers + 1)

        def moved(number: int, base: Settings = base) -> Settings:
            return dealt(case, replace(base, cpu_experts=number), gpus)

        numbers = range(first + 1, count + 1)
        least = first + 1 + bisect_left(numbers, True, key=lambda n: case.gpus_hold(moved(n)))
        if least > count or not case.fits(moved(least)):
            continue
        yield _used_up(case, moved(least), gpus, limit)
        for batch in BATCHES if case.known_flags.knows("--ubatch-size") else ():
            longer = replace(base, micro_batch=batch, batch=max(base.batch, batch))
            tries = (moved(number, longer) for number in range(least, min(least + 2, count) + 1))
            if (found := next((settings for settings in tries if case.fits(settings)), None)) is not None:
                yield _used_up(case, found, gpus, limit)


def _used_up(case: Case, settings: Settings, gpus: tuple[int, ...], limit: int) -> Way:
    """Return the way with the longest context that fits beside what lies where already."""

    def longer(context: int) -> Settings:
        return dealt(case, _with_context(case, settings, context), gpus)

    context = case.longest_that(lambda context: case.left(longer(context)), max(limit, settings.context))
    verdict = Verdict.EXPERTS_IN_RAM if settings.cpu_experts else Verdict.PARTLY
    return Way(verdict, longer(max(context or 0, settings.context)), gpus, limit)


def _partly(case: Case, gpus: tuple[int, ...], kind: str, *, greedy: bool) -> Iterator[Way]:
    """Yield, for each context to try, the way with as many layers on the GPUs as fit."""
    count = case.facts.dealt_layers
    limit = case.longest if greedy else min(case.longest, FULL_CONTEXT)
    for rung in _rungs(case, limit):
        base = case.settings(rung, kind)

        def placed(number: int, base: Settings = base) -> Settings:
            return dealt(case, replace(base, gpu_layers=number), gpus)

        layers = bisect_left(range(1, count + 1), True, key=lambda n: not case.gpus_hold(placed(n)))
        if layers > 0 and case.fits(placed(layers)):
            yield _used_up(case, placed(layers), gpus, limit)


def _on_processor(case: Case, kind: str) -> Iterator[Way]:
    """Everything in RAM; a machine with a large cache in it is no longer pleasant to use."""
    limit = min(case.longest, CPU_COMFORT) if case.wishes.context is None else case.longest

    def left(context: int) -> tuple[int, ...]:
        settings = case.settings(context, kind)
        cache = sum(row.bytes for row in case.costs(settings).rows if row.what == "KV cache")
        beside_cache = case.budget.ram - cache * CPU_CACHE_SHARE
        if context <= COMMON_CONTEXT or case.wishes.context is not None:
            beside_cache = max(0, beside_cache)
        return (*case.left(settings), beside_cache)

    context = case.longest_that(left, limit)
    if context is not None:
        yield Way(Verdict.CPU, case.settings(context, kind), (), limit)
