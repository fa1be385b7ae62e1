"""How much RAM may llama-server take on top, while it answers, to save work?

It keeps the caches of earlier conversations in RAM (`--cache-ram`, 8 GiB unless told otherwise, in each server), and
for models whose state cannot be rolled back (sliding windows, recurrent layers) copies of that state at points of each
conversation (`--ctx-checkpoints`, 32 per slot). Neither is counted when a model is loaded, and both have brought
machines down. So they get a part of what the model leaves free, and no more than is of use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from claracore.core.fit.cache import at, cache_bytes, cells, state_bytes
from claracore.core.fit.memory import Estimate, MemoryItem
from claracore.core.fit.places import RAM
from claracore.core.units import MIB, gib

if TYPE_CHECKING:
    from claracore.core.fit.budget import Budget
    from claracore.core.fit.flags import KnownFlags
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

DEFAULT_MIB = 8192
CONVERSATIONS = 4
"""Whole contexts that are worth keeping."""
STEP_MIB = 64
SPARE_PART = 4
"""The prompt cache gets one part in so many of the RAM that is left, checkpoints as much of the rest."""
MOST_CHECKPOINTS = 32
"""What llama-server keeps per slot unless told otherwise."""
LEAST_CHECKPOINTS = 2
"""With none, a model that cannot roll its state back reads a whole conversation again when its last turn changes."""
CHECKPOINT_TOKENS = 8192
"""llama-server makes a checkpoint every so many tokens, and two at the end of a prompt."""


def least_extras(facts: ModelFacts, settings: Settings, known_flags: KnownFlags) -> int:
    """Return the bytes of RAM that a server of conversations needs later at least, to go back in each of its slots."""
    if not known_flags.knows("--ctx-checkpoints"):
        return 0
    return LEAST_CHECKPOINTS * max(1, settings.parallel) * checkpoint_bytes(facts, settings)


def with_extras(
    facts: ModelFacts, settings: Settings, cost: Estimate, budget: Budget, known_flags: KnownFlags
) -> tuple[Settings, Estimate]:
    """Return settings that bound what is kept in RAM, and the estimate with what that may become."""
    spare = max(0, budget.ram_left(cost))
    rows: list[MemoryItem] = []
    size = checkpoint_bytes(facts, settings)
    if size and known_flags.knows("--ctx-checkpoints"):
        wanted = min(MOST_CHECKPOINTS, settings.context // CHECKPOINT_TOKENS + 2)
        slots = max(1, settings.parallel)
        count = min(wanted, max(LEAST_CHECKPOINTS, spare // SPARE_PART // (size * slots)), spare // (size * slots))
        working = f"at most {count} copies of {gib(size)} for each of {slots} slots, to go back in a conversation"
        rows.append(MemoryItem("checkpoints", RAM, count * size * slots, working))
        spare -= count * size * slots
        settings = replace(settings, checkpoints=count)
    if known_flags.knows("--cache-ram"):
        whole = sum(cache_bytes(facts, settings)) + sum(state_bytes(facts, settings))
        kept = min(DEFAULT_MIB, spare // SPARE_PART // MIB, -(-CONVERSATIONS * whole // MIB))
        kept = kept // STEP_MIB * STEP_MIB
        rows.append(MemoryItem("prompt cache", RAM, kept * MIB, "at most, for conversations that may be continued"))
        settings = replace(settings, prompt_cache_mib=kept)
    return settings, Estimate((*cost.rows, *(row for row in rows if row.bytes)))


def checkpoint_bytes(facts: ModelFacts, settings: Settings) -> int:
    """Return the bytes of one copy: the windows of one slot's sliding layers, and its recurrent state."""
    if not any(facts.recurrent) and not any(facts.sliding):
        return 0
    single = replace(settings, parallel=1, unified=False, drafted=0)
    state = sum(state_bytes(facts, single))
    window = min(facts.sliding_window or 0, cells(facts, single).full)
    if settings.full_window or not any(facts.sliding):
        return state
    share = window / max(1, cells(facts, single).sliding)
    sizes = cache_bytes(facts, single)
    return state + int(share * sum(size for layer, size in enumerate(sizes) if at(facts.sliding, layer, default=False)))
