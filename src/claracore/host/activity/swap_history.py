"""Which models were loaded, why, which others had to go, and how long did each part take?

Follows the starts and ends of model servers, as the journal reports them. Everything here is quick: it is called
between chunks. Times are of the event loop's clock unless a name says otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.picture import Eviction
from claracore.core.scheduler.slot import Slot
from claracore.errors import ClaraCoreError
from claracore.host.activity.counts import Counts, RestartReason
from claracore.host.activity.record import Record
from claracore.host.activity.swaps import Swap, SwapPhases, short_of, why, why_ended
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

KEPT_SWAPS = 200


class Models(Protocol):
    """What is asked of the supervisor."""

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State and requests of each model."""

    def running(self, model_id: str) -> Running | None:
        """Return how the model's server is now; None when there is none."""

    def failure(self, model_id: str) -> ClaraCoreError | None:
        """Return why its last run failed."""


@dataclass(slots=True)
class _Loading:
    """A load under way."""

    wanted_at: float
    started_at: float
    reason: str
    evicted: tuple[str, ...]
    stop_ordered_at: float | None
    in_the_way_were_busy: bool
    because: str


@dataclass(slots=True)
class _Evicted:
    """A model that was ordered to stop for another; `was_busy`: it answered while that one waited."""

    model: str
    ordered_at: float
    was_busy: bool
    eviction: Eviction


@dataclass(slots=True)
class LastMeasured:
    """What was measured last of a model; outlives its server."""

    load_seconds: float | None = None
    tokens_per_second: float | None = None


