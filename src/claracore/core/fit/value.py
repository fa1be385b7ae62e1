"""What is a way of running a model worth: how fast, with how much context?

One number, so that speed, context and precision can be traded for each other by rules that a person can read
(docs/setup.md, "What is worth what"). A point is what twice the context is worth, up to 32,768 tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from claracore.core.fit.places import RAM, LayerPlaces, places_of

if TYPE_CHECKING:
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

FULL_CONTEXT: Final = 32768
"""Beyond this twice the context is worth a quarter of a point; most conversations never get there."""
BEYOND: Final = 0.25
SHORT_CONTEXT: Final = 8192
"""Below this half the context costs two points: prompts of today's clients hardly fit."""
SPEED: Final = 1.5
"""Points for twice the speed."""
RAM_SLOWNESS: Final = 10.0
"""A graphics card reads its memory some ten times as fast as a processor its own."""
HANDING_OVER: Final = 0.08
"""What each further card adds to the time of a token."""
EIGHT_BITS: Final = 0.3
"""Points that a cache of 8 bits costs..."""
RATHER_THAN_RAM: Final = 0.1
"""... and where it keeps weights of a model with a long context out of RAM."""
LONG_CONTEXT: Final = 16384
SHORT_BATCHES: Final = 0.15
"""Points that half the micro-batch costs where matrices in RAM are copied to a card for each: prompts take longer."""
LONGEST_BATCH: Final = 4096


def value_of(facts: ModelFacts, settings: Settings) -> float:
    """Return the points of these settings; only differences between ways for one model on one machine mean anything."""
    places = places_of(facts, settings)
    points = context_value(settings.context) - SPEED * math.log2(slowness(facts, places))
    mixed = RAM in (*places.layers, *places.experts) and bool(places.gpus)
    if settings.cache_type_k != "f16":
        points -= RATHER_THAN_RAM if mixed and settings.context > LONG_CONTEXT else EIGHT_BITS
    if mixed and RAM in places.experts:
        points -= SHORT_BATCHES * math.log2(LONGEST_BATCH / settings.micro_batch)
    return points


def context_value(tokens: int) -> float:
    """Return the points for a context of so many tokens."""
    points = math.log2(min(tokens, FULL_CONTEXT) / 1024)
    points += BEYOND * math.log2(max(tokens, FULL_CONTEXT) / FULL_CONTEXT)
    return points + math.log2(min(tokens, SHORT_CONTEXT) / SHORT_CONTEXT)


def slowness(facts: ModelFacts, places: LayerPlaces) -> float:
    """Return how long a token takes, compared with all weights on one graphics card."""
    if not places.gpus:
        return RAM_SLOWNESS
    share = share_in_ram(facts, places)
    return (1.0 - share + share * RAM_SLOWNESS) * (1.0 + HANDING_OVER * (len(places.gpus) - 1))


def share_in_ram(facts: ModelFacts, places: LayerPlaces) -> float:
    """Return which part of the weights that a token needs lies in RAM."""
    weights = facts.tensor_bytes
    active = facts.experts_used / facts.experts if facts.experts else 1.0
    in_ram = whole = float(weights.output or weights.token_embedding_weight)
    if places.output != RAM:
        in_ram = 0.0
    for parts, where, part in ((weights.layers, places.layers, 1.0), (weights.experts, places.experts, active)):
        for size, place in zip(parts, where, strict=False):
            whole += size * part
            in_ram += size * part * (place == RAM)
    return in_ram / whole if whole else 0.0
