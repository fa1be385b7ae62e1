"""Who is served, started and stopped now that something has changed?

The one decision procedure. The rules, oldest waiting request first:

* a ready model serves, up to its concurrency;
* a stopped model starts when nothing that it would evict is running; idle models in its way are stopped, all together
  or not at all; a model with answers in progress is never cut;
* a busy model in the way goes on taking requests for `patience_seconds` of the waiting one (so A B A B A B becomes
  A A A B B B), then takes none until the waiting one had its turn;
* a load that nobody waits for any more gives way; one that somebody waits for does not;
* nobody goes for a model, or is held back for it, whose start is sure to fail: that is looked at before;
* a pinned or persistent model gives way to nobody: who would need its place is refused;
* where bytes decide, a start, an eviction or a refusal waits for a sample of the memory that is fresh enough, and a
  start until memory of models that have ended is back; who has no room even alone is refused, and nobody goes for it;
* a model with `reload` that had to go is started again when that one is gone, and only where nobody goes for it;
* a model that can sleep does so instead of being stopped, where it goes for another or was idle for its ttl and there
  is room for what it takes then (`sleeping`); it is woken as others are started, and stopped when its place is needed;
* a model whose start failed for want of memory is started once more, with others gone or with less (`second_try`);
* while starts are held (another process is to take over) nothing is started or stopped, and who is ready serves;
* a model whose start failed is not started again by requests for a while (`Policy.retry_after`): they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint
from claracore.core.scheduler.events import Measure, RefuseReason, StopReason
from claracore.core.scheduler.outlook import Outlook
from claracore.core.scheduler.picture import Eviction, MemoryPicture
from claracore.core.scheduler.second_try import rule_of
from claracore.core.scheduler.sleeping import asleep_footprint, fits, sleepers
from claracore.core.scheduler.slot import FOREVER, Nap, Slot
from claracore.core.scheduler.state import SchedulerState
from claracore.types import ModelState

SEEN_SECONDS: Final = 5.0
"""For so long it holds that what a start needs was seen to be there."""
LOOKS_SECONDS: Final = 1.0
"""A look takes a millisecond; one that takes longer fetches something, for which others need not wait."""


def settle(state: SchedulerState, now: float) -> None:
    """Order everything that is to happen at `now`, and work out when time alone may change that."""
    state.memory.look_at = FOREVER
    for slot in state.awake.values():
        slot.take_in_uses(now)
        _refuse_overdue(state, slot, now)
        if not state.held:
            _stop_what_leaves(state, slot, now)
    _serve_and_make_room(state, now)
    _look_at_memory(state, now)
    state.awake = {model: slot for model, slot in state.awake.items() if slot.awake}
    state.next_deadline = _compute_deadline(state, now)


def in_turn(state: SchedulerState, now: float) -> list[Slot]:
    """Return the models that somebody waits for, in the order in which they are looked after."""

    def key(slot: Slot) -> tuple[bool, int, float, str]:
        since = now if slot.oldest_wait is None else slot.oldest_wait
        aged = now >= since + state.policy.aging_seconds  # the very sum of _compute_deadline: floats round
        return (not aged, 0 if aged else -slot.policy.priority, since, slot.model)

    return sorted((slot for slot in state.awake.values() if slot.oldest_wait is not None), key=key)


def outlook_of(state: SchedulerState, now: float) -> Outlook:
    """Return what runs now, of which the eviction rule can be asked."""
    running = [slot for slot in state.awake.values() if slot.state is not ModelState.STOPPED]
    idle = {slot.model: slot.idle_since for slot in running if slot.state is ModelState.READY and not slot.serving}
    ending = frozenset(slot.model for slot in running if slot.state is ModelState.STOPPING)
    memory = _picture(state, running, now) if state.by_memory is not None else None
    return Outlook(rule_of(state), frozenset(slot.model for slot in running), idle, ending, memory)


def _picture(state: SchedulerState, running: Sequence[Slot], now: float) -> MemoryPicture:
    known, asleep = state.memory.footprints, state.memory.asleep
    return MemoryPicture(
        usable=state.memory.usable(),
        footprints={**known, **asleep} if asleep else known,
        costs={slot.model: slot.price(now) for slot in running},
        busy=frozenset(slot.model for slot in running if not slot.can_go),
        pinned=frozenset(model for model, slot in state.awake.items() if slot.pinned),
        awake={model: known.get(model, UNKNOWN_FOOTPRINT) for model in asleep},
    )


def claims(state: SchedulerState, slot: Slot, outlook: Outlook, now: float) -> bool:
    """Whether it is to be started and is sure to get its place, or has waited long enough to insist on it."""
    if not slot.waiting or (slot.leaving is None and (slot.is_up or slot.state is ModelState.STARTING)):
        return False
    if has_something_fetched(slot, now):
        return False  # others need not wait for it
    if now >= _insists_at(state, slot):
        return True
    if slot.is_up or outlook.hinders(slot.model):
        return False
    return all(state.by_model[evictee].can_go for evictee in outlook.evictees(slot.model))


def _refuse_overdue(state: SchedulerState, slot: Slot, now: float) -> None:
    if slot.waiting:
        overdue = [request for request in slot.waiting if now >= slot.gives_up_at(request)]
        state.refuse(slot, overdue, RefuseReason.TIMED_OUT)


def _stop_what_leaves(state: SchedulerState, slot: Slot, now: float) -> None:
    if (expires_at := slot.expires_at) is not None and now >= expires_at:
        _expire(state, slot, now)
    elif (leaving := slot.leaving) is not None and slot.can_be_stopped:
        overdue = leaving.deadline is not None and now >= leaving.deadline
        if overdue or not slot.serving:
            if slot.state is ModelState.STARTING:
                slot.count_loading(now)
            state.stop(slot, leaving.reason)
            _refuse_overdue(state, slot, now)  # the time of who waited for its load runs again


def _expire(state: SchedulerState, slot: Slot, now: float) -> None:
    """Stop a model whose ttl is over, or let it sleep once for as long; not where it is to stay no longer at all."""
    asleep = _asleep(state, slot) if slot.ttl_seconds else None
    if asleep is None:
        state.stop(slot, StopReason.TTL)
    elif state.may_act(slot.model, now):
        situation = outlook_of(state, now).now(slot.model)
        if situation.memory is not None and fits(situation.memory, situation.running, {slot.model: asleep}):
            state.fall_asleep(slot, asleep, StopReason.TTL)
        else:
            state.stop(slot, StopReason.TTL)


def _asleep(state: SchedulerState, slot: Slot) -> Footprint | None:
    """Return what a model will take that sleeps instead of being stopped; None for one that cannot."""
    if not (slot.policy.sleeps and slot.is_up and state.counts(slot.model)):
        return None
    return asleep_footprint(slot.policy.asleep, state.memory.footprints.get(slot.model, UNKNOWN_FOOTPRINT))


def _serve_and_make_room(state: SchedulerState, now: float) -> None:
    """Go through the models that somebody waits for, in turn, and give each what it can have.

    A later one must not start what those further ahead would have to stop again, if these are sure to get their
    place or have waited long enough to insist.
    """
    state.held_back = frozenset()
    turns = in_turn(state, now)
    returning = [slot for slot in state.awake.values() if slot.comes_back and slot.is_down]
    if not turns and not returning:
        return
    outlook = outlook_of(state, now)
    for slot in turns:
        if slot.is_up:
            while slot.waiting and state.admits(slot):
                state.serve(slot, next(iter(slot.waiting)))
        elif state.held:
            continue
        elif slot.is_down and state.knows(slot.model, now) and not outlook.hinders(slot.model):
            _make_room(state, slot, outlook, now)
        if claims(state, slot, outlook, now):
            outlook.claim(slot.model)
    if state.held:
        return
    for slot in sorted(returning, key=lambda slot: slot.model):
        _bring_back(state, slot, outlook, now)


def _make_room(state: SchedulerState, target: Slot, outlook: Outlook, now: float) -> None:
    evictees = [state.by_model[model] for model in sorted(outlook.evictees(target.model))]
    if _too_large(state, outlook, target.model):
        _turn_away(state, target, RefuseReason.NO_ROOM, now)
    elif has_something_fetched(target, now):
        pass
    elif not evictees:
        _start(state, target, outlook, now)
    elif any(state.stays(slot) for slot in evictees):
        _turn_away(state, target, RefuseReason.PINNED, now)
    elif not target.waiting:
        # Wanted again after a change of its configuration, but its place is taken: that is no reason to evict.
        _turn_away(state, target, None, now)
    elif not all(slot.can_go for slot in evictees):
        _may_succeed(state, target, now)
        _wait_for(state, target, evictees, now)
    elif _may_succeed(state, target, now):
        _evict(state, target, [slot for slot in evictees if slot.state is not ModelState.STOPPING], outlook, now)


def _wait_for(state: SchedulerState, target: Slot, evictees: Sequence[Slot], now: float) -> None:
    """Let those that are in the target's way take no new requests once it insists on its place."""
    if state.counts(target.model):
        state.memory.look_again()
    if now >= _insists_at(state, target):
        state.held_back |= {slot.model for slot in evictees}


