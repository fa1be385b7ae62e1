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
from claracore.core.units import GIB, counted, gib

if TYPE_CHECKING:
    from claracore.core.fit.plan import Placement
    from claracore.core.gguf.model import ModelFacts

NOTABLE_TIME: Final = 1.05
"""Times that differ by less are the same to a person."""
NOTABLE_BYTES: Final = GIB
MILLION: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Trade:
    """One way to run a model, as a person compares it with the others."""

    placement: Placement
    title: str
    words: str
    """What it costs and gains beside the chosen one; of the chosen one, why it is as it is."""
    is_chosen: bool
    times: float
    """How long a token takes, compared with the fastest of the choices: 1 or more."""


def trades(facts: ModelFacts, placements: Sequence[Placement], chosen: Placement) -> list[Trade]:
    """Return the placements as choices, in their order; `chosen` is one of them."""
    fastest = min((placement.time for placement in placements), default=1.0)
    return [trade_of(facts, placement, chosen, fastest) for placement in placements]


def trade_of(facts: ModelFacts, placement: Placement, chosen: Placement, fastest: float) -> Trade:
    """Return one placement beside the chosen one; `fastest` is the time of a token with the fastest of all."""
    times, is_chosen = placement.time / fastest, placement.settings == chosen.settings
    words = _told(placement) if is_chosen else ", ".join(_differences(placement, chosen))
    return Trade(placement, title(facts, placement, times), words, is_chosen, round(times, 2))


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
    survives = ", conversations survive swaps" if settings.full_window else ""
    return f"{tokens(settings.context)} {where}{slower}{survives}"


def tokens(context: int) -> str:
    """Return a number of tokens as people say it: `32k`, `1M`; as it is where that is not round."""
    if context >= MILLION and context % MILLION == 0:
        return f"{context // MILLION}M"
    if context >= 1024 and context % 1024 == 0:
        return f"{context // 1024}k"
    return f"{context} tokens"


def _cards(placement: Placement) -> str:
    used, all_cards = len(placement.gpus), sum(1 for size in placement.budget.gpus if size > 0)
    if placement.budget.shared[placement.gpus[0]]:
        return "the GPU"  # which is no card: it shares RAM
    if used == 1:
        return "one card" if all_cards > 1 else "the card"
    if used == all_cards:
        return "both cards" if used == 2 else f"all {used} cards"
    return f"{used} of {all_cards} cards"


def _told(placement: Placement) -> str:
    """Say of the chosen placement why it has this context, and what it leaves to others."""
    free = [f"GPU {gpu}" for gpu, size in enumerate(placement.budget.gpus) if size > 0 and gpu not in placement.gpus]
    leaves = f"; leaves {' and '.join(free)} free" if free and placement.gpus else ""
    return f"{placement.context_reason}{leaves}"


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
    if one.full_window and not other.full_window:
        price = placement.loaded.total - chosen.loaded.total
        yield f"--swa-full takes {_more(price)}: the engine then brings conversations back whole after a swap"
    else:
        yield from _moved(placement, chosen)
    if one.cache_type_k != other.cache_type_k:
        yield "cache of 16 bits" if one.cache_type_k == "f16" else "cache of 8 bits: next to no loss"


def _moved(placement: Placement, chosen: Placement) -> Iterator[str]:
    """Yield where a placement takes more or less than the chosen one."""
    one, other = placement.loaded, chosen.loaded
    freed, taken = sorted({*chosen.gpus} - {*placement.gpus}), sorted({*placement.gpus} - {*chosen.gpus})
    yield from (f"leaves GPU {gpu} free" for gpu in freed)
    yield from (f"takes {gib(one.on(gpu))} on GPU {gpu}" for gpu in taken)
    if not freed and not taken and abs(one.gpu_bytes - other.gpu_bytes) >= NOTABLE_BYTES:
        yield f"{_more(one.gpu_bytes - other.gpu_bytes)} on {'GPU' if len(placement.gpus) == 1 else 'GPUs'}"
    if abs(one.on(RAM) - other.on(RAM)) >= NOTABLE_BYTES:
        yield f"{_more(one.on(RAM) - other.on(RAM))} of RAM"


def _more(size: int) -> str:
    return f"{gib(abs(size))} {'more' if size > 0 else 'less'}"


def _times(ratio: float) -> str:
    """Return a ratio of contexts: `4x`, `1.3x`, `half`, `a quarter of`, `0.7x`."""
    words = {0.5: "half", 0.25: "a quarter of"}
    return words.get(round(ratio, 2)) or f"{ratio:.2g}x"
