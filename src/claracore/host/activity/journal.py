"""Which requests ended how, and what is told to those who watch?

The gateway's observer and the supervisor's listener. Both call between chunks: everything here is quick, and what is
slow (the disk) happens in a thread of `database`. Loads and swaps are explained by `swap_history`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec.structs import astuple

from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.record import Record
from claracore.host.activity.rows import CLIENT_LEFT, ActivityRow, row_of
from claracore.host.activity.sessions import SessionReader
from claracore.host.activity.swap_history import SwapHistory
from claracore.host.activity.tokens import Tokens

FLUSH_SECONDS = 0.05
FLUSH_RECORDS = 64
"""Records are looked at in batches: one by one, between two requests, each takes three times as long, because nothing
of this code is in the processor's caches then. A batch of so many holds the loop for a quarter of a millisecond. Those
with a capture do not wait: only the captures' own store bounds how much memory they take."""


class Rows(Protocol):
    """Where rows are kept."""

    def next_id(self) -> int:
        """Return the id for a new row."""

    def add(self, row: ActivityRow) -> None:
        """Keep a row."""


class JournalListener(Protocol):
    """Who watches what happens as it happens. Called between chunks: must be quick and must not raise."""

    def attended(self) -> bool:
        """Whether anybody would see it: `request_over` and `row_added` are only called then."""

    def request_over(self, record: Record) -> None:
        """Take a request that is over; also those that were refused before their model was known."""

    def row_added(self, row: ActivityRow) -> None:
        """Take what is kept of a request to a model that is over."""

    def model_changed(self, model_id: str) -> None:
        """Note that the state of a model is another one, or that it was pinned or let go."""

    def model_progressed(self, model_id: str) -> None:
        """Note that a model's server has loaded further, or fallen asleep."""