def has_something_fetched(slot: Slot, now: float) -> bool:
    """Whether what a model's start needs is looked at for so long that something large is fetched for it."""
    return slot.looking_since is not None and now >= slot.looking_since + LOOKS_SECONDS


def _may_succeed(state: SchedulerState, target: Slot, now: float) -> bool:
    """Whether nothing is known that its start would fail for; where that was not looked at lately, it is now."""
    if not target.policy.foreseeable or target.nap is Nap.ASLEEP or now < target.seen_at + SEEN_SECONDS:
        return True
    if target.looking_since is None:
        state.look(target, now)
    return False


def _start(state: SchedulerState, target: Slot, outlook: Outlook, now: float) -> None:
    others = outlook.running - {target.model}
    if state.may_act(target.model, now) and (
        not state.counts(target.model) or state.memory.shows_room(target.model, others)
    ):
        outlook.started(target.model)
        state.start(target, now)


def _evict(state: SchedulerState, target: Slot, evictees: Sequence[Slot], outlook: Outlook, now: float) -> None:
    """Stop those that are in the target's way and have not been ordered to stop yet."""
    if evictees and state.may_act(target.model, now):
        rule = state.by_memory
        situation = outlook.now(target.model)
        displaced = Eviction(target.model, rule.shortages(situation) if rule is not None else ())
        could = {slot.model: it for slot in evictees if (it := _asleep(state, slot)) is not None}
        asleep = sleepers(situation, could, state.memory.asleep.get(target.model)) if could else could
        for slot in evictees:
            state.displace(slot, displaced, asleep.get(slot.model))
        outlook.stopped(slot.model for slot in evictees)


