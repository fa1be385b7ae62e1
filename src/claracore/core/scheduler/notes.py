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
    FellAsleep,
    FilesChanged,
    Finished,
    FootprintsKnown,
    Inherited,
    KeepAsked,
    LookedAhead,
    Lost,
    MemorySampled,
    Pinned,
    RanOut,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    SecondTry,
    ShutdownAsked,
    StartsHeld,
    StopReason,
    TellMissing,
    TimePassed,
    TryAgain,
    UnloadAsked,
)
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.second_try import second_try
from claracore.core.scheduler.settle import outlook_of
from claracore.core.scheduler.slot import FOREVER, Failing, Leaving, Nap, Slot
from claracore.core.scheduler.state import SchedulerState
from claracore.types import ModelState


def note(state: SchedulerState, event: Event, now: float) -> bool:  # noqa: C901, PLR0912 - one branch an event
    """Change what an event changes; returns whether others may be concerned, so that there is something to settle."""
    match event:
        case Arrived(request, model, by_hand):
            return _arrived(state, request, model, now, by_hand=by_hand)
        case Finished(request):
            return _finished(state, request, now)
        case Ready(model):
            _became_ready(state, state.by_model[model], now)
        case Ended(model):
            _ended(state, state.by_model[model], now)
        case FellAsleep(model):
            _fell_asleep(state, state.by_model[model], now)
        case RanOut():
            _ran_out(state, event)
        case LookedAhead(model, fails):
            _looked(state, model, now, fails=fails)
        case Lost(model):
            _lost(state.by_model[model], now)
        case Died(model):
            _died(state, state.by_model[model])
        case Returned(request, model):
            _returned(state, request, model, now)
        case FilesChanged(model):
            if model in state.by_model:
                state.by_model[model].failing = None
        case UnloadAsked(models):
            _unload(state, (state.by_model[model] for model in models if model in state.by_model), now)
        case Pinned(model, pinned):
            if model in state.by_model:
                state.by_model[model].pinned = pinned
        case KeepAsked(model, seconds):
            _keep(state, model, seconds)
        case Reconfigured(policy, changed):
            _reconfigure(state, policy, changed, now)
        case ShutdownAsked(grace_seconds):
            _shut_down(state, now + grace_seconds)
        case StartsHeld(held):
            state.hold(now, held=held)
        case Inherited(model):
            _inherited(state, state.by_model[model], event, now)
        case MemorySampled():
            _sampled(state, event, now)
        case FootprintsKnown(footprints):
            state.memory.footprints.update(footprints)
        case TimePassed():
            pass
        case _:
            assert_never(event)
    return True


# --- requests -------------------------------------------------------------------------------------------------------


def _arrived(state: SchedulerState, request: int, model: str, now: float, *, by_hand: bool) -> bool:
    """Let a request wait that was not admitted at once, or refuse it."""
    slot = state.by_model.get(model)
    if state.shutdown_deadline is not None:
        state.orders.append(Refuse(request, RefuseReason.SHUTDOWN))
    elif slot is None or slot.removed:
        state.orders.append(Refuse(request, RefuseReason.REMOVED))
    elif len(slot.waiting) >= slot.policy.queue_limit:
        state.orders.append(Refuse(request, RefuseReason.QUEUE_FULL))
    elif state.failing(model, now) is not None and not by_hand:
        state.orders.append(Refuse(request, RefuseReason.FAILED))
    else:
        if slot.failing is not None:
            slot.failing = replace(slot.failing, retry_at=slot.failing.at)
        state.model_of[request] = model
        state.awake[model] = slot
        slot.waiting[request] = now
        state.queued += 1
        return True
    return False


def _finished(state: SchedulerState, request: int, now: float) -> bool:
    """Forget a request whose end may concern others."""
    # Requests of a server that died are forgotten at once, so their Finished finds nothing: that is harmless.
    slot = state.by_model.get(state.model_of.pop(request, ""))
    if slot is None:
        return False
    if slot.waiting.pop(request, None) is not None:
        state.queued -= 1
    else:
        slot.serving.discard(request)
        state.note_idle(slot, now)
    return True


