"""Which error does a client see when the scheduler refuses its request?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import RefuseReason
from claracore.core.scheduler.slot import Slot
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
from claracore.host.supervisor.no_room import NoRoom, no_room
from claracore.host.supervisor.waiting import WaitingRequest
from claracore.types import ModelState

RETRY_SECONDS: Final = 5
"""After so long a place in a queue may be free."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an error says beyond its reason."""

    model: str
    known: frozenset[str]
    waiting: int
    """How many requests wait for the model."""
    queue_limit: int
    waited_seconds: float
    staying: str
    """The pinned and persistent models that are in the way, in words."""
    failure: ClaraCoreError | None
    """Why the model failed, if it did."""
    no_room: ClaraCoreError
    """What there is to say of memory, if there is not enough."""
    tried_seconds_ago: float | None = None
    """How long ago that was, for a request that came after it."""
    retry_seconds: float = 0.0
    """In how many seconds a request starts it again."""
    ready_seconds: float | None = None
    """In how many seconds it is expected to be ready, once it can start; None where that is not known, or it is."""


def _full(about: Circumstances) -> ClaraCoreError:
    message = (
        f"{about.waiting} requests already wait for model {about.model!r}; try again later or raise queue.limit "
        f"(now {about.queue_limit})"
    )
    expected = RETRY_SECONDS if about.ready_seconds is None else math.ceil(about.ready_seconds)
    return QueueFull(message, retry_after_seconds=max(1, expected))


def _timed_out(about: Circumstances) -> ClaraCoreError:
    return NotReadyInTime(
        f"model {about.model!r} did not get its turn within {about.waited_seconds:.0f} s; "
        "raise queue.timeout to wait longer"
    )


def _failed(about: Circumstances) -> ClaraCoreError:
    failure = about.failure or ModelFailed(about.model, "its server did not start")
    ago = about.tried_seconds_ago
    note = "" if ago is None else f"last tried {ago:.0f} s ago; `claracore load {about.model}` tries again at once"
    return failure.told_again(note, retry_after_seconds=max(1, math.ceil(about.retry_seconds)))


TABLE: Final[Mapping[RefuseReason, Callable[[Circumstances], ClaraCoreError]]] = {
    RefuseReason.QUEUE_FULL: _full,
    RefuseReason.TIMED_OUT: _timed_out,
    RefuseReason.FAILED: _failed,
    RefuseReason.UNLOADED: lambda about: ModelUnloaded(
        f"model {about.model!r} was unloaded while this request waited for it", retry_after_seconds=1
    ),
    RefuseReason.REMOVED: lambda about: ModelNotFound(about.model, about.known),
    RefuseReason.PINNED: lambda about: kept_out(about.model, about.staying),
    RefuseReason.NO_ROOM: lambda about: about.no_room,
    RefuseReason.SHUTDOWN: lambda _: ShuttingDown("ClaraCore is shutting down", retry_after_seconds=10),
}


def in_words(staying: Iterable[Slot]) -> str:
    """Name models that go for nobody, and why they do not."""
    return " and ".join(f"{slot.model!r} ({'pinned' if slot.pinned else 'persistent'})" for slot in staying)


def kept_out(model: str, staying: str) -> Conflict:
    """Return the error for a model whose place others have that go for nobody, as `in_words` names them."""
    return Conflict(f"model {model!r} cannot be loaded beside {staying}; unpin or unload it first")


def circumstances(  # noqa: PLR0917 - each is somebody else's
    scheduler: Scheduler,
    known: Collection[str],
    request: WaitingRequest,
    now: float,
    failure: ClaraCoreError | None,
    expected_seconds: float | None,
) -> Circumstances:
    """Return what there is to say about a request at `now`, in seconds of the loop's clock; `known` are all models.

    `failure` is why the model's last start failed, and in `expected_seconds` it will be ready if it loads now.
    """
    model_id, since = request.model, request.since
    slot = scheduler.slots.get(model_id)
    failing = scheduler.failing(model_id, now)
    return Circumstances(
        model=model_id,
        known=frozenset(known),
        waiting=len(slot.waiting) if slot else 0,
        queue_limit=slot.policy.queue_limit if slot else 0,
        waited_seconds=now - since,
        staying=in_words(scheduler.staying_against(model_id, now)),
        failure=failure,
        no_room=no_room(
            model_id,
            scheduler.memory.footprints.get(model_id, UNKNOWN_FOOTPRINT),
            scheduler.too_large(model_id, now),
            scheduler.memory.devices,
        ),
        tried_seconds_ago=now - failing.at if failing and since >= failing.at else None,
        retry_seconds=failing.retry_at - now if failing else 0.0,
        ready_seconds=None if slot is None or slot.state is ModelState.READY else expected_seconds,
    )


def refusal(reason: RefuseReason, circumstances: Circumstances) -> ClaraCoreError:
    """Return the error for a refusal."""
    return TABLE[reason](circumstances)


def plain_refusal(reason: RefuseReason, model: str) -> ClaraCoreError:
    """Return the same in fewer words: for when what there is to say could not be found out."""
    plain = NoRoom(f"there is no room for model {model!r}", param="model", retry_after_seconds=RETRY_SECONDS)
    return refusal(reason, Circumstances(model, frozenset(), 0, 0, 0.0, "other models", None, plain))