def _turn_away(state: SchedulerState, target: Slot, reason: RefuseReason | None, now: float) -> None:
    """Refuse those that wait for a model that cannot have its place, and want it no more without them."""
    if state.may_act(target.model, now):
        target.wanted_since = None
        if reason is not None:
            state.refuse_waiting(target, reason)


def _bring_back(state: SchedulerState, slot: Slot, outlook: Outlook, now: float) -> None:
    """Start a model again that had to go, if who it went for has gone and nobody has to go for it."""
    by = state.by_model.get(slot.displaced.by) if slot.displaced is not None else None
    gone = by is None or by.state is ModelState.STOPPED
    wanted = slot.is_down and not slot.waiting and slot.wanted_since is None
    if not wanted or not gone or outlook.hinders(slot.model) or outlook.evictees(slot.model):
        return
    if not _too_large(state, outlook, slot.model):
        _start(state, slot, outlook, now)


def _too_large(state: SchedulerState, outlook: Outlook, model: str) -> bool:
    return state.by_memory is not None and bool(state.by_memory.too_large(outlook.now(model)))


def _look_at_memory(state: SchedulerState, now: float) -> None:
    """Order a sample of the memory if somebody needs a new one now, or nothing was seen yet of what runs."""
    memory = state.memory
    if memory.asked_at is None and state.by_memory is not None:
        concerned = tuple(sorted(model for model, slot in state.awake.items() if slot.awake and state.counts(model)))
        if memory.look_at <= now or (memory.unseen and concerned):
            memory.ask(concerned, now)
            state.orders.append(Measure(concerned))


def _insists_at(state: SchedulerState, slot: Slot) -> float:
    return (slot.oldest_wait or 0.0) + state.policy.patience_seconds


def _compute_deadline(state: SchedulerState, now: float) -> float:
    deadlines = [FOREVER]
    for slot in state.awake.values():
        if (expires_at := slot.expires_at) is not None and (expires_at > now or not (slot.policy.sleeps or state.held)):
            deadlines.append(expires_at)  # else it waits for a sample of the memory, or until starts are not held
        leaves_at = slot.leaving.deadline if slot.leaving is not None and not state.held else None
        if leaves_at is not None and slot.state is not ModelState.STOPPING:
            deadlines.append(leaves_at)
        if slot.looking_since is not None and now < slot.looking_since + LOOKS_SECONDS:
            deadlines.append(slot.looking_since + LOOKS_SECONDS)
        if slot.waiting:
            request, since = next(iter(slot.waiting.items()))
            deadlines.append(slot.gives_up_at(request))
            turns = (_insists_at(state, slot), since + state.policy.aging_seconds)
            deadlines += [at for at in turns if at > now]
    if state.memory.asked_at is None:
        deadlines.append(state.memory.look_at)
    return min(deadlines)
