"""What would follow if a model were loaded now?"""

from __future__ import annotations

from dataclasses import dataclass

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT
from claracore.core.scheduler.core import Scheduler
from claracore.host.supervisor.no_room import no_room


@dataclass(frozen=True, slots=True)
class LoadPreview:
    """What a load would bring about."""

    unloads: tuple[str, ...] = ()
    """Models, by id, that would have to be stopped."""
    refused: str | None = None
    """Why it would be refused: it takes more memory than there is. None when it would not."""


def load_preview(scheduler: Scheduler, model: str, now: float) -> LoadPreview:
    """Look ahead, by what is known of memory; nothing is looked at anew for it."""
    shortages = scheduler.too_large(model, now)
    if not shortages:
        return LoadPreview(tuple(scheduler.evictees(model, now)))
    memory = scheduler.memory
    footprint = memory.footprints.get(model, UNKNOWN_FOOTPRINT)
    return LoadPreview(refused=no_room(model, footprint, shortages, memory.devices).message)
