"""Who is served, started and stopped now that something has changed?

The one decision procedure. The rules, oldest waiting request first:

* a ready model serves, up to its concurrency;
* a stopped model starts when nothing that it would evict is running; idle models in its way are stopped, all together
  or not at all; a model with answers in progress is never cut;
* a busy model in the way goes on taking requests for `patience_seconds` of the waiting one (so A B A B A B becomes
  A A A B B B), then takes none until the waiting one had its turn;
* a load that nobody waits for any more gives way; one that somebody waits for does not;
* a pinned model gives way to nobody: who would need its place is refused;
* a model whose start failed is not started again by requests for a while (`Policy.retry_after`): they are refused.
"""

from __future__ import annotations

from claracore.core.scheduler.events import RefuseReason, Start, StopReason
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.outlook import Outlook
from claracore.core.scheduler.slot import FOREVER, Slot
from claracore.core.scheduler.state import SchedulerState
from claracore.types import ModelState


def settle(state: SchedulerState, now: float) -> None:
    """Order everything that is to happen at `now`, and work out when time alone may change that."""
    for slot in state.awake.values():
        _refuse_overdue(state, slot, now)
        _stop_what_leaves(state, slot, now)
    _serve_and_make_room(state, now)
    state.awake = {model: slot for model, slot in state.awake.items() if slot.awake}
    state.next_deadline = _compute_deadline(state, now)


def in_turn(state: SchedulerState, now: float) -> list[Slot]:
    """Return the models that somebody waits for, in the order in which they are looked after."""

    def key(slot: Slot) -> tuple[bool, int, float, str]:
        since = now if slot.oldest_wait is None else slot.oldest_wait
        aged = now >= since + state.policy.aging_seconds  # the very sum of _compute_deadline: floats round
        return (not aged, 0 if aged else -slot.policy.priority, since, slot.model)

    return sorted((slot for slot in state.awake.values() if slot.oldest_wait is not None), key=key)


def outlook_of(state: SchedulerState) -> Outlook:
    """Return what runs now, of which the eviction rule can be asked."""
    running = [slot for slot in state.awake.values() if slot.state is not ModelState.STOPPED]
    idle = {slot.model: slot.idle_since for slot in running if slot.state is ModelState.READY and not slot.serving}
    ending = frozenset(slot.model for slot in running if slot.state is ModelState.STOPPING)
    return Outlook(state.policy.rule, frozenset(slot.model for slot in running), idle, ending)


def claims(state: SchedulerState, slot: Slot, outlook: Outlook, now: float) -> bool:
    """Whether it is to be started and is sure to get its place, or has waited long enough to insist on it."""
    if not slot.waiting or (slot.leaving is None and slot.state in {ModelState.STARTING, ModelState.READY}):
        return False
    if now >= _insists_at(state, slot):
        return True
    if slot.state is ModelState.READY or outlook.hinders(slot.model):
        return False
    return all(state.by_model[evictee].can_go for evictee in outlook.evictees(slot.model))


def _refuse_overdue(state: SchedulerState, slot: Slot, now: float) -> None:
    if slot.waiting:
        overdue = [request for request in slot.waiting if now >= slot.gives_up_at(request)]
        state.refuse(slot, overdue, RefuseReason.TIMED_OUT)


def _stop_what_leaves(state: SchedulerState, slot: Slot, now: float) -> None:
    if (expires_at := slot.expires_at) is not None and now >= expires_at:
        state.stop(slot, StopReason.TTL)
    elif (leaving := slot.leaving) is not None and slot.state in {ModelState.STARTING, ModelState.READY}:
        overdue = leaving.deadline is not None and now >= leaving.deadline
        if overdue or not slot.serving:
            if slot.state is ModelState.STARTING:
                slot.count_loading(now)
            state.stop(slot, leaving.reason)
            _refuse_overdue(state, slot, now)  # the time of who waited for its load runs again


def _serve_and_make_room(state: SchedulerState, now: float) -> None:
    """Go through the models that somebody waits for, in turn, and give each what it can have.

    A later one must not start what those further ahead would have to stop again, if these are sure to get their
    place or have waited long enough to insist.
    """
    state.held_back = frozenset()
    turns = in_turn(state, now)
    if not turns:
        return
    outlook = outlook_of(state)
    for slot in turns:
        if slot.state is ModelState.READY:
            while slot.waiting and state.admits(slot):
                state.serve(slot, next(iter(slot.waiting)))
        elif slot.state is ModelState.STOPPED and not outlook.hinders(slot.model):
            _make_room(state, slot, outlook, now)
        if claims(state, slot, outlook, now):
            outlook.claim(slot.model)


def _make_room(state: SchedulerState, target: Slot, outlook: Outlook, now: float) -> None:
    evictees = [state.by_model[model] for model in sorted(outlook.evictees(target.model))]
    if not evictees:
        target.wanted_since = None
        target.loading_since = now
        target.move(Trigger.START_ORDERED)
        outlook.started(target.model)
        state.orders.append(Start(target.model))
    elif any(slot.pinned for slot in evictees):
        target.wanted_since = None
        state.refuse_waiting(target, RefuseReason.PINNED)
    elif not target.waiting:
        # Wanted again after a change of its configuration, but its place is taken: that is no reason to evict.
        target.wanted_since = None
    elif all(slot.can_go for slot in evictees):
        for slot in evictees:
            if slot.state is not ModelState.STOPPING:
                unwanted = slot.state is ModelState.STARTING
                state.stop(slot, StopReason.UNWANTED if unwanted else StopReason.EVICTED)
    elif now >= _insists_at(state, target):
        state.held_back |= {slot.model for slot in evictees}


def _insists_at(state: SchedulerState, slot: Slot) -> float:
    return (slot.oldest_wait or 0.0) + state.policy.patience_seconds


def _compute_deadline(state: SchedulerState, now: float) -> float:
    deadlines = [FOREVER]
    for slot in state.awake.values():
        if (expires_at := slot.expires_at) is not None:
            deadlines.append(expires_at)
        if slot.leaving is not None and slot.leaving.deadline is not None and slot.state is not ModelState.STOPPING:
            deadlines.append(slot.leaving.deadline)
        if slot.waiting:
            request, since = next(iter(slot.waiting.items()))
            deadlines.append(slot.gives_up_at(request))
            turns = (_insists_at(state, slot), since + state.policy.aging_seconds)
            deadlines += [at for at in turns if at > now]
    return min(deadlines)
