"""How does the scheduler hear how much memory there is, and what models take of it?

It orders a look when somebody waits for whom that matters; each is made in a thread and answered by one event, whatever
happens. Between looks it is told what models take when that is known anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeVar

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


LONGEST_SECONDS = 10.0
"""After so long a look is given up: as if nothing could be seen, so that models run one at a time."""
NOTHING = MemorySampled((), {})
Seen = TypeVar("Seen")


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
        self._hangs = False
        """Whether a look has been given up that is not over."""

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
        wanted = tuple(models)
        if not wanted or not self._wanted():
            return
        try:
            found = await asyncio.to_thread(self._footprints, wanted)
        except Exception:
            logger.exception("what models take of memory could not be found out")
            return
        self._post(FootprintsKnown(found))

    async def ran_out(self, model: ModelConfig, failure: RanOutOfMemory) -> tuple[RanOut, RanOutOfMemory]:
        """Return what the scheduler is to know of a start that failed for want of memory, and what clients are told."""
        seen = await self._seen(lambda: self._source.ran_out(model, failure.shown), SeenShortage())
        known = failure.told(seen) if seen.words else failure
        return RanOut(model.id, seen.footprint, seen.less, seen.limited), known

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
        self._post(await self._seen(lambda: MemorySampled(self._source.devices(), self._footprints(models)), NOTHING))

    async def _seen(self, look: Callable[[], Seen], nothing: Seen) -> Seen:
        """Return what a look finds, or `nothing` where it fails or takes too long."""
        try:
            if not self._hangs:
                return await asyncio.wait_for(self._in_thread(look), LONGEST_SECONDS)
        except TimeoutError:
            self._hangs = True
            logger.error("memory cannot be seen: a device has not answered for %g s", LONGEST_SECONDS)  # noqa: TRY400
        except Exception:
            logger.exception("memory could not be looked at")
        return nothing

    def _in_thread(self, look: Callable[[], Seen]) -> asyncio.Future[Seen]:
        """Look in a thread of its own: a driver that hangs must not keep ClaraCore from ending."""
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[Seen] = loop.create_future()

        def tell(found: Seen | Exception) -> None:
            self._hangs = False
            if seen.done():  # it was waited for too long
                return
            if isinstance(found, Exception):
                seen.set_exception(found)
            else:
                seen.set_result(found)

        def run() -> None:
            found: Seen | Exception
            try:
                found = look()
            except Exception as error:  # noqa: BLE001 - told by who waits
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=run, name="look at memory", daemon=True).start()
        return seen

    def _footprints(self, models: tuple[str, ...]) -> dict[str, Footprint]:
        return {model: self._source.footprint(model) for model in models}

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name="look at memory")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
