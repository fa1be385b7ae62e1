"""How is one model tuned: started with one tuning after another, asked, stopped, and left as it was?

By the supervisor, as every model is: it gives the port, verifies who answers, makes room by the rules of the
configuration and ends the server. For a trial the supervisor has the model with another command; the configuration
itself does not change. A request for the model that comes in between is served by whichever run there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from claracore.core.config.model import Config, ModelConfig
from claracore.core.tune.lines import note_line, result_line, trial_line, trying_line
from claracore.core.tune.search import next_tuning
from claracore.core.tune.tuning import Speeds, Trial, Tuning
from claracore.errors import ClaraCoreError, Conflict
from claracore.host.supervisor.loop import Supervisor
from claracore.host.tune.asking import Question, Questioner
from claracore.host.tune.case import Tunable
from claracore.types import Endpoint, ModelState

BUSY_PART = 0.5
"""Of the processors: more that computed in the last minute disturb what is measured."""


@dataclass(frozen=True, slots=True)
class EndpointWaiter:
    """A request that has a model loaded, and keeps it so until it is finished (`supervisor.contract.Waiter`)."""

    ready: asyncio.Future[Endpoint]

    def serve(self, endpoint: Endpoint) -> None:
        """Complete `ready`: the model's server answers there."""
        if not self.ready.done():
            self.ready.set_result(endpoint)

    def refuse(self, error: ClaraCoreError) -> None:
        """Fail `ready` with the error."""
        if not self.ready.done():
            self.ready.set_exception(error)


@dataclass(slots=True)
class Tuner:
    """Tunes one model; `config` is what is in force, asked anew before each trial."""

    supervisor: Supervisor
    config: Callable[[], Config]
    tunable: Tunable
    seconds: float
    """For how long trials are begun."""
    trials: list[Trial] = field(default_factory=list)
    _question: Question | None = None

    async def lines(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what is tried, what came of it, and at the end what is best; then the model is as it was.

        Raises Conflict when the configuration changes meanwhile, and what a first start fails with.
        """
        loop = asyncio.get_running_loop()
        began, config = loop.time(), self.config()
        was_loaded = self.supervisor.state(self.tunable.model.id) is not ModelState.STOPPED
        complete = False
        if (busy := _busy(self.tunable.case.logical)) is not None:
            yield note_line(busy)
        try:
            while (tuning := await self._next(loop.time() - began)) is not None:
                number = len(self.trials) + 1
                yield trying_line(number, tuning)
                self.trials.append(await self._trial(config, tuning))
                yield trial_line(number, self.trials[-1])
            complete = True
        finally:
            await self._restore(was_loaded=was_loaded)
        yield result_line(self.trials, complete=complete)

    async def _next(self, spent_seconds: float) -> Tuning | None:
        count = len(self.trials)
        left = int((self.seconds - spent_seconds) * count / spent_seconds) if count else 1
        case = self.tunable.asked_with(self._question.read) if self._question is not None else self.tunable.case
        # In a thread: what a tuning takes is counted from the model's header.
        return await asyncio.to_thread(next_tuning, case, self.trials, left)

    async def _trial(self, config: Config, tuning: Tuning) -> Trial:
        if self.config() is not config:
            raise Conflict("the configuration has changed while the model was being tuned")
        self._use(config, self.tunable.with_tuning(tuning))
        try:
            return Trial(tuning, await self._measured())
        except ClaraCoreError as error:
            return Trial(tuning, None, error.message)
        except (OSError, EOFError, ValueError) as error:
            return Trial(tuning, None, str(error) or "it did not answer in time")

    async def _measured(self) -> Speeds:
        async with self._loaded() as endpoint:
            model_id = self.tunable.model.id
            questioner = Questioner(
                endpoint,
                lambda connection: self.supervisor.reaches(model_id, endpoint, connection),
                embeds=self.tunable.embeds,
            )
            if self._question is None:
                self._question = await questioner.fitting(self.tunable.case.most_tokens)
            return await questioner.best(self._question)

    @contextlib.asynccontextmanager
    async def _loaded(self) -> AsyncIterator[Endpoint]:
        """Have the model loaded for the length of a block."""
        waiter = EndpointWaiter(asyncio.get_running_loop().create_future())
        request = self.supervisor.arrive(self.tunable.model.id, waiter, by_hand=True)
        try:
            yield await waiter.ready
        finally:
            self.supervisor.finish(request)

    def _use(self, config: Config, model: ModelConfig) -> None:
        models = {**config.models, model.id: model}
        self.supervisor.reconfigure(config.model_copy(update={"models": models}), frozenset({model.id}))

    async def _restore(self, *, was_loaded: bool) -> None:
        """Let the supervisor have what the configuration says: it starts the model anew, if it was loaded before."""
        model_id = self.tunable.model.id
        try:
            if not was_loaded:
                await self.supervisor.unload([model_id])
        finally:
            config = self.config()
            self.supervisor.reconfigure(config, frozenset({model_id} & config.models.keys()))


def _busy(processors: int) -> str | None:
    """Return what to say of a machine on which others compute; None when it is quiet, or does not tell."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        return None
    if load < BUSY_PART * processors:
        return None
    return f"this machine is busy (load {load:.1f} on {processors} processors): numbers will jump"
