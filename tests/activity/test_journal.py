"""What a conversation of supervisor and gateway leaves in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.picture import Eviction, Shortage
from claracore.core.scheduler.policy import ModelPolicy
from claracore.core.scheduler.slot import Slot
from claracore.core.units import GIB
from claracore.host.activity.answer_ends import AnswerEnds
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.database import Activity
from claracore.host.activity.journal import FLUSH_RECORDS, Journal
from claracore.host.activity.measures import Counter, Histogram
from claracore.host.activity.record import Record
from claracore.host.activity.rows import ActivityRow
from claracore.host.activity.swap_history import SwapHistory
from claracore.host.activity.swaps import Swap
from claracore.types import ModelState


@dataclass
class Models:
    """A supervisor of which only the looks matter."""

    slots: dict[str, Slot] = field(default_factory=dict)

    def running(self, _model: str) -> None:
        return None

    def failure(self, _model: str) -> None:
        return None

    def state(self, model: str) -> ModelState:
        return self.slots[model].state


@dataclass
class Watching:
    """A listener that notes what it was given."""

    rows: list[ActivityRow] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    progressed: list[str] = field(default_factory=list)
    on_row: Callable[[], None] = lambda: None
    """Called after each row."""

    def attended(self) -> bool:
        return True

    def request_over(self, record: Record) -> None:
        pass

    def row_added(self, row: ActivityRow) -> None:
        self.rows.append(row)
        self.on_row()

    def model_changed(self, model_id: str) -> None:
        self.changed.append(model_id)

    def model_progressed(self, model_id: str) -> None:
        self.progressed.append(model_id)


class Stage:
    def __init__(self, activity: Activity) -> None:
        self.models = Models({name: Slot(name, ModelPolicy()) for name in ("a", "b")})
        self.counts = Counts()
        self.watching = Watching()
        self.rows = self.watching.rows
        self.swaps: list[Swap] = []
        self.history = SwapHistory(self.models, self.counts, self.swaps.append)
        self.journal = Journal(activity, self.counts, Captures(), self.history, self.watching)
        self.time = 1000.0
        self.journal._now = self.history._now = lambda: self.time

    def record(self, model: str, **more: Any) -> Record:
        record = Record("POST", "/v1/chat/completions", "127.0.0.1", self.time)
        for name, value in {"model": model, "requested": model, **more}.items():
            setattr(record, name, value)
        return record


def play(conversation: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        with closing(Activity(None)) as activity:
            await conversation(Stage(activity))

    asyncio.run(whole())


def test_a_swap_is_explained_phase_by_phase() -> None:
    async def conversation(stage: Stage) -> None:
        journal, models = stage.journal, stage.models
        models.slots["a"].state = ModelState.READY
        models.slots["b"].waiting[1] = 1000.0
        stage.time = 1002.0
        journal.finished(stage.record("a", arrived_at=999.0, served_at=999.0, finished_at=1002.0, status=200))
        models.slots["a"].displaced = Eviction("b", (Shortage("gpu0", 4 * GIB, GIB), Shortage("ram", 9 * GIB, -1)))
        journal.stopping("a", StopReason.EVICTED)
        stage.time = 1003.0
        journal.ended("a")
        journal.starting("b")
        stage.time = 1008.0
        journal.ready("b")
        swap = stage.swaps[-1]
        assert swap.ended_at is None
        assert (swap.model, swap.evicted, swap.reason) == ("b", ("a",), "it was asked for")
        assert (
            swap.because == "b takes 4.0 GiB of gpu0, where 1.0 GiB were free and 9.0 GiB of ram, where 0 KiB were free"
        )
        assert (swap.phases.queued_seconds, swap.phases.drain_seconds, swap.phases.stop_seconds) == (0.0, 2.0, 1.0)
        assert swap.total_seconds == 8.0
        stage.time = 1010.0
        journal.finished(
            stage.record(
                "b",
                arrived_at=1000.0,
                served_at=1008.0,
                first_byte_at=1008.5,
                finished_at=1010.0,
                waited_for_load=True,
                stream=True,
                status=200,
            )
        )
        journal.flush()
        assert len(stage.history.swaps) == 1
        assert stage.history.swaps[0].phases.first_token_seconds == 0.5
        assert stage.history.swaps[0].total_seconds == 8.5
        row = stage.rows[-1]
        assert (row.queue_seconds, row.load_seconds, row.first_token_seconds) == (3.0, 5.0, 8.5)
        assert stage.counts.load_seconds.total("b") == (1, 5.0)
        assert stage.counts.stops.values["a", "evicted"] == 1
        assert stage.counts.evictions.values["a", "gpu0+ram"] == 1

    play(conversation)


@pytest.mark.parametrize(
    ("eviction", "because", "label", "ended_because"),
    [
        (Eviction("b"), "", "rule", "unloaded for b"),
        (
            Eviction("b", (Shortage("", 0, 0),)),
            "it is not known how much memory each of them takes, so they cannot run together",
            "unknown",
            "unloaded for b: it is not known how much memory each of them takes, so they cannot run together",
        ),
        (
            Eviction("b", (Shortage("gpu0", 9 * GIB, 2 * GIB),)),
            "b takes 9.0 GiB of gpu0, where 2.0 GiB were free",
            "gpu0",
            "unloaded for b: b takes 9.0 GiB of gpu0, where 2.0 GiB were free",
        ),
    ],
)
def test_why_somebody_went_is_told_as_far_as_it_is_known(
    eviction: Eviction, because: str, label: str, ended_because: str
) -> None:
    async def conversation(stage: Stage) -> None:
        stage.journal.starting("a")
        stage.journal.ready("a")
        stage.models.slots["a"].displaced = eviction
        stage.journal.stopping("a", StopReason.EVICTED)
        stage.journal.ended("a")
        stage.journal.starting("b")
        stage.journal.ready("b")
        assert (stage.swaps[-1].evicted, stage.swaps[-1].because) == (("a",), because)
        assert [(swap.model, swap.ended_because) for swap in stage.history.swaps] == [("a", ended_because), ("b", "")]
        assert stage.counts.evictions.values == {("a", label): 1}

    play(conversation)


@pytest.mark.parametrize(
    ("reason", "ended_because"),
    [
        (StopReason.TTL, "idle for its ttl"),
        (StopReason.UNLOADED, "unloaded by request"),
        (None, "its server ended by itself"),
    ],
)
def test_why_a_server_ended_that_gave_way_to_nobody(reason: StopReason | None, ended_because: str) -> None:
    async def conversation(stage: Stage) -> None:
        stage.models.slots["a"].displaced = Eviction("b")
        stage.journal.starting("a")
        stage.journal.ready("a")
        if reason is not None:
            stage.journal.stopping("a", reason)
        stage.journal.ended("a")
        assert stage.history.swaps[-1].ended_because == ended_because

    play(conversation)


def test_who_had_to_go_for_one_model_is_not_told_of_another() -> None:
    async def conversation(stage: Stage) -> None:
        stage.models.slots["c"] = Slot("c", ModelPolicy())
        stage.models.slots["a"].displaced = Eviction("b")
        stage.journal.stopping("a", StopReason.EVICTED)
        stage.journal.ended("a")
        for model in ("c", "b"):
            stage.journal.starting(model)
            stage.journal.ready(model)
        assert [(swap.model, swap.evicted) for swap in stage.swaps] == [("c", ()), ("b", ("a",))]

    play(conversation)


def test_the_first_token_is_told_while_the_answer_still_comes() -> None:
    async def conversation(stage: Stage) -> None:
        stage.journal.starting("a")
        stage.journal.ready("a")
        running = stage.record("a", served_at=1001.0)
        stage.history.look_at([running])
        assert stage.swaps[-1].phases.first_token_seconds is None
        running.first_byte_at = 1003.0
        stage.history.look_at([stage.record("b", served_at=1000.0, first_byte_at=1000.5), running])
        assert [swap.phases.first_token_seconds for swap in stage.history.swaps] == [2.0]
        told = len(stage.swaps)
        running.finished_at = 1010.0
        stage.journal.finished(running)
        stage.journal.flush()
        assert len(stage.swaps) == told, "once is enough"

    play(conversation)


def test_idle_models_in_the_way_are_not_drained() -> None:
    async def conversation(stage: Stage) -> None:
        stage.models.slots["a"].state = ModelState.READY
        stage.models.slots["b"].waiting[1] = 1000.0
        stage.time = 1000.5
        stage.models.slots["a"].displaced = Eviction("b")
        stage.journal.stopping("a", StopReason.EVICTED)
        stage.journal.ended("a")
        stage.journal.starting("b")
        stage.journal.ready("b")
        assert (stage.swaps[0].phases.queued_seconds, stage.swaps[0].phases.drain_seconds) == (0.5, 0.0)

    play(conversation)


def test_a_load_that_fails_is_a_swap_with_an_error() -> None:
    async def conversation(stage: Stage) -> None:
        stage.journal.starting("b")
        stage.journal.ended("b")
        assert stage.swaps[0].error == "its server ended"
        assert stage.swaps[0].phases.load_seconds is None
        assert stage.swaps[0].reason == "its configuration changed"
        assert stage.counts.failures.values["b", "loading"] == 1

    play(conversation)


def test_a_load_that_is_cancelled_is_told_with_its_reason() -> None:
    async def conversation(stage: Stage) -> None:
        stage.journal.starting("b")
        stage.time += 3.0
        stage.models.slots["b"].displaced = Eviction("a")
        stage.journal.stopping("b", StopReason.UNWANTED)
        assert [swap.model for swap in stage.swaps] == ["b"], "told at once"
        stage.journal.ended("b")
        (swap,) = stage.history.swaps
        assert (swap.cancelled, swap.error, swap.ended_because) == (True, None, "unloaded for a")
        assert swap.total_seconds == 3.0
        assert swap.ended_at is not None
        assert stage.history.measured("b").load_seconds is None
        assert not stage.counts.failures.values

    play(conversation)


def test_an_end_that_was_ordered_is_no_failure() -> None:
    async def conversation(stage: Stage) -> None:
        for end in (StopReason.TTL, StopReason.UNLOADED):
            stage.journal.starting("b")
            stage.journal.ready("b")
            stage.journal.stopping("b", end)
            stage.journal.ended("b")
        stage.journal.starting("b")
        stage.journal.stopping("b", StopReason.UNWANTED)
        stage.journal.ended("b")
        assert not stage.counts.failures.values
        assert [(swap.error, swap.cancelled) for swap in stage.history.swaps] == [(None, False)] * 2 + [(None, True)]
        assert all(swap.ended_at is not None for swap in stage.history.swaps)

    play(conversation)


def test_a_restart_is_a_start_after_an_end_that_nobody_asked_for() -> None:
    async def conversation(stage: Stage) -> None:
        for end in (None, StopReason.CHANGED, StopReason.EVICTED, StopReason.UNLOADED):
            stage.journal.starting("b")
            stage.journal.ready("b")
            if end is not None:
                stage.journal.stopping("b", end)
            stage.journal.ended("b")
        stage.journal.starting("b")
        stage.journal.pinned("b")
        assert stage.counts.restarts.values == {("b", "died"): 1, ("b", "changed"): 1}
        assert stage.watching.changed == ["b"] * (4 * 3 + 3 + 2)

    play(conversation)


@pytest.mark.parametrize(
    ("record", "speed"),
    [
        ({"answer_ends": AnswerEnds(b'{"timings":{"predicted_n":5,"predicted_per_second":12.3456}}')}, 12.3456),
        (
            {"answer_ends": AnswerEnds(b'{"usage":{"completion_tokens":30}}'), "stream": True, "first_byte_at": 1001.0},
            10.0,
        ),
        ({"answer_ends": AnswerEnds(b'{"usage":{"completion_tokens":30}}')}, 7.5),
        ({}, None),
    ],
)
def test_tokens_per_second(record: dict[str, Any], speed: float | None) -> None:
    async def conversation(stage: Stage) -> None:
        stage.time = 1004.0
        stage.journal.finished(stage.record("a", arrived_at=1000.0, served_at=1000.0, finished_at=1004.0, **record))
        stage.journal.flush()
        assert stage.rows[0].tokens_per_second == speed

    play(conversation)


def test_what_is_no_inference_is_no_activity() -> None:
    async def conversation(stage: Stage) -> None:
        unknown = stage.record("", status=404)
        page = stage.record("a", status=200)
        page.method = "GET"
        stage.journal.finished(unknown)
        stage.journal.finished(page)
        stage.journal.flush()
        assert not stage.rows
        assert stage.counts.refusals.values["404",] == 1

    play(conversation)


def test_a_client_that_left_is_said_so() -> None:
    async def conversation(stage: Stage) -> None:
        stage.journal.finished(stage.record("a", client_left=True))
        stage.journal.flush()
        assert (stage.rows[0].status, stage.rows[0].error) == (0, "the client left")
        assert stage.rows[0].queue_seconds is None

    play(conversation)


def test_what_is_over_is_looked_at_in_batches_and_soon() -> None:
    async def conversation(stage: Stage) -> None:
        looked_at = asyncio.Event()
        stage.watching.on_row = looked_at.set
        stage.journal.finished(stage.record("a"))
        assert not looked_at.is_set()
        await looked_at.wait()
        looked_at.clear()
        for _ in range(FLUSH_RECORDS):
            stage.journal.finished(stage.record("a"))
        assert looked_at.is_set(), "a full batch does not wait"

    play(conversation)


def test_everything_that_is_counted_is_told() -> None:
    counts = Counts()
    named = [getattr(part, name) for part in (counts, counts.by_key) for name in dir(part)]
    counted = [its for its in named if isinstance(its, Counter | Histogram)]
    assert {its.name for its in counts.families} == {its.name for its in counted}
