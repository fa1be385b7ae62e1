"""What happened: which requests ended how, which models were loaded and why, and how long did each part take?

The gateway's observer and the supervisor's listener. Both call between chunks: everything here is quick, and what is
slow (the disk) happens in `store.activity`'s own thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.slot import Slot
from claracore.errors import ClaraCoreError
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts, RestartReason
from claracore.host.activity.database import Activity
from claracore.host.activity.record import Record
from claracore.host.activity.rows import Measures, Row, Subject, row_of
from claracore.host.activity.swaps import Swap, SwapPhases
from claracore.host.activity.tokens import Tokens
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

KEPT_SWAPS = 200

SETTLE_SECONDS = 0.05
SETTLE_RECORDS = 64
"""Records are looked at in batches: one by one, between two requests, each takes three times as long, because nothing
of this code is in the processor's caches then. A batch of so many holds the loop for a quarter of a millisecond. Those
with a capture do not wait: only the captures' own store bounds how much memory they take."""


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
    """A load under way; times of the event loop's clock."""

    wanted_at: float
    started_at: float
    reason: str
    evicted: tuple[str, ...]
    stop_ordered_at: float | None
    in_the_way_were_busy: bool


@dataclass(slots=True)
class _Evicted:
    model: str
    ordered_at: float
    was_busy: bool


@dataclass(slots=True)
class Last:
    """What is remembered of a model beyond the life of its server."""

    load_seconds: float | None = None
    tokens_per_second: float | None = None


