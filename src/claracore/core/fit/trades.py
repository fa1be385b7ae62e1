"""What does a person get, and give, with each of the ways to run a model?

Titles that can be told apart at a glance ("40k on both cards"), and one short line of what a choice costs and gains
beside the one that was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claracore.core.fit.places import RAM
from claracore.core.fit.ways import Verdict
from claracore.core.units import GIB, MIB, counted, gib

if TYPE_CHECKING:
    from claracore.core.fit.plan import Placement
    from claracore.core.gguf.model import ModelFacts

NOTABLE_TIME: Final = 1.05
"""Times that differ by less are the same to a person."""
NOTABLE_BYTES: Final = GIB
TAKEN_BYTES: Final = 256 * MIB
"""Less RAM than this is not worth a word beside what lies on cards."""
MILLION: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Trade:
    """One way to run a model, as a person compares it with the others."""

    placement: Placement
    title: str
    words: str
    """What it costs and gains beside the chosen one; of the chosen one, what it takes and leaves."""
    is_chosen: bool
    times: float
    """How long a token takes, compared with the fastest of the choices: 1 or more."""


def trades(facts: ModelFacts, placements: Sequence[Placement], chosen: Placement) -> list[Trade]:
    """Return the placements as choices, in their order; `chosen` is one of them."""
    fastest = min((placement.time for placement in placements), default=1.0)
    return [
        Trade(
            placement,
            title(facts, placement, placement.time / fastest),
            _taken(placement) if placement is chosen else ", ".join(_differences(placement, chosen)),
            placement is chosen,
            round(placement.time / fastest, 2),
        )
        for placement in placements
    ]


def title(facts: ModelFacts, placement: Placement, times: float = 1.0) -> str:
    """Return a name for a placement, such as `128k with experts of 12 layers in RAM (2.1x slower)`."""
    settings, count = placement.settings, facts.dealt_layers
    match placement.verdict:
        case Verdict.GPU:
            where = f"on {_cards(placement)}"
        case Verdict.EXPERTS_IN_RAM:
            where = f"with experts of {counted(settings.cpu_experts, 'layer')} in RAM"
        case Verdict.PARTLY:
            where = f"with {count + 1 - settings.gpu_layers} of {count + 1} layers in RAM"
        case _:
            where = "on the processor"
    slower = f" ({times:.1f}x slower)" if times >= NOTABLE_TIME else ""
    return f"{tokens(settings.context)} {where}{slower}"


def tokens(context: int) -> str:
    """Return a number of tokens as people say it: `32k`, `1M`; as it is where that is not round."""
    if context >= MILLION and context % MILLION == 0:
        return f"{context // MILLION}M"
    if context >= 1024 and context % 1024 == 0:
        return f"{context // 1024}k"
    return f"{context} tokens"


def _cards(placement: Placement) -> str:
    used, all_cards = len(placement.gpus), sum(1 for size in placement.budget.gpus if size > 0)
    if used == 1:
        return "one card" if all_cards > 1 else "the card"
    if used == all_cards:
        return "both cards" if used == 2 else f"all {used} cards"
    return f"{used} of {all_cards} cards"


def _taken(placement: Placement) -> str:
    """Say what the chosen placement takes of each device, and leaves there for others."""
    cost, budget = placement.estimate.loaded, placement.budget
    parts = [f"{gib(cost.on(gpu))} of {gib(budget.gpus[gpu])} on GPU {gpu}" for gpu in placement.gpus]
    if cost.on(RAM) >= TAKEN_BYTES or not placement.gpus:
        parts.append(f"{gib(cost.on(RAM))} of RAM")
    free = [f"GPU {gpu}" for gpu, size in enumerate(budget.gpus) if size > 0 and gpu not in placement.gpus]
    return f"takes {', '.join(parts)}{'; leaves ' * bool(free)}{' and '.join(free)}{' free' * bool(free)}"


def _differences(placement: Placement, chosen: Placement) -> Iterator[str]:
    """Yield how a placement differs from the chosen one: context, speed, memory, precision."""
    one, other = placement.settings, chosen.settings
    if one.context != other.context:
        yield f"{_times(one.context / other.context)} the context"
    if placement.time > chosen.time * NOTABLE_TIME:
        yield f"{placement.time / chosen.time:.1f}x slower"
    elif placement.time * NOTABLE_TIME < chosen.time:
        yield f"{chosen.time / placement.time:.1f}x faster"
    if one.micro_batch != other.micro_batch and one.cpu_experts and other.cpu_experts:
        yield "reads prompts faster" if one.micro_batch > other.micro_batch else "reads prompts more slowly"
    yield from _moved(placement, chosen)
    if one.cache_type_k != other.cache_type_k:
        yield "cache of 16 bits" if one.cache_type_k == "f16" else "cache of 8 bits: next to no loss"


def _moved(placement: Placement, chosen: Placement) -> Iterator[str]:
    """Yield where a placement takes more or less than the chosen one."""
    for place in (*range(len(placement.budget.gpus)), RAM):
        name = "of RAM" if place == RAM else f"on GPU {place}"
        size, before = placement.estimate.loaded.on(place), chosen.estimate.loaded.on(place)
        if place != RAM and before and not size:
            yield f"leaves GPU {place} free"
        elif place != RAM and size and not before:
            yield f"takes {gib(size)} {name}"
        elif abs(size - before) >= NOTABLE_BYTES:
            yield f"{gib(abs(size - before))} {'more' if size > before else 'less'} {name}"


def _times(ratio: float) -> str:
    """Return a ratio of contexts: `4x`, `1.3x`, `half`, `a quarter of`, `0.7x`."""
    words = {0.5: "half", 0.25: "a quarter of"}
    return words.get(round(ratio, 2)) or f"{ratio:.2g}x"
