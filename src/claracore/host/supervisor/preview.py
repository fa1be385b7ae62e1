"""What would follow if a model were loaded now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT
from claracore.core.scheduler.core import Scheduler
from claracore.host.supervisor.no_room import no_room
from claracore.host.supervisor.refusals import in_words, kept_out


@dataclass(frozen=True, slots=True)
class LoadPreview:
    """What a load would bring about."""

    unloads: tuple[str, ...] = ()
    """Models, by id, that would have to be stopped."""
    in_the_way: tuple[str, ...] = ()
    """Models, by id, that would have to be stopped too and go for nobody: pinned and persistent ones."""
    refused: str | None = None
    """Why it would be refused: they are in the way, or it takes more memory than there is. None when it would not."""


def load_preview(scheduler: Scheduler, model: str, now: float, after: Sequence[str] = ()) -> LoadPreview:
    """Look ahead, by what is known of memory; nothing is looked at anew for it.

    With `after`: look ahead to when these, which are known, have had their turn one after the other.
    """
    shortages = scheduler.too_large(model, now)
    if not shortages:
        staying = scheduler.staying_against(model, now, after)
        if staying:
            return LoadPreview(
                in_the_way=tuple(slot.model for slot in staying), refused=kept_out(model, in_words(staying)).message
            )
        return LoadPreview(tuple(scheduler.evictees(model, now, after)))
    memory = scheduler.memory
    footprint = memory.footprints.get(model, UNKNOWN_FOOTPRINT)
    return LoadPreview(refused=no_room(model, footprint, shortages, memory.devices).message)
