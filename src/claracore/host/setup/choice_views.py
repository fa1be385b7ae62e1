"""How are the choices for a model told to programs: the API, and `claracore fit --choices --json`?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from claracore.core.fit.budget import Budget
from claracore.core.fit.command import flags, known, projector_flags
from claracore.core.fit.flags import Flag, KnownFlags
from claracore.core.fit.machine import Hardware
from claracore.core.fit.placed_command import placed_flags
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement
from claracore.core.fit.settings import Settings
from claracore.core.fit.trades import Trade
from claracore.core.gguf.model import ModelFacts
from claracore.core.memory.devices import device_at


@dataclass(frozen=True, slots=True)
class PlacementSettings:
    """What makes one choice another than the next."""

    context: int
    """Tokens of all slots together."""
    cache_type: str
    gpu_layers: int
    cpu_experts: int
    split: list[float]
    micro_batch: int
    full_window: bool = False
    """Layers with a sliding window keep the whole context (`--swa-full`)."""


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What a choice takes of a device (`ram`, `gpu0`, ... or `unified`), of so many bytes that may be used there."""

    device: str
    bytes: int
    of_bytes: int


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """One way to run a model."""

    title: str
    words: str
    """What it costs and gains beside the recommended one; of that one, why it is as it is."""
    recommended: bool
    verdict: str
    reason: str
    context_reason: str
    context: int
    """Tokens of all slots together."""
    cache_type: str
    times_slower: float
    """How long a token takes, compared with the fastest of the choices: 1 or more."""
    devices: list[DeviceShare]
    settings: PlacementSettings
    """Names this choice when it is to be taken."""
    flags: list[str]
    """The words of its command line."""


def choice_view(trade: Trade, hardware: Hardware, words: Sequence[Flag]) -> ChoiceView:
    """Return a choice as it is told; `words` are the flags of its command line."""
    placement = trade.placement
    return ChoiceView(
        title=trade.title,
        words=trade.words,
        recommended=trade.is_chosen,
        verdict=placement.verdict.value,
        reason=placement.reason,
        context_reason=placement.context_reason,
        context=placement.settings.context,
        cache_type=placement.settings.cache_type_k,
        times_slower=trade.times,
        devices=_shares(placement, hardware),
        settings=named(placement.settings),
        flags=[word for flag in words for word in flag.words],
    )


def named(settings: Settings) -> PlacementSettings:
    """Return what tells these settings from those of other choices."""
    return PlacementSettings(
        settings.context,
        settings.cache_type_k,
        settings.gpu_layers,
        settings.cpu_experts,
        list(settings.split),
        settings.micro_batch,
        settings.full_window,
    )


def choice_flags(
    facts: ModelFacts, placement: Placement, known_flags: KnownFlags, hardware: Hardware, *, projector: bool
) -> list[Flag]:
    """Return the flags of a command line that say this placement, and no others."""
    found = flags(facts, placement, known_flags, hardware, jinja=False)
    if projector:
        found += known(projector_flags(placement, hardware), known_flags)
    return placed_flags(found)


def _shares(placement: Placement, hardware: Hardware) -> list[DeviceShare]:
    budget, cost, taken = placement.budget, placement.loaded, dict[str, int]()
    for row in cost.rows:
        device = device_at(row.place, hardware)
        taken[device] = taken.get(device, 0) + row.bytes
    places = {device_at(place, hardware): place for place in (RAM, *range(len(budget.gpus)))}
    return [
        DeviceShare(device, taken.get(device, 0), _limit(budget, place, device))
        for device, place in sorted(places.items(), key=lambda item: (item[1] == RAM, item[1]))
    ]


def _limit(budget: Budget, place: int, device: str) -> int:
    """Return how much may be used of a device; of memory that GPUs share, all that there is."""
    return max(0, budget.ram if place == RAM or device == "unified" else budget.gpus[place])
