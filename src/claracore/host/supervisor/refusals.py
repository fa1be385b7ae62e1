"""Which error does a client see when the scheduler refuses its request?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.config.model import Config
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import RefuseReason
from claracore.errors import (
    ClaraCoreError,
    Conflict,
    ModelFailed,
    ModelNotFound,
    ModelUnloaded,
    NotReadyInTime,
    QueueFull,
    ShuttingDown,
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an error says beyond its reason."""

    model: str
    known: frozenset[str]
    waiting: int
    """How many requests wait for the model."""
    queue_limit: int
    waited_seconds: float
    pinned: str
    """The pinned models, in words."""
    failure: ClaraCoreError | None
    """Why the model failed, if it did."""
    tried_seconds_ago: float | None = None
    """How long ago that was, for a request that came after it."""
    retry_seconds: float = 0.0
    """In how many seconds a request starts it again."""


def _full(it: Circumstances) -> ClaraCoreError:
    message = (
        f"{it.waiting} requests already wait for model {it.model!r}; try again later or raise queue.limit "
        f"(now {it.queue_limit})"
    )
    return QueueFull(message, retry_after_seconds=5)


def _timed_out(it: Circumstances) -> ClaraCoreError:
    return NotReadyInTime(
        f"model {it.model!r} did not get its turn within {it.waited_seconds:.0f} s; raise queue.timeout to wait longer"
    )


def _failed(it: Circumstances) -> ClaraCoreError:
    failure = it.failure or ModelFailed(it.model, "its server did not start")
    ago = it.tried_seconds_ago
    note = "" if ago is None else f"last tried {ago:.0f} s ago; `claracore load {it.model}` tries again at once"
    return failure.told_again(note, retry_after_seconds=max(1, math.ceil(it.retry_seconds)))


TABLE: Final[Mapping[RefuseReason, Callable[[Circumstances], ClaraCoreError]]] = {
    RefuseReason.QUEUE_FULL: _full,
    RefuseReason.TIMED_OUT: _timed_out,
    RefuseReason.FAILED: _failed,
    RefuseReason.UNLOADED: lambda it: ModelUnloaded(
        f"model {it.model!r} was unloaded while this request waited for it", retry_after_seconds=1
    ),
    RefuseReason.REMOVED: lambda it: ModelNotFound(it.model, it.known),
    RefuseReason.PINNED: lambda it: Conflict(
        f"model {it.model!r} cannot be loaded beside {it.pinned}; unpin or unload it first"
    ),
    RefuseReason.SHUTDOWN: lambda _: ShuttingDown("ClaraCore is shutting down", retry_after_seconds=10),
}


def circumstances(  # noqa: PLR0917 - each is somebody else's
    scheduler: Scheduler, config: Config, model_id: str, since: float, now: float, failure: ClaraCoreError | None
) -> Circumstances:
    """Return what there is to say at `now` about a request that came at `since`, in seconds of the same clock."""
    slot = scheduler.slots.get(model_id)
    model = config.models.get(model_id)
    failing = scheduler.failing(model_id, now)
    return Circumstances(
        model=model_id,
        known=frozenset(config.models),
        waiting=len(slot.waiting) if slot else 0,
        queue_limit=model.queue.limit if model else 0,
        waited_seconds=now - since,
        pinned=" and ".join(f"{name!r} (pinned)" for name in scheduler.pinned_against(model_id)),
        failure=failure,
        tried_seconds_ago=now - failing.at if failing and since >= failing.at else None,
        retry_seconds=failing.retry_at - now if failing else 0.0,
    )


def refusal(reason: RefuseReason, circumstances: Circumstances) -> ClaraCoreError:
    """Return the error for a refusal."""
    return TABLE[reason](circumstances)
