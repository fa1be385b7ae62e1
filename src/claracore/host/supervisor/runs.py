"""Which runs of models' servers are there, what is known of each, and of the last one when it is over?

Starts them, hears how they go (`RunListener`), says so in the log and hands in the events for the loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

from claracore.core.config.model import ModelConfig
from claracore.core.scheduler.events import (
    Died,
    Ended,
    Event,
    FellAsleep,
    Lost,
    RanOut,
    Ready,
    Sleep,
    Start,
    Stop,
    Wake,
)
from claracore.errors import ClaraCoreError, ModelFailed
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.ran_out import RanOutOfMemory
from claracore.host.supervisor.runner import Outcome, RunListener, Runner, ServerRun
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")


@dataclass(frozen=True, slots=True)
class _Entry:
    model: ModelConfig
    run: ServerRun
    task: asyncio.Task[Outcome]
    ordered_at: float
    """In seconds of `time.monotonic()`."""


@dataclass(frozen=True, slots=True)
class _Stamped:
    """A model whose run failed, and what the files that its command names looked like then."""

    model: ModelConfig
    stamp: Hashable


class Runs:
    """The present run of each model that has one; a model has at most one at a time."""

    def __init__(
        self,
        runner: Runner,
        *,
        post: Callable[[Event], None],
        on_report: Callable[[str], None],
        close: Callable[[Endpoint, str], None],
        stop_opening: Callable[[Endpoint], None],
        ran_out: Callable[[ModelConfig, RanOutOfMemory], Awaitable[tuple[RanOut, RanOutOfMemory]]],
    ) -> None:
        """`post` takes what has happened, `on_report` the model that has said something new about itself.

        `close` closes every connection to an endpoint at once, and says why; `stop_opening` gives up those that are
        being opened, because who is there need not accept them. `ran_out` finds out what follows from a want of memory.
        """
        self._runner = runner
        self._post = post
        self._on_report = on_report
        self._close = close
        self._stop_opening = stop_opening
        self._find_out = ran_out
        self._entries: dict[str, _Entry] = {}
        self.endpoints: dict[str, Endpoint] = {}
        """Where each model that has become ready answers, until its run is over."""
        self._failures: dict[str, ClaraCoreError] = {}
        self._stamps: dict[str, _Stamped] = {}
        self._outputs: dict[str, OutputRing] = {}

    # --- orders -----------------------------------------------------------------------------------------------------

    def start(self, model: ModelConfig) -> None:
        """Begin a run of a model that has none; its failure of last time is forgotten."""
        run = self._runner.new_run(model, self.output(model.id), self)
        self.forget_failures({model.id})
        self._stamps.pop(model.id, None)
        logger.info("model %s: starting", model.id)
        self._begin(model, run)

    def take_over(
        self, model: ModelConfig, endpoint: Endpoint, make: Callable[[ModelConfig, OutputRing, RunListener], ServerRun]
    ) -> None:
        """Have the run that `make` returns, of a server that is ready at the endpoint."""
        self.endpoints[model.id] = endpoint
        self._begin(model, make(model, self.output(model.id), self))

    def _begin(self, model: ModelConfig, run: ServerRun) -> None:
        task = asyncio.get_running_loop().create_task(self._run(model, run), name=f"run of {model.id}")
        self._entries[model.id] = _Entry(model, run, task, time.monotonic())
        task.add_done_callback(lambda _: self._ended(model.id))

    def end(self, order: Stop | Sleep) -> None:
        """Order the end of a model's run, or that its server gives its memory back instead."""
        run = self._entries[order.model].run
        if isinstance(order, Stop):
            logger.info("model %s: stopping (%s)", order.model, order.reason)
            run.stop()
        else:
            logger.info("model %s: going to sleep (%s)", order.model, order.reason)
            run.sleep()

    def wake(self, model_id: str) -> None:
        """Order that a model's server, which sleeps, takes its memory again."""
        logger.info("model %s: waking", model_id)
        self._entries[model_id].run.wake()

    def could_not(self, order: Start | Stop | Sleep | Wake, error: Exception) -> None:
        """Have what an order was about end, since the order itself failed: its `Ended` has to come in any case."""
        entry = self._entries.get(order.model)
        if entry is not None:
            entry.run.kill()
            return
        if isinstance(order, Start):
            self._failures[order.model] = _unexpected(order.model, error)
        self._post(Ended(order.model))

    def kill(self) -> None:
        """Order the end of every run at once, however long it may take to end by itself."""
        for entry in self._entries.values():
            entry.run.kill()

    # --- for looking at ---------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[tuple[str, ServerRun]]:
        """Give each model that has a run, by id, and the run."""
        return ((model_id, entry.run) for model_id, entry in self._entries.items())

    def get(self, model_id: str) -> ServerRun | None:
        """Return the run of a model, None when it has none."""
        entry = self._entries.get(model_id)
        return entry.run if entry is not None else None

    def at(self, model_id: str, endpoint: Endpoint) -> ServerRun | None:
        """Return the run of a model that has become ready at the endpoint; None when that is over."""
        return self.get(model_id) if self.endpoints.get(model_id) == endpoint else None

    def tasks(self, model_ids: Iterable[str] | None = None) -> set[asyncio.Task[Outcome]]:
        """Return the tasks of these models' runs, or of all: each is done when its run is over."""
        wanted = self._entries if model_ids is None else model_ids
        return {self._entries[model_id].task for model_id in wanted if model_id in self._entries}

    def output(self, model_id: str) -> OutputRing:
        """Return what the servers of a model have printed."""
        return self._outputs.setdefault(model_id, OutputRing())

    def failure(self, model_id: str) -> ClaraCoreError | None:
        """Return why the last run of a model failed; None when it did not."""
        return self._failures.get(model_id)

    def forget_failures(self, model_ids: Iterable[str]) -> None:
        """Forget why these models failed."""
        for model_id in model_ids:
            self._failures.pop(model_id, None)

    async def foreseen(self, model: ModelConfig) -> ClaraCoreError | None:
        """Return with what a start of a model is sure to fail, and remember that; None when nothing is known."""
        failure = await self._runner.foreseen(model, self.output(model.id))
        if failure is not None:
            self._failed(model, failure)
        return failure

    def _failed(self, model: ModelConfig, failure: ClaraCoreError) -> None:
        self._failures[model.id] = failure
        self._stamps[model.id] = _Stamped(model, self._runner.stamp(model))
        logger.error("%s", failure)

    def has_new_files(self, model_id: str) -> bool:
        """Whether a file that a model's command names is another than when its start failed."""
        failed = self._stamps.get(model_id)
        return failed is not None and failed.stamp != self._runner.stamp(failed.model)

    # --- what a run says (`RunListener`) ----------------------------------------------------------------------------

    def ready(self, model: str, endpoint: Endpoint) -> None:
        """Hand in that the model is ready."""
        self.endpoints[model] = endpoint
        seconds = time.monotonic() - self._entries[model].ordered_at
        logger.info("model %s: ready after %.1f s, at %s", model, seconds, endpoint)
        self._post(Ready(model))

    def reported(self, model: str) -> None:
        """Call `on_report` with the model."""
        self._on_report(model)

    def fell_asleep(self, model: str) -> None:
        """Hand in that the model's server sleeps."""
        logger.info("model %s: asleep", model)
        self._post(FellAsleep(model))
        self._on_report(model)

    def awoke(self, model: str) -> None:
        """Hand in that the model is ready again."""
        logger.info("model %s: awake", model)
        self._post(Ready(model))

    def lost(self, model: str, why: str) -> None:
        """Hand in that the model's server is lost."""
        logger.warning("model %s: %s; it is stopped, and started again when it is asked for", model, why)
        self._post(Lost(model))
        self._stop_opening(self.endpoints[model])

    def died(self, model: str) -> None:
        """Hand in that the model's server has died."""
        self._post(Died(model))

    def closing(self, endpoint: Endpoint, why: str = "") -> None:
        """Have every connection to the endpoint closed, at once."""
        self._close(endpoint, why or "it is being stopped")

    async def _run(self, model: ModelConfig, run: ServerRun) -> Outcome:
        """Return how a run has gone, with who has the memory that it could not get."""
        outcome = await run.run()
        if not isinstance(outcome.failure, RanOutOfMemory):
            return outcome
        ran_out, failure = await self._find_out(model, outcome.failure)
        return replace(outcome, failure=failure, ran_out=ran_out)

    def _ended(self, model_id: str) -> None:
        entry = self._entries.pop(model_id)
        self.endpoints.pop(model_id, None)
        outcome = _outcome_of(entry)
        if outcome.failure is None:
            logger.info("model %s: stopped", model_id)
        elif outcome.lost:
            self._failures[model_id] = outcome.failure
            logger.info("model %s: stopped, since it was lost", model_id)
        else:
            self._failed(entry.model, outcome.failure)
        if outcome.ran_out is not None:
            self._post(outcome.ran_out)
        self._post(Ended(model_id))


def _outcome_of(entry: _Entry) -> Outcome:
    """Return how a run that is over went. A bug must not leave a model that is neither running nor ended."""
    if entry.task.cancelled():
        return Outcome()
    error = entry.task.exception()
    if error is None:
        return entry.task.result()
    logger.error("model %s: unexpected error", entry.model.id, exc_info=error)
    return Outcome(_unexpected(entry.model.id, error))


def _unexpected(model_id: str, error: BaseException) -> ModelFailed:
    return ModelFailed(model_id, f"unexpected {type(error).__name__}: {error}")