class Journal:
    """Takes what gateway and supervisor report, and writes down what people will ask about."""

    def __init__(
        self,
        activity: Rows,
        counts: Counts,
        captures: Captures,
        swaps: SwapHistory,
        listener: JournalListener,
        *,
        on_tokens: Callable[[str, int | None, int | None, float | None], None] = lambda *_: None,
        on_key: Callable[[str, int, float], None] = lambda *_: None,
    ) -> None:
        """Take whom to tell more than rows say.

        `on_tokens` is called with a model, its prompt's tokens, those not read, and how many a second were read;
        `on_key` with the name of a key, the tokens that a request with it took, and the unix time.
        """
        self.rows = activity
        self._counts = counts
        self._captures = captures
        self._swaps = swaps
        self._listener = listener
        self._on_tokens = on_tokens
        self._on_key = on_key
        self._sessions = SessionReader()
        self._now = asyncio.get_running_loop().time
        self._over: list[Record] = []
        """Requests that are over and were not looked at yet."""
        self._epoch = 0.0
        """Unix time at 0 of the event loop's clock."""
        self._timer: asyncio.TimerHandle | None = None

    def read_sessions_from(self, headers: Iterable[str]) -> None:
        """Take the names of the request headers that say to which session a request belongs, from now on."""
        self._sessions = SessionReader(headers)

    # --- requests -----------------------------------------------------------------------------------------------

    def finished(self, record: Record) -> None:
        """Take the record of a request that is over (gateway.contract.Observer)."""
        over = self._over
        over.append(record)
        if len(over) >= FLUSH_RECORDS or record.capture is not None:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush_later)

    def _flush_later(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Look at what is over: from here on rows, counts and swaps tell of it."""
        over, self._over = self._over, []
        if not over:
            return
        attended = self._listener.attended()
        self._epoch = time.time() - self._now()
        for record in over:
            if attended:
                self._listener.request_over(record)
            if not record.model:
                self._counts.refused(record)
            elif record.method == "POST":  # others are below /upstream: a page, a picture, a health check
                self._take_in(record, attended=attended)

    def _take_in(self, record: Record, *, attended: bool) -> None:
        first = _first_token_at(record)
        ended = self._now() if record.finished_at is None else record.finished_at
        row = self._row(record, first, ended)
        self.rows.add(row)
        self._counts.request(row, ended)
        if row.key is not None:
            self._on_key(row.key, (row.prompt_tokens or 0) + (row.completion_tokens or 0), self._epoch + ended)
        if first is not None and self._swaps.unanswered:
            self._swaps.answer_begun(record.model, record.served_at, first)
        if attended:
            self._listener.row_added(row_of(astuple(row)))

    def _row(self, record: Record, first: float | None, ended: float) -> ActivityRow:
        arrived, served, tokens = record.arrived_at, record.served_at, record.tokens()
        self._on_tokens(record.model, tokens.prompt, tokens.cached, tokens.prompt_per_second)
        speed = _speed(tokens, record, ended) if tokens.per_second is None else tokens.per_second
        if speed is not None:
            self._swaps.measured(record.model).tokens_per_second = speed
        queued = load = None
        if served is not None:
            waited = served - arrived
            load = self._load_part(record.model, waited) if record.waited_for_load else 0.0
            queued = max(0.0, waited - (load or 0.0))
        id_ = self.rows.next_id()
        # By position, in the order of the columns: by name it takes three times as long, once a request.
        return ActivityRow(
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
            tokens.counted,
            record.capture is not None and self._captures.keep(id_, record.capture),
            record.request_id.decode() or None,
            record.model,
            record.requested,
            record.path,
            record.status,
            record.stream,
            record.key or None,
            record.client,
            _error(record),
            record.content_type,
            self._sessions.session_of(record.header_lines, record.request_id if record.id_is_chosen else b""),
            record.selector or None,
            record.priority,
            record.node or None,
        )

    def _load_part(self, model: str, waited: float) -> float | None:
        """Return how much of the waiting was the loading of the model itself."""
        took = self._swaps.measured(model).load_seconds
        return None if took is None else min(waited, took)

    # --- models -------------------------------------------------------------------------------------------------

    # What is over is looked at first: the history asks how long answers took, and whether one came lately.

    def waiting(self, model: str) -> None:
        """Do nothing: what is told of a request is told when it is over."""

    def starting(self, model: str) -> None:
        """Note that a model's server is being started."""
        self.flush()
        self._swaps.starting(model)
        self._listener.model_changed(model)

    def stopping(self, model: str, reason: StopReason) -> None:
        """Note that a model's server was ordered to end."""
        self.flush()
        self._swaps.stopping(model, reason)
        self._listener.model_changed(model)

    def ready(self, model: str) -> None:
        """Note that a model is ready."""
        self.flush()
        self._swaps.ready(model)
        self._listener.model_changed(model)

    def ended(self, model: str) -> None:
        """Note that a model's server is gone."""
        self.flush()
        self._swaps.ended(model)
        self._listener.model_changed(model)

    def trying_again(self, model: str, how: SecondTry) -> None:
        """Count that a model is started once more for want of memory."""
        self._counts.tried_again(model, how)

    def reported(self, model: str) -> None:
        """Note that a model's server has said something new about itself."""
        self._listener.model_progressed(model)

    def pinned(self, model: str) -> None:
        """Note that a model was pinned or let go."""
        self._listener.model_changed(model)


def _error(record: Record) -> str | None:
    """Return why it failed: as we know it, or as the model server said it."""
    if record.error or record.client_left:
        return record.error or CLIENT_LEFT
    return record.answer_ends.error() or None if record.status >= 400 and record.answer_ends is not None else None


def _speed(tokens: Tokens, record: Record, ended: float) -> float | None:
    """Return tokens per second as we saw them, where the model server does not say."""
    begun = _first_token_at(record) if record.stream else record.served_at
    if tokens.completion is None or begun is None or ended - begun < 1e-3:
        return None
    return int(tokens.completion / (ended - begun) * 1e3 + 0.5) / 1e3  # round() takes three times as long


def _first_token_at(record: Record) -> float | None:
    """Return when the model's first word came; an answer in which none is recognised begins with its first byte."""
    return record.first_byte_at if record.first_token_at is None else record.first_token_at
