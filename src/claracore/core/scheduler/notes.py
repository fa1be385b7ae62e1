"""What does each event change, before anything is decided?

One function per kind of event. They change the slots and refuse requests that nothing can help; who is served, started
and stopped because of it is `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from claracore.core.scheduler.events import (
    Arrived,
    Died,
    Ended,
    Event,
    FilesChanged,
    Finished,
    Lost,
    Pinned,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    ShutdownAsked,
    StopReason,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.slot import Failing, Leaving, Slot
from claracore.core.scheduler.slots import Slots
from claracore.types import ModelState

UP = frozenset({ModelState.STARTING, ModelState.READY})
"""The states in which a server can be ordered to stop."""


def note(slots: Slots, event: Event, now: float) -> bool:  # noqa: C901, PLR0912 - one branch an event
    """Change what an event changes; returns whether others may be concerned, so that there is something to settle."""
    match event:
        case Arrived(request, model, by_hand):
            return _arrived(slots, request, model, now, by_hand=by_hand)
        case Finished(request):
            return _finished(slots, request, now)
        case Ready(model):
            _became_ready(slots.by_model[model], now)
        case Ended(model):
            _ended(slots, slots.by_model[model], now)
        case Lost(model):
            _lost(slots.by_model[model], now)
        case Died(model):
            if slots.by_model[model].state is ModelState.READY:  # and not already told to stop
                slots.by_model[model].move(Trigger.DIED)
        case Returned(request, model):
            _returned(slots, request, model, now)
        case FilesChanged(model):
            if model in slots.by_model:
                slots.by_model[model].failing = None
        case UnloadAsked(models):
            _unload(slots, (slots.by_model[model] for model in models if model in slots.by_model), now)
        case Pinned(model, pinned):
            if model in slots.by_model:
                slots.by_model[model].pinned = pinned
        case Reconfigured(policy, changed):
            _reconfigure(slots, policy, changed, now)
        case ShutdownAsked(grace_seconds):
            _shut_down(slots, now + grace_seconds)
        case TimePassed():
            pass
        case _:
            assert_never(event)
    return True


# --- requests -------------------------------------------------------------------------------------------------------


def _arrived(slots: Slots, request: int, model: str, now: float, *, by_hand: bool) -> bool:
    """Let a request wait that was not admitted at once, or refuse it."""
    slot = slots.by_model.get(model)
    if slots.shutdown_deadline is not None:
        slots.orders.append(Refuse(request, RefuseReason.SHUTDOWN))
    elif slot is None or slot.removed:
        slots.orders.append(Refuse(request, RefuseReason.REMOVED))
    elif len(slot.waiting) >= slot.policy.queue_limit:
        slots.orders.append(Refuse(request, RefuseReason.QUEUE_FULL))
    elif slots.failing(model, now) is not None and not by_hand:
        slots.orders.append(Refuse(request, RefuseReason.FAILED))
    else:
        if slot.failing is not None:
            slot.failing = replace(slot.failing, retry_at=slot.failing.at)
        slots.model_of[request] = model
        slots.awake[model] = slot
        slot.waiting[request] = now
        slots.queued += 1
        return True
    return False


def _finished(slots: Slots, request: int, now: float) -> bool:
    """Forget a request whose end may concern others."""
    # Requests of a server that died are forgotten at once, so their Finished finds nothing: that is harmless.
    slot = slots.by_model.get(slots.model_of.pop(request, ""))
    if slot is None:
        return False
    if slot.waiting.pop(request, None) is not None:
        slots.queued -= 1
    else:
        slot.serving.discard(request)
        slots.note_idle(slot, now)
    return True


def _returned(slots: Slots, request: int, model: str, now: float) -> None:
    """Let a request wait again, ahead of all that came later for its model; its server may be gone already."""
    slots.model_of.pop(request, None)
    slot = slots.by_model.get(model)
    if slot is not None:
        slot.serving.discard(request)
        slots.note_idle(slot, now)
    if slots.shutdown_deadline is not None:
        slots.orders.append(Refuse(request, RefuseReason.SHUTDOWN))
    elif slot is None or slot.removed:
        slots.orders.append(Refuse(request, RefuseReason.REMOVED))
    elif slots.failing(model, now) is not None:
        slots.orders.append(Refuse(request, RefuseReason.FAILED))
    else:
        slots.model_of[request] = model
        since = min([now, *(later for other, later in slot.waiting.items() if other > request)])
        slot.waiting = dict(sorted({**slot.waiting, request: since}.items()))
        slots.awake[model] = slot
        slots.queued += 1


# --- servers --------------------------------------------------------------------------------------------------------


def _became_ready(slot: Slot, now: float) -> None:
    loaded = slot.state is ModelState.STARTING  # and not already told to stop
    slot.move(Trigger.BECAME_READY)
    slot.idle_since = now
    slot.failing = None
    if loaded:
        slot.count_loading(now)


def _ended(slots: Slots, slot: Slot, now: float) -> None:
    failed_to_start = slot.state is ModelState.STARTING
    slot.move(Trigger.ENDED)
    for request in slot.serving:
        slots.model_of.pop(request, None)
    slot.serving.clear()
    slot.leaving = None
    if failed_to_start:
        times = slot.failing.times + 1 if slot.failing is not None else 1
        slot.failing = Failing(times, now, now + slots.policy.retry_after(times))
        slot.wanted_since = None
        slots.refuse_waiting(slot, RefuseReason.FAILED)
    if slot.removed:
        del slots.by_model[slot.model], slots.awake[slot.model]


def _lost(slot: Slot, now: float) -> None:
    """Serve nobody from it any more; what is being answered may end first."""
    if slot.state is ModelState.READY and slot.leaving is None:
        slot.leaving = Leaving(StopReason.LOST, now + slot.policy.drain_seconds)


# --- what people ask for --------------------------------------------------------------------------------------------


def _unload(slots: Slots, wanted: Iterable[Slot], now: float) -> None:
    for slot in wanted:
        slot.wanted_since = None
        if slot.state in UP:
            slots.refuse_waiting(slot, RefuseReason.UNLOADED)
            slot.leaving = Leaving(StopReason.UNLOADED, now + slot.policy.drain_seconds)


def _reconfigure(slots: Slots, policy: Policy, changed: frozenset[str], now: float) -> None:
    slots.policy = policy
    for model, model_policy in policy.models.items():
        slot = slots.by_model.setdefault(model, Slot(model, model_policy))
        slot.policy = model_policy
        slot.failing = None
        came_back, slot.removed = slot.removed, False
        stays = slot.state in UP and _may_restart(slots, slot, came_back=came_back)
        if stays and (model in changed or came_back):
            slot.leaving = Leaving(StopReason.CHANGED)
            slot.wanted_since = now
    for model in slots.by_model.keys() - policy.models.keys():
        _remove(slots, slots.by_model[model])


def _may_restart(slots: Slots, slot: Slot, *, came_back: bool) -> bool:
    """Whether a change may make it leave and start again: not if it leaves for good, on request or at the end."""
    if slots.shutdown_deadline is not None:
        return False
    return slot.leaving is None or (came_back and slot.leaving.reason is StopReason.REMOVED)


def _remove(slots: Slots, slot: Slot) -> None:
    slots.refuse_waiting(slot, RefuseReason.REMOVED)
    slot.removed, slot.wanted_since = True, None
    if slot.state is ModelState.STOPPED:
        del slots.by_model[slot.model]
    elif slot.state is not ModelState.STOPPING:
        # Who leaves already, for an unload or a shutdown, keeps the deadline.
        slot.leaving = slot.leaving or Leaving(StopReason.REMOVED)


def _shut_down(slots: Slots, deadline: float) -> None:
    slots.shutdown_deadline = deadline
    for slot in slots.by_model.values():
        slot.wanted_since = None
        slots.refuse_waiting(slot, RefuseReason.SHUTDOWN)
        if slot.state in UP:
            slot.leaving = Leaving(StopReason.SHUTDOWN, deadline)
