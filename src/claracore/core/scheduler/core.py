"""What follows from what happens to models and requests?

`Scheduler.handle(event, now)` takes one fact and returns the orders that follow, in the order in which they are to be
carried out. Deciding changes the state: a model that has been ordered to stop *is* stopping from that line on. First
`notes` writes down what the fact changes in `state`, then `settle`, which has the rules, decides. Arrivals and finished
requests that concern nobody else skip both (`admit`, `release`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from claracore.core.scheduler.events import Arrived, Event, Finished, Order, Serve
from claracore.core.scheduler.known_memory import KnownMemory
from claracore.core.scheduler.notes import note
from claracore.core.scheduler.obstacle import Obstacle, obstacle
from claracore.core.scheduler.picture import Shortage
from claracore.core.scheduler.policy import Policy, Situation
from claracore.core.scheduler.settle import claims, has_something_fetched, in_turn, outlook_of, settle
from claracore.core.scheduler.slot import FOREVER, Failing, Slot
from claracore.core.scheduler.state import SchedulerState
from claracore.types import ModelState


class Scheduler:
    """The state of all models and requests, and the decisions about them."""

    def __init__(self, policy: Policy) -> None:
        self._state = SchedulerState(policy)

    @property
    def slots(self) -> Mapping[str, Slot]:
        """The models by id, for looking at; only the scheduler changes them."""
        return self._state.by_model

    @property
    def all_stopped(self) -> bool:
        """Whether no model's server is running."""
        return all(slot.state is ModelState.STOPPED for slot in self._state.by_model.values())

    @property
    def queued(self) -> int:
        """How many requests wait."""
        return self._state.queued

    def handle(self, event: Event, now: float) -> list[Order]:
        """Take one fact at `now` (seconds on any monotonic clock) and return the orders that follow from it."""
        state = self._state
        state.orders = []
        if isinstance(event, Arrived) and self.admit(event.request, event.model):
            return [Serve(event.request)]
        if isinstance(event, Finished) and self.release(event.request, now):
            return []
        if note(state, event, now):
            settle(state, now)
        return state.orders

    def admit(self, request: int, model: str) -> bool:
        """Serve a request that has just come, if that concerns nobody else; otherwise nothing has changed.

        The part of `handle(Arrived)` that needs no orders: what a request for a ready model costs is decided here.
        """
        state = self._state
        slot = state.by_model.get(model)
        if slot is None or slot.waiting or not state.admits(slot):
            return False
        state.model_of[request] = model
        slot.serving.add(request)
        slot.served += 1
        return True

    def release(self, request: int, now: float) -> bool:
        """Forget a request that is over, if that concerns nobody else; otherwise nothing has changed."""
        state = self._state
        slot = state.by_model.get(state.model_of.get(request, ""))
        if slot is None or state.queued or slot.leaving is not None:
            return False
        del state.model_of[request]
        slot.serving.discard(request)
        state.note_idle(slot, now)
        return True

    # --- for looking at --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return the time at which `TimePassed` is due, or None; it may be early, never late."""
        return None if self._state.next_deadline == FOREVER else self._state.next_deadline

    def position(self, request: int) -> int | None:
        """Return the 1-based place of a waiting request among those for its model, or None if it does not wait."""
        slot = self._state.by_model.get(self._state.model_of.get(request, ""))
        if slot is None or request not in slot.waiting:
            return None
        return list(slot.waiting).index(request) + 1

    def in_turn(self, now: float) -> list[Slot]:
        """Return the models that somebody waits for, in the order in which they are looked after."""
        return in_turn(self._state, now)

    def obstacle(self, model: str, now: float) -> Obstacle | None:
        """Return what the requests that wait for a model wait for; None when none waits."""
        slot = self._state.by_model.get(model)
        if slot is None or slot.oldest_wait is None:
            return None
        outlook = outlook_of(self._state, now)
        for other in self.in_turn(now):
            if other is slot and not slot.is_up:
                break  # a ready one, by contrast, is held back by whoever insists on its place
            if claims(self._state, other, outlook, now):
                outlook.claim(other.model)
        ready = slot.is_up
        rivals = outlook.displacing(model) if ready else outlook.hindered_by(model)
        ahead = [self._state.by_model[rival] for rival in rivals]
        back = not self._state.counts(model) or self._state.memory.is_back(model, outlook.running - {model})
        fetches = has_something_fetched(slot, now)
        return obstacle(slot, self._evictees(model, now), ahead, memory_is_back=back, fetches=fetches)

    def situation(self, model: str, now: float) -> Situation:
        """Return what the eviction rule would be asked if this model started now."""
        return outlook_of(self._state, now).now(model)

    def evictees(self, model: str, now: float, after: Sequence[str] = ()) -> list[str]:
        """Return who must go, by id, before this model starts now; nobody for one that is not configured or too large.

        With `after`: before it starts when these, which are known, have had their turn one after the other.
        """
        if self.too_large(model, now):
            return []
        return [slot.model for slot in self._evictees(model, now, after)]

    def too_large(self, model: str, now: float) -> tuple[Shortage, ...]:
        """Return the devices whose memory is not enough for a model even if all others go."""
        rule = self._state.by_memory
        return rule.too_large(self.situation(model, now)) if rule is not None and self._is_configured(model) else ()

    def staying_against(self, model: str, now: float, after: Sequence[str] = ()) -> list[Slot]:
        """Return the models that go for nobody and are in the way of this one, if it is configured.

        `after` as in `evictees`.
        """
        return [slot for slot in self._evictees(model, now, after) if self._state.stays(slot)]

    @property
    def memory(self) -> KnownMemory:
        """What is known of memory, for looking at; only the scheduler changes it."""
        return self._state.memory

    def failing(self, model: str, now: float) -> Failing | None:
        """Return the failure for which requests for a model are refused without another try; None when they are not."""
        return self._state.failing(model, now)

    def _is_configured(self, model: str) -> bool:
        """Whether the eviction rule knows it: not one that was removed, even while it still runs."""
        return model in self._state.policy.models and model in self._state.by_model

    def _evictees(self, model: str, now: float, after: Sequence[str] = ()) -> list[Slot]:
        if not self._is_configured(model):
            return []
        outlook = outlook_of(self._state, now)
        for earlier in after:
            outlook.claim(earlier)
        going = outlook.claim(model) if after else outlook.evictees(model)
        return [self._state.by_model[evictee] for evictee in sorted(going)]
