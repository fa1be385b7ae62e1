"""What does the scheduler remember of all models and their requests, and which small steps change it?

Each step leaves requests, slots and counts in accord with each other, and adds the order that follows, if there is one,
to `orders`. None of them decides anything: that is `settle`, and what each event means is `notes`.
"""

from __future__ import annotations

from collections.abc import Iterable

from claracore.core.memory.footprint import Footprint
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.events import (
    LookAhead,
    Order,
    Refuse,
    RefuseReason,
    Serve,
    Sleep,
    Start,
    Stop,
    StopReason,
    Wake,
)
from claracore.core.scheduler.known_memory import KnownMemory
from claracore.core.scheduler.lifecycle import Trigger
from claracore.core.scheduler.picture import Eviction
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.slot import FOREVER, Failing, Nap, Slot
from claracore.types import ModelState


class SchedulerState:
    """The slots of all models, which request is where, and the orders that follow from the event at hand."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.by_model = {model: Slot(model, model_policy) for model, model_policy in policy.models.items()}
        self.awake: dict[str, Slot] = {}
        """The models that run or that somebody waits for; the others, which may be thousands, need no looking at."""
        self.model_of: dict[int, str] = {}
        """The model of each request that waits or is served."""
        self.queued = 0
        """How many requests wait."""
        self.held_back: frozenset[str] = frozenset()
        """The models that take no new requests, because one that insists on its place cannot have it beside them."""
        self.held = False
        """Whether no server is started or stopped for now: what runs goes on serving."""
        self.next_deadline = FOREVER
        """When time alone may change a decision; it may be early, never late."""
        self.shutdown_deadline: float | None = None
        """When answers in progress are ended; set once ClaraCore is to end."""
        self.memory = KnownMemory()
        self.orders: list[Order] = []

    # --- what is so ------------------------------------------------------------------------------------------------

    def admits(self, slot: Slot) -> bool:
        """Whether a model serves one more request at once."""
        return slot.is_up and slot.leaving is None and slot.has_capacity and slot.model not in self.held_back

    @property
    def by_memory(self) -> ByMemory | None:
        """The eviction rule, if it counts bytes."""
        return self.policy.rule if isinstance(self.policy.rule, ByMemory) else None

    def counts(self, model: str) -> bool:
        """Whether it matters for a model how much memory there is."""
        return self.by_memory is not None and model not in self.by_memory.elsewhere

    def knows(self, model: str, now: float) -> bool:
        """Whether it is known what a model takes, where that matters; if not, it is asked for."""
        return not self.counts(model) or self.memory.knows(model, now)

    def may_act(self, model: str, now: float) -> bool:
        """Whether enough is known of memory to decide about a model; if not, it is asked for."""
        return not self.counts(model) or self.memory.may_act(model, now)

    def stays(self, slot: Slot) -> bool:
        """Whether a model goes for nobody."""
        kept = slot.pinned or (self.by_memory is not None and slot.model in self.by_memory.persistent)
        return kept and slot.state is not ModelState.STOPPING

    def failing(self, model: str, now: float) -> Failing | None:
        """Return the failure for which requests for a model are refused without another try; None when they are not."""
        slot = self.by_model.get(model)
        if slot is None or slot.failing is None or slot.state is not ModelState.STOPPED:
            return None
        return slot.failing if now < slot.failing.retry_at else None

    # --- steps -----------------------------------------------------------------------------------------------------

    def start(self, slot: Slot, now: float) -> None:
        """Order that a model's server is started, or woken."""
        slot.wanted_since = slot.displaced = None
        slot.looked(now)
        slot.loading_since = now
        if slot.nap is Nap.ASLEEP:
            slot.nap = Nap.WAKING
            slot.move(Trigger.WAKE_ORDERED)
            self.memory.awoke(slot.model)
            self.orders.append(Wake(slot.model))
        else:
            slot.move(Trigger.START_ORDERED)
            self.orders.append(Start(slot.model))

    def hold(self, now: float, *, held: bool) -> None:
        """Start and stop nothing, or do again; what was looked at before is looked at anew."""
        self.held = held
        for slot in self.by_model.values():
            slot.looked(now)

    def look(self, slot: Slot, now: float) -> None:
        """Order that it is looked at whether a model's start is sure to fail."""
        slot.looking_since = now
        self.orders.append(LookAhead(slot.model))

    def serve(self, slot: Slot, request: int) -> None:
        """Order that a waiting request is served."""
        if slot.waiting.pop(request, None) is not None:
            self.queued -= 1
        self.model_of[request] = slot.model
        slot.serving.add(request)
        slot.served += 1
        self.orders.append(Serve(request))

    def stop(self, slot: Slot, reason: StopReason) -> None:
        """Order that a model's server is stopped; it is stopping from here on."""
        slot.move(Trigger.STOP_ORDERED)
        slot.nap = None
        if self.counts(slot.model):
            self.memory.ending(slot.model)
        self.orders.append(Stop(slot.model, reason))

    def fall_asleep(self, slot: Slot, footprint: Footprint, reason: StopReason) -> None:
        """Order that a model's server gives its memory back, all but `footprint`, without ending."""
        slot.move(Trigger.SLEEP_ORDERED)
        slot.nap = Nap.FALLING
        self.memory.falling_asleep(slot.model, footprint)
        self.orders.append(Sleep(slot.model, reason))

    def displace(self, slot: Slot, displaced: Eviction, asleep: Footprint | None = None) -> None:
        """Order that a model's server is stopped because another needs its place; with `asleep`, that it sleeps."""
        unwanted = slot.state is ModelState.STARTING
        slot.displaced = displaced
        if asleep is not None:
            self.fall_asleep(slot, asleep, StopReason.EVICTED)
            return
        self.stop(slot, StopReason.UNWANTED if unwanted else StopReason.EVICTED)

    def refuse_waiting(self, slot: Slot, reason: RefuseReason) -> None:
        """Order that every request that waits for a model is refused."""
        self.refuse(slot, list(slot.waiting), reason)

    def refuse(self, slot: Slot, requests: Iterable[int], reason: RefuseReason) -> None:
        """Order that these waiting requests are refused, and forget them."""
        for request in requests:
            del slot.waiting[request]
            self.model_of.pop(request, None)
            self.queued -= 1
            self.orders.append(Refuse(request, reason))

    def note_idle(self, slot: Slot, now: float) -> None:
        """Take in that one of a model's answers is over: if it was the last, the model is idle from `now` on."""
        if not slot.serving:
            slot.idle_since = now
            if slot.policy.ttl_seconds or slot.kept_seconds is not None:
                self.next_deadline = min(self.next_deadline, slot.expires_at or FOREVER)