def _returned(state: SchedulerState, request: int, model: str, now: float) -> None:
    """Let a request wait again, ahead of all that came later for its model; its server may be gone already."""
    state.model_of.pop(request, None)
    slot = state.by_model.get(model)
    if slot is not None:
        slot.serving.discard(request)
        state.note_idle(slot, now)
    if state.shutdown_deadline is not None:
        state.orders.append(Refuse(request, RefuseReason.SHUTDOWN))
    elif slot is None or slot.removed:
        state.orders.append(Refuse(request, RefuseReason.REMOVED))
    elif state.failing(model, now) is not None:
        state.orders.append(Refuse(request, RefuseReason.FAILED))
    else:
        state.model_of[request] = model
        since = min([now, *(later for other, later in slot.waiting.items() if other > request)])
        slot.waiting = dict(sorted({**slot.waiting, request: since}.items()))
        state.awake[model] = slot
        state.queued += 1


# --- servers --------------------------------------------------------------------------------------------------------


def _became_ready(state: SchedulerState, slot: Slot, now: float) -> None:
    loaded = slot.state is ModelState.STARTING  # and not already told to stop
    woke, slot.nap = slot.nap is Nap.WAKING, None
    slot.move(Trigger.BECAME_READY)
    slot.idle_since = now
    slot.failing = None
    slot.tries = frozenset()
    if loaded:
        slot.count_loading(now)
        if not woke:
            slot.load_seconds = now - slot.loading_since
        if state.counts(slot.model):
            state.memory.outdate(now)  # what it takes has been seen by no sample before


def _inherited(state: SchedulerState, slot: Slot, event: Inherited, now: float) -> None:
    """Have a server that another process has started, and that answers its requests to their end."""
    slot.move(Trigger.START_ORDERED)
    slot.move(Trigger.BECAME_READY)
    slot.failing = slot.displaced = slot.wanted_since = None
    slot.loading_since, slot.load_seconds = now, event.load_seconds
    slot.nap = Nap.ASLEEP if event.sleeps else None
    slot.idle_since = now - event.idle_seconds
    slot.served += max(1, len(event.requests))
    state.awake[slot.model] = slot
    for request in event.requests:
        state.model_of[request] = slot.model
        slot.serving.add(request)
    if state.counts(slot.model):
        state.memory.outdate(now)


def _fell_asleep(state: SchedulerState, slot: Slot, now: float) -> None:
    if slot.nap is Nap.FALLING:  # and not told to stop meanwhile
        slot.move(Trigger.FELL_ASLEEP)
        slot.nap = Nap.ASLEEP
        slot.idle_since = now
        state.memory.fell_asleep(slot.model, now)


def _died(state: SchedulerState, slot: Slot) -> None:
    if slot.state is ModelState.READY:  # and not already told to stop
        slot.move(Trigger.DIED)
        slot.nap = None
        if state.counts(slot.model):
            state.memory.ending(slot.model)


def _ended(state: SchedulerState, slot: Slot, now: float) -> None:
    failed_to_start = slot.state is ModelState.STARTING and slot.nap is not Nap.WAKING
    if slot.state is ModelState.STARTING:
        slot.count_loading(now)
    slot.ended_at = now
    if state.counts(slot.model) or state.memory.awaits_end(slot.model):
        state.memory.ended(slot.model, now)
    state.memory.awoke(slot.model)
    slot.nap = None  # one that could not wake is started anew, if somebody waits
    slot.move(Trigger.ENDED)
    for request in slot.serving:
        state.model_of.pop(request, None)
    slot.serving.clear()
    if failed_to_start and not _try_again(state, slot, now):
        _failed(state, slot, now)
    slot.leaving = slot.ran_out = slot.kept_seconds = None
    if slot.removed:
        del state.by_model[slot.model], state.awake[slot.model]


def _failed(state: SchedulerState, slot: Slot, now: float) -> None:
    times = slot.failing.times + 1 if slot.failing is not None else 1
    slot.failing = Failing(times, now, now + state.policy.retry_after(times))
    slot.wanted_since = slot.displaced = None
    slot.tries = frozenset()
    state.refuse_waiting(slot, RefuseReason.FAILED)