class SwapHistory:
    """The last loads of models, and what each model's last load and last answer took."""

    def __init__(self, models: Models, counts: Counts, *on_swap: Callable[[Swap], None]) -> None:
        """Each `on_swap` is called with each swap that is new or known better than before."""
        self.swaps: deque[Swap] = deque(maxlen=KEPT_SWAPS)
        self._measured: dict[str, LastMeasured] = {}
        self._models = models
        self._counts = counts
        self._listeners = on_swap
        self._now = asyncio.get_running_loop().time
        self._evicted: list[_Evicted] = []
        self._loading: dict[str, _Loading] = {}
        self._stopping: dict[str, tuple[StopReason, Eviction | None]] = {}
        self._to_restart: dict[str, RestartReason] = {}
        """Why the servers ended whose next start is a restart."""
        self.unanswered: dict[str, Swap] = {}
        """The swap of each model whose first answer has not begun."""

    def measured(self, model: str) -> LastMeasured:
        """Return what was measured last of a model; to be filled by who measures."""
        found = self._measured.get(model)
        if found is None:
            found = self._measured[model] = LastMeasured()
        return found

    def look_at(self, in_flight: Iterable[Record]) -> None:
        """See whether a first answer has begun: a long one is not waited for by whoever looks at swaps."""
        if self.unanswered:
            for record in in_flight:
                first = record.first_token_at if record.stream else record.first_byte_at
                if record.model in self.unanswered and first is not None:
                    self.answer_begun(record.model, record.served_at, first)

    def starting(self, model: str) -> None:
        """Note that a model's server is being started."""
        now = self._now()
        evicted = [each for each in self._evicted if each.eviction.by == model]
        self._evicted = [each for each in self._evicted if model not in {each.eviction.by, each.model}]
        if (restart := self._to_restart.pop(model, None)) is not None:
            self._counts.restarted(model, restart)
        slot = self._models.slots[model]
        asked = bool(slot.waiting)
        self._loading[model] = _Loading(
            wanted_at=now if slot.oldest_wait is None else slot.oldest_wait,
            started_at=now,
            reason="it was asked for" if asked else "its configuration changed",
            evicted=tuple(each.model for each in evicted),
            stop_ordered_at=max((each.ordered_at for each in evicted), default=None),
            in_the_way_were_busy=any(each.was_busy for each in evicted),
            because=why(evicted[-1].eviction) if evicted else "",
        )

    def stopping(self, model: str, reason: StopReason) -> None:
        """Note that a model's server was ordered to end."""
        now = self._now()
        self._counts.stopped(model, reason)
        gives_way = reason in (StopReason.EVICTED, StopReason.UNWANTED)
        eviction = self._models.slots[model].displaced if gives_way else None
        self._stopping[model] = reason, eviction
        if (loading := self._loading.pop(model, None)) is not None:
            self._cancelled(model, loading, why_ended(reason, eviction))
        if eviction is not None:
            self._counts.evicted(model, short_of(eviction))
            waits = (slot.oldest_wait for slot in self._models.slots.values() if slot.state is not ModelState.READY)
            since = min((wait for wait in waits if wait is not None), default=now)
            was_busy = self._counts.last_answer.get(model, 0.0) > since
            self._evicted.append(_Evicted(model, now, was_busy, eviction))

    def _cancelled(self, model: str, loading: _Loading, because: str) -> None:
        swap = self._swap(model, loading, self._now(), None)
        swap = replace(swap, cancelled=True, ended_at=round(time.time(), 3), ended_because=because)
        self.swaps.append(swap)
        self._tell(swap)

    def ready(self, model: str) -> None:
        """Note that a model is ready."""
        if (loading := self._loading.pop(model, None)) is not None:
            self._loaded(model, loading)

    def _loaded(self, model: str, loading: _Loading) -> None:
        now = self._now()
        swap = self._swap(model, loading, now, None)
        self.measured(model).load_seconds = now - loading.started_at
        self._counts.loaded(model, now - loading.started_at, bool(loading.evicted))
        self.swaps.append(swap)
        self.unanswered[model] = swap
        self._tell(swap)

    def ended(self, model: str) -> None:
        """Note that a model's server is gone."""
        self.unanswered.pop(model, None)
        loading = self._loading.pop(model, None)
        ordered, eviction = self._stopping.pop(model, (None, None))
        self._loaded_until_now(model, why_ended(ordered, eviction))
        if ordered is None:
            self._to_restart[model] = "died"
            self._failed(model, loading)
        elif ordered is StopReason.CHANGED:
            self._to_restart[model] = "changed"

    def _failed(self, model: str, loading: _Loading | None) -> None:
        self._counts.failed(model, while_loading=loading is not None)
        if loading is not None:
            failure = self._models.failure(model)
            swap = self._swap(model, loading, self._now(), failure.message if failure else "its server ended")
            self.swaps.append(swap)
            self._tell(swap)

    def _swap(self, model: str, loading: _Loading, now: float, error: str | None) -> Swap:
        running = self._models.running(model)
        # `since` is of time.monotonic(); what matters is how long ago that was.
        ago = time.monotonic() - running.since if running and running.since is not None else None
        spawned_at = None if ago is None else max(loading.started_at, now - ago)
        restored = running.restore_seconds if running is not None else None
        stop_ordered_at = loading.started_at if loading.stop_ordered_at is None else loading.stop_ordered_at
        before = max(0.0, stop_ordered_at - loading.wanted_at)
        drained = before if loading.in_the_way_were_busy else 0.0
        return Swap(
            model=model,
            at=time.time() - (now - loading.wanted_at),
            reason=loading.reason,
            evicted=loading.evicted,
            phases=SwapPhases(
                queued_seconds=round(before - drained, 6),
                drain_seconds=round(drained, 6),
                stop_seconds=round(max(0.0, loading.started_at - stop_ordered_at), 6),
                spawn_seconds=None if spawned_at is None else round(spawned_at - loading.started_at, 6),
                load_seconds=None if spawned_at is None or error else round(now - spawned_at - (restored or 0.0), 6),
                restore_seconds=None if spawned_at is None or error else round(restored or 0.0, 6),
            ),
            total_seconds=round(now - loading.wanted_at, 6),
            error=error,
            because=loading.because,
        )

    def answer_begun(self, model: str, served_at: float | None, first_byte_at: float) -> None:
        """Complete the swap of a model with the time that its first answer took to begin."""
        swap = self.unanswered.pop(model, None)
        if swap is None or served_at is None:
            return
        took = round(first_byte_at - served_at, 6)
        complete = replace(
            swap,
            phases=replace(swap.phases, first_token_seconds=took),
            total_seconds=round(swap.total_seconds + took, 6),
        )
        self._renew(swap, complete)

    def _loaded_until_now(self, model: str, because: str) -> None:
        """Complete the last swap of a model with the end of what it loaded, and why it ended."""
        last = next((swap for swap in reversed(self.swaps) if swap.model == model), None)
        if last is not None and last.error is None and last.ended_at is None:
            self._renew(last, replace(last, ended_at=round(time.time(), 3), ended_because=because))

    def _renew(self, swap: Swap, complete: Swap) -> None:
        for position, kept in enumerate(self.swaps):
            if kept is swap:
                self.swaps[position] = complete
        self._tell(complete)

    def _tell(self, swap: Swap) -> None:
        for call in self._listeners:
            call(swap)
