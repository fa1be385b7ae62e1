"""Who is served, started and stopped now?

`Scheduler.handle(event, now)` takes one fact and returns the orders that follow, in the order in which they are to be
carried out. Deciding changes the state: a model that has been ordered to stop *is* stopping from that line on. There is
one decision procedure, `_settle`; arrivals and finished requests that concern nobody else skip it (`admit`, `release`).

The rules, oldest waiting request first:

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

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from claracore.core.scheduler.events import (
    Arrived,
    Died,
    Effect,
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
    Serve,
    ShutdownAsked,
    Start,
    Stop,
    StopReason,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.lifecycle import Cause
from claracore.core.scheduler.obstacle import Obstacle, obstacle
from claracore.core.scheduler.outlook import Outlook
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.slot import FOREVER, Failing, Leaving, Slot
from claracore.types import ModelState


class Scheduler:
    """The state of all models and requests, and the decisions about them."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._slots = {model: Slot(model, its) for model, its in policy.models.items()}
        self._awake: dict[str, Slot] = {}
        """The models that run or that somebody waits for; the others, which may be thousands, need no looking at."""
        self._model_of: dict[int, str] = {}
        self._queued = 0
        self._held_back: frozenset[str] = frozenset()
        self._soonest = FOREVER
        self._shutdown_deadline: float | None = None

    @property
    def slots(self) -> Mapping[str, Slot]:
        """The models by id, for looking at; only this class changes them."""
        return self._slots

    @property
    def all_stopped(self) -> bool:
        """Whether no model's server is running."""
        return all(slot.state is ModelState.STOPPED for slot in self._slots.values())

    @property
    def queued(self) -> int:
        """How many requests wait."""
        return self._queued

    def next_deadline(self) -> float | None:
        """Return the time at which `TimePassed` is due, or None; it may be early, never late."""
        return None if self._soonest == FOREVER else self._soonest

    def position(self, request: int) -> int | None:
        """Return the 1-based place of a waiting request among those for its model, or None if it does not wait."""
        slot = self._slots.get(self._model_of.get(request, ""))
        if slot is None or request not in slot.waiting:
            return None
        return list(slot.waiting).index(request) + 1

    def obstacle(self, model: str, now: float) -> Obstacle | None:
        """Return what the requests that wait for a model wait for; None when none waits."""
        slot = self._slots.get(model)
        if slot is None or slot.oldest_wait is None:
            return None
        outlook = self._outlook()
        for other in self.in_turn(now):
            if other is slot and slot.state is not ModelState.READY:
                break  # a ready one, by contrast, is held back by whoever insists on its place
            if self._claims(other, outlook, now):
                outlook.claim(other.model)
        ready = slot.state is ModelState.READY
        rivals = outlook.displacing(model) if ready else outlook.hindered_by(model)
        return obstacle(slot, self._evictees(slot), [self._slots[rival] for rival in rivals])

    def pinned_against(self, model: str) -> list[str]:
        """Return the pinned models that would have to go for this one."""
        slot = self._slots.get(model)
        return [evictee.model for evictee in self._evictees(slot) if evictee.pinned] if slot else []

    def failing(self, model: str, now: float) -> Failing | None:
        """Return the failure for which requests for a model are refused without another try; None when they are not."""
        slot = self._slots.get(model)
        if slot is None or slot.failing is None or slot.state is not ModelState.STOPPED:
            return None
        return slot.failing if now < slot.failing.retry_at else None

    def admit(self, request: int, model: str) -> bool:
        """Serve a request that has just come, if that concerns nobody else; otherwise nothing has changed.

        The part of `handle(Arrived)` that needs no orders: what a request for a ready model costs is decided here.
        """
        slot = self._slots.get(model)
        if slot is None or slot.waiting or not self._admits(slot):
            return False
        self._model_of[request] = model
        slot.serving.add(request)
        return True

    def release(self, request: int, now: float) -> bool:
        """Forget a request that is over, if that concerns nobody else; otherwise nothing has changed."""
        slot = self._slots.get(self._model_of.get(request, ""))
        if slot is None or self._queued or slot.leaving is not None:
            return False
        del self._model_of[request]
        slot.serving.discard(request)
        self._note_idle(slot, now)
        return True

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one fact at `now` (seconds on any monotonic clock) and return the orders that follow from it."""
        effects: list[Effect] = []
        if self._note(event, now, effects):
            self._settle(now, effects)
        return effects

    # --- what each fact changes; True when others may be concerned --------------------------------------------------

    def _note(self, event: Event, now: float, effects: list[Effect]) -> bool:  # noqa: C901, PLR0912 - one branch an event
        match event:
            case Arrived(request, model, by_hand):
                return self._arrived(request, model, now, effects, by_hand=by_hand)
            case Finished(request):
                return self._finished(request, now)
            case Ready(model):
                self._became_ready(self._slots[model], now)
            case Ended(model):
                self._ended(self._slots[model], now, effects)
            case Lost(model):
                self._lost(self._slots[model], now)
            case Died(model):
                if self._slots[model].state is ModelState.READY:  # and not already told to stop
                    self._slots[model].move(Cause.DIED)
            case Returned(request, model):
                self._returned(request, model, now, effects)
            case FilesChanged(model):
                if model in self._slots:
                    self._slots[model].failing = None
            case UnloadAsked(models):
                self._unload((self._slots[model] for model in models if model in self._slots), now, effects)
            case Pinned(model, pinned):
                if model in self._slots:
                    self._slots[model].pinned = pinned
            case Reconfigured(policy, changed):
                self._reconfigure(policy, changed, now, effects)
            case ShutdownAsked(grace_seconds):
                self._shut_down(now + grace_seconds, effects)
            case TimePassed():
                pass
            case _:
                assert_never(event)
        return True

    def _arrived(self, request: int, model: str, now: float, effects: list[Effect], *, by_hand: bool) -> bool:
        slot = self._slots.get(model)
        if self._shutdown_deadline is not None:
            effects.append(Refuse(request, RefuseReason.SHUTDOWN))
        elif slot is None or slot.removed:
            effects.append(Refuse(request, RefuseReason.REMOVED))
        elif self.admit(request, model):
            effects.append(Serve(request))
        elif len(slot.waiting) >= slot.policy.queue_limit:
            effects.append(Refuse(request, RefuseReason.QUEUE_FULL))
        elif self.failing(model, now) is not None and not by_hand:
            effects.append(Refuse(request, RefuseReason.FAILED))
        else:
            if slot.failing is not None:
                slot.failing = replace(slot.failing, retry_at=slot.failing.at)
            self._model_of[request] = model
            self._awake[model] = slot
            slot.waiting[request] = now
            self._queued += 1
            return True
        return False

    def _finished(self, request: int, now: float) -> bool:
        if self.release(request, now):
            return False
        # Requests of a server that died are forgotten at once, so their Finished finds nothing: that is harmless.
        slot = self._slots.get(self._model_of.pop(request, ""))
        if slot is None:
            return False
        if slot.waiting.pop(request, None) is not None:
            self._queued -= 1
        else:
            slot.serving.discard(request)
            self._note_idle(slot, now)
        return True

    def _note_idle(self, slot: Slot, now: float) -> None:
        if not slot.serving:
            slot.idle_since = now
            if slot.policy.ttl_seconds:
                self._soonest = min(self._soonest, slot.expires_at or FOREVER)

    def _became_ready(self, slot: Slot, now: float) -> None:
        loaded = slot.state is ModelState.STARTING  # and not already told to stop
        slot.move(Cause.BECAME_READY)
        slot.idle_since = now
        slot.failing = None
        if loaded:
            slot.count_loading(now)

    def _ended(self, slot: Slot, now: float, effects: list[Effect]) -> None:
        failed_to_start = slot.state is ModelState.STARTING
        slot.move(Cause.ENDED)
        for request in slot.serving:
            self._model_of.pop(request, None)
        slot.serving.clear()
        slot.leaving = None
        if failed_to_start:
            times = slot.failing.times + 1 if slot.failing is not None else 1
            slot.failing = Failing(times, now, now + self._policy.retry_after(times))
            slot.wanted_since = None
            self._refuse_waiting(slot, RefuseReason.FAILED, effects)
        if slot.removed:
            del self._slots[slot.model], self._awake[slot.model]

    def _lost(self, slot: Slot, now: float) -> None:
        """Serve nobody from it any more; what is being answered may end first."""
        if slot.state is ModelState.READY and slot.leaving is None:
            slot.leaving = Leaving(StopReason.LOST, now + slot.policy.drain_seconds)

    def _returned(self, request: int, model: str, now: float, effects: list[Effect]) -> None:
        """Let a request wait again, ahead of all that came later for its model; its server may be gone already."""
        self._model_of.pop(request, None)
        slot = self._slots.get(model)
        if slot is not None:
            slot.serving.discard(request)
            self._note_idle(slot, now)
        if self._shutdown_deadline is not None:
            effects.append(Refuse(request, RefuseReason.SHUTDOWN))
        elif slot is None or slot.removed:
            effects.append(Refuse(request, RefuseReason.REMOVED))
        elif self.failing(model, now) is not None:
            effects.append(Refuse(request, RefuseReason.FAILED))
        else:
            self._model_of[request] = model
            since = min([now, *(later for its, later in slot.waiting.items() if its > request)])
            slot.waiting = dict(sorted({**slot.waiting, request: since}.items()))
            self._awake[model] = slot
            self._queued += 1

    def _unload(self, slots: Iterable[Slot], now: float, effects: list[Effect]) -> None:
        for slot in slots:
            slot.wanted_since = None
            if slot.state in {ModelState.STARTING, ModelState.READY}:
                self._refuse_waiting(slot, RefuseReason.UNLOADED, effects)
                slot.leaving = Leaving(StopReason.UNLOADED, now + slot.policy.drain_seconds)

    def _reconfigure(self, policy: Policy, changed: frozenset[str], now: float, effects: list[Effect]) -> None:
        self._policy = policy
        for model, its in policy.models.items():
            slot = self._slots.setdefault(model, Slot(model, its))
            slot.policy = its
            slot.failing = None
            came_back, slot.removed = slot.removed, False
            stays = slot.state in {ModelState.STARTING, ModelState.READY} and self._may_restart(
                slot, came_back=came_back
            )
            if stays and (model in changed or came_back):
                slot.leaving = Leaving(StopReason.CHANGED)
                slot.wanted_since = now
        for model in self._slots.keys() - policy.models.keys():
            self._remove(self._slots[model], effects)

    def _may_restart(self, slot: Slot, *, came_back: bool) -> bool:
        """Whether a change may make it leave and start again: not if it leaves for good, on request or at the end."""
        if self._shutdown_deadline is not None:
            return False
        return slot.leaving is None or (came_back and slot.leaving.reason is StopReason.REMOVED)

    def _remove(self, slot: Slot, effects: list[Effect]) -> None:
        self._refuse_waiting(slot, RefuseReason.REMOVED, effects)
        slot.removed, slot.wanted_since = True, None
        if slot.state is ModelState.STOPPED:
            del self._slots[slot.model]
        elif slot.state is not ModelState.STOPPING:
            # Who leaves already, for an unload or a shutdown, keeps the deadline.
            slot.leaving = slot.leaving or Leaving(StopReason.REMOVED)

    def _shut_down(self, deadline: float, effects: list[Effect]) -> None:
        self._shutdown_deadline = deadline
        for slot in self._slots.values():
            slot.wanted_since = None
            self._refuse_waiting(slot, RefuseReason.SHUTDOWN, effects)
            if slot.state in {ModelState.STARTING, ModelState.READY}:
                slot.leaving = Leaving(StopReason.SHUTDOWN, deadline)

    # --- the one decision procedure --------------------------------------------------------------------------------

    def _settle(self, now: float, effects: list[Effect]) -> None:
        for slot in self._awake.values():
            self._refuse_overdue(slot, now, effects)
            self._stop_what_leaves(slot, now, effects)
        self._serve_and_make_room(now, effects)
        self._awake = {model: slot for model, slot in self._awake.items() if slot.awake}
        self._soonest = self._compute_deadline(now)

    def _refuse_overdue(self, slot: Slot, now: float, effects: list[Effect]) -> None:
        if slot.waiting:
            overdue = [request for request in slot.waiting if now >= slot.gives_up_at(request)]
            self._refuse(slot, overdue, RefuseReason.TIMED_OUT, effects)

    def _stop_what_leaves(self, slot: Slot, now: float, effects: list[Effect]) -> None:
        if (expires_at := slot.expires_at) is not None and now >= expires_at:
            self._stop(slot, StopReason.TTL, effects)
        elif (leaving := slot.leaving) is not None and slot.state in {ModelState.STARTING, ModelState.READY}:
            overdue = leaving.deadline is not None and now >= leaving.deadline
            if overdue or not slot.serving:
                if slot.state is ModelState.STARTING:
                    slot.count_loading(now)
                self._stop(slot, leaving.reason, effects)
                self._refuse_overdue(slot, now, effects)  # the time of who waited for its load runs again

    def _serve_and_make_room(self, now: float, effects: list[Effect]) -> None:
        """Go through the models that somebody waits for, in turn, and give each what it can have.

        A later one must not start what those further ahead would have to stop again, if these are sure to get their
        place or have waited long enough to insist.
        """
        self._held_back = frozenset()
        outlook = self._outlook()
        for slot in self.in_turn(now):
            if slot.state is ModelState.READY:
                while slot.waiting and self._admits(slot):
                    self._serve(slot, next(iter(slot.waiting)), effects)
            elif slot.state is ModelState.STOPPED and not outlook.hinders(slot.model):
                self._make_room(slot, outlook, now, effects)
            if self._claims(slot, outlook, now):
                outlook.claim(slot.model)

    def in_turn(self, now: float) -> list[Slot]:
        """Return the models that somebody waits for, in the order in which they are looked after."""

        def key(slot: Slot) -> tuple[bool, int, float, str]:
            since = now if slot.oldest_wait is None else slot.oldest_wait
            aged = now >= since + self._policy.aging_seconds  # the very sum of _compute_deadline: floats round
            return (not aged, 0 if aged else -slot.policy.priority, since, slot.model)

        return sorted((slot for slot in self._awake.values() if slot.oldest_wait is not None), key=key)

    def _claims(self, slot: Slot, outlook: Outlook, now: float) -> bool:
        """Whether it is to be started and is sure to get its place, or has waited long enough to insist on it."""
        if not slot.waiting or (slot.leaving is None and slot.state in {ModelState.STARTING, ModelState.READY}):
            return False
        if now >= self._insists_at(slot):
            return True
        if slot.state is ModelState.READY or outlook.hinders(slot.model):
            return False
        return all(self._slots[evictee].can_go for evictee in outlook.evictees(slot.model))

    def _make_room(self, target: Slot, outlook: Outlook, now: float, effects: list[Effect]) -> None:
        evictees = [self._slots[model] for model in sorted(outlook.evictees(target.model))]
        if not evictees:
            target.wanted_since = None
            target.loading_since = now
            target.move(Cause.START_ORDERED)
            outlook.started(target.model)
            effects.append(Start(target.model))
        elif any(slot.pinned for slot in evictees):
            target.wanted_since = None
            self._refuse_waiting(target, RefuseReason.PINNED, effects)
        elif not target.waiting:
            # Wanted again after a change of its configuration, but its place is taken: that is no reason to evict.
            target.wanted_since = None
        elif all(slot.can_go for slot in evictees):
            for slot in evictees:
                if slot.state is not ModelState.STOPPING:
                    unwanted = slot.state is ModelState.STARTING
                    self._stop(slot, StopReason.UNWANTED if unwanted else StopReason.EVICTED, effects)
        elif now >= self._insists_at(target):
            self._held_back |= {slot.model for slot in evictees}

    def _outlook(self) -> Outlook:
        running = (model for model, slot in self._awake.items() if slot.state is not ModelState.STOPPED)
        return Outlook(self._policy.rule, frozenset(running))

    def _evictees(self, target: Slot) -> list[Slot]:
        return [self._slots[model] for model in sorted(self._outlook().evictees(target.model))]

    def _compute_deadline(self, now: float) -> float:
        deadlines = [FOREVER]
        for slot in self._awake.values():
            if (expires_at := slot.expires_at) is not None:
                deadlines.append(expires_at)
            if slot.leaving is not None and slot.leaving.deadline is not None and slot.state is not ModelState.STOPPING:
                deadlines.append(slot.leaving.deadline)
            if slot.waiting:
                request, since = next(iter(slot.waiting.items()))
                deadlines.append(slot.gives_up_at(request))
                turns = (self._insists_at(slot), since + self._policy.aging_seconds)
                deadlines += [at for at in turns if at > now]
        return min(deadlines)

    # --- small steps -----------------------------------------------------------------------------------------------

    def _admits(self, slot: Slot) -> bool:
        return (
            slot.state is ModelState.READY
            and slot.leaving is None
            and slot.has_room
            and slot.model not in self._held_back
        )

    def _insists_at(self, slot: Slot) -> float:
        return (slot.oldest_wait or 0.0) + self._policy.patience_seconds

    def _serve(self, slot: Slot, request: int, effects: list[Effect]) -> None:
        if slot.waiting.pop(request, None) is not None:
            self._queued -= 1
        self._model_of[request] = slot.model
        slot.serving.add(request)
        effects.append(Serve(request))

    def _stop(self, slot: Slot, reason: StopReason, effects: list[Effect]) -> None:
        slot.move(Cause.STOP_ORDERED)
        effects.append(Stop(slot.model, reason))

    def _refuse_waiting(self, slot: Slot, reason: RefuseReason, effects: list[Effect]) -> None:
        self._refuse(slot, list(slot.waiting), reason, effects)

    def _refuse(self, slot: Slot, requests: Iterable[int], reason: RefuseReason, effects: list[Effect]) -> None:
        for request in requests:
            del slot.waiting[request]
            self._model_of.pop(request, None)
            self._queued -= 1
            effects.append(Refuse(request, reason))