class Journal:
    """Hears of requests and models, and writes down what people will ask about."""

    def __init__(self, supervisor: Models, activity: Activity, counts: Counts, captures: Captures) -> None:
        self.swaps: deque[Swap] = deque(maxlen=KEPT_SWAPS)
        self.last: dict[str, Last] = {}
        self.on_model: Callable[[str], None] = lambda _: None
        """Hears the id of each model whose state has changed."""
        self.on_told: Callable[[str], None] = lambda _: None
        """Hears the id of each model that has loaded further, or fallen asleep."""
        self.attended: Callable[[], bool] = lambda: True
        """Says whether anybody listens: `on_row` and `on_record` are only called then."""
        self.on_row: Callable[[Row], None] = lambda _: None
        self.on_swap: Callable[[Swap], None] = lambda _: None
        self.on_record: Callable[[Record], None] = lambda _: None
        """Hears of every request that is over, also of those that were refused before their model was known."""
        self._supervisor = supervisor
        self._activity = activity
        self._counts = counts
        self._captures = captures
        self._now = asyncio.get_running_loop().time
        self._evicted: list[_Evicted] = []
        self._loading: dict[str, _Loading] = {}
        self._stopping: dict[str, StopReason] = {}
        self._to_restart: dict[str, RestartReason] = {}
        """Why the servers ended whose next start is a restart."""
        self._unanswered: dict[str, Swap] = {}
        """The swap of each model whose first answer has not begun."""
        self._over: list[Record] = []
        """Requests that are over and were not looked at yet."""
        self._epoch = 0.0
        """Unix time at 0 of the event loop's clock."""
        self._timer: asyncio.TimerHandle | None = None

    # --- requests -----------------------------------------------------------------------------------------------

    def finished(self, record: Record) -> None:
        """Take the record of a request that is over (gateway.contract.Observer)."""
        over = self._over
        over.append(record)
        if len(over) >= SETTLE_RECORDS or record.capture is not None:
            self.settle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._settle_later)

    def _settle_later(self) -> None:
        self._timer = None
        self.settle()

    def settle(self) -> None:
        """Look at what is over: from here on rows, counts and swaps tell of it."""
        over, self._over = self._over, []
        if not over:
            return
        attended = self.attended()
        self._epoch = time.time() - self._now()
        for record in over:
            if attended:
                self.on_record(record)
            if not record.model:
                self._counts.refused(record)
            elif record.method == "POST":  # others are below /upstream: a page, a picture, a health check
                self._settle(record, attended=attended)

    def look_at(self, in_flight: Iterable[Record]) -> None:
        """See whether a first answer has begun: a long one is not waited for by whoever looks at swaps."""
        if self._unanswered:
            for record in in_flight:
                first = record.first_token_at if record.stream else record.first_byte_at
                if record.model in self._unanswered and first is not None:
                    self._first_answer(record.model, record.served_at, first)

    def _settle(self, record: Record, *, attended: bool) -> None:
        model, status, first = record.model, record.status, _first_token_at(record)
        ended = self._now() if record.finished_at is None else record.finished_at
        # A Row is only made for somebody to see it: the writer and the counts take its values as they are.
        measures, subject = self._measures(record, first, ended), _subject(record)
        self._activity.add(measures, subject)
        self._counts.request(model, status, measures, ended)
        if first is not None and self._unanswered:
            self._first_answer(model, record.served_at, first)
        if attended:
            self.on_row(row_of((*measures, *subject)))

    def _measures(self, record: Record, first: float | None, ended: float) -> Measures:
        arrived, served, tokens = record.arrived_at, record.served_at, record.tokens()
        speed = _speed(tokens, record, ended) if tokens.per_second is None else tokens.per_second
        if speed is not None:
            self._remembered(record.model).tokens_per_second = speed
        queued = load = None
        if served is not None:
            waited = served - arrived
            load = self._load_part(record.model, waited) if record.waited_for_load else 0.0
            queued = max(0.0, waited - (load or 0.0))
        id_ = self._activity.next_id()
        return (
            id_,
            self._epoch + arrived,
            queued,
            load,
            first - arrived if first is not None and record.stream else None,
            ended - arrived,
            tokens.prompt,
            tokens.cached,
            tokens.completion,
            tokens.prompt_per_second,
            speed,
            tokens.draft,
            tokens.accepted,
            record.capture is not None and self._captures.keep(id_, record.capture),
        )

    def _load_part(self, model: str, waited: float) -> float | None:
        """Return how much of the waiting was the loading of the model itself."""
        took = self._remembered(model).load_seconds
        return None if took is None else min(waited, took)

    def _remembered(self, model: str) -> Last:
        return self.last.setdefault(model, Last())

    # --- models -------------------------------------------------------------------------------------------------

    def starting(self, model: str) -> None:
        """Hear that a model's server is being started."""
        self.settle()
        now = self._now()
        mine, self._evicted = self._evicted, []
        if (restart := self._to_restart.pop(model, None)) is not None:
            self._counts.restarted(model, restart)
        slot = self._supervisor.slots[model]
        asked = bool(slot.waiting)
        self._loading[model] = _Loading(
            wanted_at=now if slot.oldest_wait is None else slot.oldest_wait,
            started_at=now,
            reason="it was asked for" if asked else "its configuration changed",
            evicted=tuple(it.model for it in mine),
            stop_ordered_at=max((it.ordered_at for it in mine), default=None),
            in_the_way_were_busy=any(it.was_busy for it in mine),
        )
        self.on_model(model)

    def stopping(self, model: str, reason: StopReason) -> None:
        """Hear that a model's server is being stopped."""
        self.settle()
        now = self._now()
        self._stopping[model] = reason
        self._loading.pop(model, None)
        self._counts.stopped(model, reason)
        if reason in (StopReason.EVICTED, StopReason.UNWANTED):
            waits = (slot.oldest_wait for slot in self._supervisor.slots.values() if slot.state is not ModelState.READY)
            since = min((wait for wait in waits if wait is not None), default=now)
            was_busy = self._counts.last_answer.get(model, 0.0) > since
            self._evicted.append(_Evicted(model, now, was_busy))
        self.on_model(model)

    def ready(self, model: str) -> None:
        """Hear that a model is ready."""
        self.settle()
        if (loading := self._loading.pop(model, None)) is not None:
            self._loaded(model, loading)
        self.on_model(model)

    def _loaded(self, model: str, loading: _Loading) -> None:
        now = self._now()
        swap = self._swap(model, loading, now, None)
        self._remembered(model).load_seconds = now - loading.started_at
        self._counts.loaded(model, now - loading.started_at, bool(loading.evicted))
        self.swaps.append(swap)
        self._unanswered[model] = swap
        self.on_swap(swap)

    def ended(self, model: str) -> None:
        """Hear that a model's server is gone."""
        self.settle()
        self._unanswered.pop(model, None)
        self._loaded_until_now(model)
        loading = self._loading.pop(model, None)
        ordered = self._stopping.pop(model, None)
        if ordered is None:
            self._to_restart[model] = "died"
            self._failed(model, loading)
        elif ordered is StopReason.CHANGED:
            self._to_restart[model] = "changed"
        self.on_model(model)

    def reported(self, model: str) -> None:
        """Hear that a model's server has said something new about itself."""
        self.on_told(model)

    def pinned(self, model: str) -> None:
        """Hear that a model was pinned or let go."""
        self.on_model(model)

    def _failed(self, model: str, loading: _Loading | None) -> None:
        self._counts.failed(model, while_loading=loading is not None)
        if loading is not None:
            failure = self._supervisor.failure(model)
            swap = self._swap(model, loading, self._now(), failure.message if failure else "its server ended")
            self.swaps.append(swap)
            self.on_swap(swap)

    def _swap(self, model: str, loading: _Loading, now: float, error: str | None) -> Swap:
        running = self._supervisor.running(model)
        # `since` is of time.monotonic(); what matters is how long ago that was.
        ago = time.monotonic() - running.since if running and running.since is not None else None
        spawned_at = None if ago is None else max(loading.started_at, now - ago)
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
                load_seconds=None if spawned_at is None or error else round(now - spawned_at, 6),
            ),
            total_seconds=round(now - loading.wanted_at, 6),
            error=error,
        )

    def _first_answer(self, model: str, served_at: float | None, first_byte_at: float) -> None:
        """Complete the swap of a model with the time that its first answer took to begin."""
        swap = self._unanswered.pop(model, None)
        if swap is None or served_at is None:
            return
        took = round(first_byte_at - served_at, 6)
        complete = replace(
            swap,
            phases=replace(swap.phases, first_token_seconds=took),
            total_seconds=round(swap.total_seconds + took, 6),
        )
        self._renew(swap, complete)

    def _loaded_until_now(self, model: str) -> None:
        """Complete the last swap of a model with the end of what it loaded."""
        last = next((swap for swap in reversed(self.swaps) if swap.model == model), None)
        if last is not None and last.error is None and last.ended_at is None:
            self._renew(last, replace(last, ended_at=round(time.time(), 3)))

    def _renew(self, swap: Swap, complete: Swap) -> None:
        for position, kept in enumerate(self.swaps):
            if kept is swap:
                self.swaps[position] = complete
        self.on_swap(complete)


def _subject(record: Record) -> Subject:
    return (
        record.model,
        record.requested,
        record.path,
        record.status,
        record.stream,
        record.key or None,
        record.client,
        _error(record),
        record.content_type,
    )


def _error(record: Record) -> str | None:
    """Return why it failed: as we know it, or as the model server said it."""
    if record.error or record.client_left:
        return record.error or "the client left"
    return record.watch.error() or None if record.status >= 400 and record.watch is not None else None


def _speed(tokens: Tokens, record: Record, ended: float) -> float | None:
    """Return tokens per second as we saw them, where the model server does not say."""
    begun = _first_token_at(record) if record.stream else record.served_at
    if tokens.completion is None or begun is None or ended - begun < 1e-3:
        return None
    return int(tokens.completion / (ended - begun) * 1e3 + 0.5) / 1e3  # round() takes three times as long


def _first_token_at(record: Record) -> float | None:
    """Return when the model's first word came; an answer in which none is recognised begins with its first byte."""
    return record.first_byte_at if record.first_token_at is None else record.first_token_at
