"""What does a waiting request wait for at this moment? For looking at; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from claracore.core.scheduler.slot import Slot
from claracore.types import ModelState


class Cause(StrEnum):
    """Why it does not go on."""

    LOADING = "loading"
    """Its model is being loaded."""
    RETURNING = "returning"
    """Its model is ending, and is started again after that."""
    PLACES = "places"
    """Its model answers as many requests as it may."""
    ANSWERS = "answers"
    """Models that must go first have answers to give."""
    LOADS = "loads"
    """Models that must go first are being loaded for somebody else."""
    UNLOADING = "unloading"
    """Models that must go first are being stopped."""
    MEMORY = "memory"
    """Memory of models that have ended is not back yet."""
    PREPARING = "preparing"
    """Something is fetched that its start needs: a container's image."""
    TURN = "turn"
    """Requests for other models are ahead of it."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A cause, and the other models that it is about, by id."""

    cause: Cause
    models: tuple[str, ...] = ()


def obstacle(
    slot: Slot,
    evictees: Sequence[Slot],
    ahead: Sequence[Slot],
    *,
    memory_is_back: bool = True,
    fetches: bool = False,
) -> Obstacle | None:
    """Return what keeps the requests that wait for a model, or None when it is nothing that lasts.

    `evictees` must go before the model can start; `ahead` are models waited for that it must not get in the way of;
    `fetches`: something large is fetched for it.
    """
    match slot.state:
        case ModelState.STARTING:
            return Obstacle(Cause.LOADING)
        case ModelState.STOPPING:
            return Obstacle(Cause.RETURNING)
        case ModelState.STOPPED:
            if fetches:
                return Obstacle(Cause.PREPARING)
            return _down(evictees, ahead, memory_is_back=memory_is_back)
        case ModelState.READY:
            if slot.leaving is not None:
                return Obstacle(Cause.RETURNING)
            if not slot.is_up:
                return _down(evictees, ahead, memory_is_back=memory_is_back)
            return _about(Cause.TURN, ahead) if slot.has_capacity else Obstacle(Cause.PLACES)


def _down(evictees: Sequence[Slot], ahead: Sequence[Slot], *, memory_is_back: bool) -> Obstacle | None:
    missing = None if memory_is_back or evictees else Obstacle(Cause.MEMORY)
    return _wait_for_evictees(evictees) or _about(Cause.TURN, ahead) or missing


def _wait_for_evictees(evictees: Sequence[Slot]) -> Obstacle | None:
    """Return what the evictees wait for, or None when all of them can go.

    All of them go together or none does, so one that is busy is what the others wait for, too.
    """
    busy = [slot for slot in evictees if not slot.can_go]
    return (
        _about(Cause.ANSWERS, [slot for slot in busy if slot.state is ModelState.READY])
        or _about(Cause.LOADS, busy)
        or _about(Cause.UNLOADING, [slot for slot in evictees if slot.state is ModelState.STOPPING])
    )


def _about(cause: Cause, slots: Sequence[Slot]) -> Obstacle | None:
    return Obstacle(cause, tuple(slot.model for slot in slots)) if slots else None
