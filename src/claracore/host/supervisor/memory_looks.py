"""How does the scheduler hear how much memory there is, and what models take of it?

It orders a look when somebody waits for whom that matters; each is made in a thread and answered by one event, whatever
happens. Between looks it is told what models take when that is known anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from claracore.core.config.model import ModelConfig
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, DeviceMemory, Footprint
from claracore.core.memory.shortage import shortage_words
from claracore.core.scheduler.events import Event, FootprintsKnown, MemorySampled, RanOut, SecondTry
from claracore.core.scheduler.known_memory import RETURN_SECONDS
from claracore.core.units import gib
from claracore.host.logs.findings import log_findings
from claracore.host.supervisor.ran_out import RanOutOfMemory, SeenShortage, StartShown
from claracore.types import Finding

logger = logging.getLogger("claracore.supervisor")


class MemorySource(Protocol):
    """Who sees memory. Called in threads, perhaps in several at once; may take its time."""

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Return each device as it is now; those that cannot be seen are left out."""

    def footprint(self, model_id: str) -> Footprint:
        """Return what a model takes by all that is known now; of source `unknown` for one that is not configured."""

    def ran_out(self, model: ModelConfig, shown: StartShown) -> SeenShortage:
        """Take in that a model was started like this and ran out of memory; returns what follows."""

    def lessen(self, model_id: str) -> None:
        """Have a model that ran out of memory started with less from now on. Called in the event loop; quick."""

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """Return a model as it is started: with less than configured, if that is so. In the event loop; quick."""


class NothingSeen:
    """Where nobody looks: no device is seen, and nothing is known of any model."""

    def devices(self) -> tuple[DeviceMemory, ...]:
        """Return none."""
        return ()

    def footprint(self, model_id: str) -> Footprint:
        """Return that it is not known."""
        del model_id
        return UNKNOWN_FOOTPRINT

    def ran_out(self, model: ModelConfig, shown: StartShown) -> SeenShortage:
        """Return what the server has said."""
        del model
        return SeenShortage(words=shortage_words(shown.error, None, is_ours=False))

    def lessen(self, model_id: str) -> None:
        """Do nothing."""

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """Return it as it is."""
        return model


class MemoryLooks:
    """Looks at memory when it is told to, and hands in what was seen."""

    def __init__(self, source: MemorySource, post: Callable[[Event], None], *, wanted: Callable[[], bool]) -> None:
        """`post` takes what was seen; `wanted` says whether memory decides about anything."""
        self._source = source
        self._post = post
        self._wanted = wanted
        self._to_learn: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def measure(self, models: Iterable[str]) -> None:
        """Look at the devices and these models, and hand in one `MemorySampled`."""
        self._spawn(self._measure(tuple(models)))

    def learn_soon(self, *models: str) -> None:
        """Hand in what these models take when that has been found out."""
        if self._wanted():
            if not self._to_learn:
                self._spawn(self._learn_what_is_new())
            self._to_learn.update(models)

    async def learn(self, models: Iterable[str]) -> None:
        """Find out what these models take, and hand it in."""
        if not self._wanted():
            return
        wanted = tuple(models)
        try:
            found = await asyncio.to_thread(self._footprints, wanted)
        except Exception:
            logger.exception("what models take of memory could not be found out")
            return
        self._post(FootprintsKnown(found))

    async def ran_out(self, model: ModelConfig, failure: RanOutOfMemory) -> tuple[RanOut, RanOutOfMemory]:
        """Return what the scheduler is to know of a start that failed for want of memory, and what clients are told."""
        try:
            seen = await asyncio.to_thread(self._source.ran_out, model, failure.shown)
        except Exception:
            logger.exception("it could not be found out who has the memory that model %s lacks", model.id)
            return RanOut(model.id, UNKNOWN_FOOTPRINT), failure
        return RanOut(model.id, seen.footprint, seen.less), failure.explained(seen.words)

    def try_again(self, model: str, how: SecondTry) -> None:
        """Take in that a model is started once more that ran out of memory."""
        logger.warning("model %s: once more: %s", model, how)
        if how is SecondTry.LESSENED:
            self._source.lessen(model)

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """Return a model as it is started: with less than configured, where memory was short for that."""
        return self._source.as_started(model)

    def tell_missing(self, missing: Mapping[str, int]) -> None:
        """Say that memory did not come back in time, in bytes by device."""
        sizes = " and ".join(f"{gib(size)} of {device}" for device, size in missing.items())
        message = f"{sizes} that models which have ended held did not come back within {RETURN_SECONDS:g} s"
        way_out = "it counts as used by other programs from now on; see whether a process was left behind"
        log_findings([Finding("warning", message, way_out=way_out)])

    def cancel(self) -> None:
        """Give up what is under way; nothing is handed in any more."""
        for task in self._tasks:
            task.cancel()

    async def _learn_what_is_new(self) -> None:
        models, self._to_learn = sorted(self._to_learn), set()
        await self.learn(models)

    async def _measure(self, models: tuple[str, ...]) -> None:
        try:
            devices, footprints = await asyncio.to_thread(self._look, models)
        except Exception:
            logger.exception("memory could not be looked at")
            devices, footprints = (), {}
        self._post(MemorySampled(devices, footprints))

    def _look(self, models: tuple[str, ...]) -> tuple[tuple[DeviceMemory, ...], Mapping[str, Footprint]]:
        return self._source.devices(), self._footprints(models)

    def _footprints(self, models: tuple[str, ...]) -> dict[str, Footprint]:
        return {model: self._source.footprint(model) for model in models}

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name="look at memory")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