def _looked(state: SchedulerState, model: str, now: float, *, fails: bool) -> None:
    """Take in whether a start is sure to fail; not where it was ordered meanwhile, because nobody was in its way."""
    slot = state.by_model.get(model)
    if slot is None or slot.looking_since is None:
        return
    slot.looked(now, -FOREVER if fails else now)
    if fails:
        _failed(state, slot, now)


def _ran_out(state: SchedulerState, event: RanOut) -> None:
    slot = state.by_model[event.model]
    if slot.state is ModelState.STARTING:
        slot.ran_out = event
        state.memory.footprints[event.model] = event.footprint


def _try_again(state: SchedulerState, slot: Slot, now: float) -> bool:
    """Start a model once more whose start failed for want of memory, if that may help; returns whether it is."""
    how = second_try(state, slot, outlook_of(state, now))
    if how is None or slot.ran_out is None:
        return False
    slot.tries |= {how}
    if how is SecondTry.LESSENED:
        state.memory.footprints[slot.model] = slot.ran_out.less
    state.orders.append(TryAgain(slot.model, how))
    return True


def _lost(slot: Slot, now: float) -> None:
    """Serve nobody from it any more; what is being answered may end first."""
    if slot.state is ModelState.READY and slot.leaving is None:
        slot.leaving = Leaving(StopReason.LOST, now + slot.policy.drain_seconds)


def _sampled(state: SchedulerState, sample: MemorySampled, now: float) -> None:
    state.memory.sampled(sample.devices, sample.footprints, now)
    if missing := state.memory.give_up():
        state.orders.append(TellMissing(missing))


# --- what people ask for --------------------------------------------------------------------------------------------


def _unload(state: SchedulerState, wanted: Iterable[Slot], now: float) -> None:
    for slot in wanted:
        slot.wanted_since = slot.displaced = None
        slot.tries = frozenset()
        slot.looked(now)
        state.refuse_waiting(slot, RefuseReason.UNLOADED)
        if slot.can_be_stopped:
            slot.leaving = Leaving(StopReason.UNLOADED, now + slot.policy.drain_seconds)


def _keep(state: SchedulerState, model: str, seconds: float) -> None:
    slot = state.by_model.get(model)
    if slot is not None and slot.can_be_stopped:
        slot.kept_seconds = seconds


def _reconfigure(state: SchedulerState, policy: Policy, changed: frozenset[str], now: float) -> None:
    state.policy = policy
    for model, model_policy in policy.models.items():
        slot = state.by_model.setdefault(model, Slot(model, model_policy))
        slot.policy = model_policy
        slot.failing = None
        slot.looked(now)
        slot.tries = frozenset()
        came_back, slot.removed = slot.removed, False
        stays = slot.can_be_stopped and _may_restart(state, slot, came_back=came_back)
        if stays and (model in changed or came_back):
            slot.leaving = Leaving(StopReason.CHANGED)
            slot.wanted_since = now
    for model in state.by_model.keys() - policy.models.keys():
        _remove(state, state.by_model[model])
    state.memory.reconfigure(state.by_model, now)


def _may_restart(state: SchedulerState, slot: Slot, *, came_back: bool) -> bool:
    """Whether a change may make it leave and start again: not if it leaves for good, on request or at the end."""
    if state.shutdown_deadline is not None:
        return False
    return slot.leaving is None or (came_back and slot.leaving.reason is StopReason.REMOVED)


def _remove(state: SchedulerState, slot: Slot) -> None:
    state.refuse_waiting(slot, RefuseReason.REMOVED)
    slot.removed, slot.wanted_since = True, None
    if slot.state is ModelState.STOPPED:
        del state.by_model[slot.model]
    elif slot.can_be_stopped:
        # Who leaves already, for an unload or a shutdown, keeps the deadline.
        slot.leaving = slot.leaving or Leaving(StopReason.REMOVED)


def _shut_down(state: SchedulerState, deadline: float) -> None:
    state.shutdown_deadline = deadline
    state.held = False
    for slot in state.by_model.values():
        slot.wanted_since = slot.displaced = slot.looking_since = None
        state.refuse_waiting(slot, RefuseReason.SHUTDOWN)
        if slot.can_be_stopped:
            slot.leaving = Leaving(StopReason.SHUTDOWN, deadline)
