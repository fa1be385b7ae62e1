"""Which ranks of other machines' models run here, for whom, and for how long?

A rank is one more model of the configuration in force, in memory only, for as long as its head asks for it: nothing of
it outlives a restart, and a head that dies is heard of by its silence. This machine's scheduler decides about its start
as about any other; then it is pinned, for nobody asks it anything. One rank at a time: whoever has it, has the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from claracore.errors import ClaraCoreError, ConfigError, Conflict, NotFound
from claracore.host.supervisor.running import Running
from claracore.types import ModelState

logger = logging.getLogger("claracore.cluster")

LONGEST_LEASE_SECONDS: Final = 60.0
MOST_OVER: Final = 100
ENDING_SECONDS: Final = 1.0
"""For so long is waited for what is known of the end of a rank when it has ended."""

RankTexts = tuple[tuple[str, str], ...]
"""Texts of configuration beside the files, each with a name."""


class MachineTaken(Conflict):
    """This machine runs a rank of another model already; 409."""

    code = "machine_taken"
    cause = "The machine runs a rank of another model, or for another head."
    way_out = "Unload that model, or ask when it is not used any more."


class RankModels(Protocol):
    """What is asked of the supervisor."""

    async def load(self, model_id: str) -> None:
        """Return when the model is ready. Raises what a request for it would be refused with."""

    async def unload(self, model_ids: Iterable[str]) -> None:
        """Return when none of the models' present servers runs any more."""

    def pin(self, model_id: str, *, pinned: bool) -> None:
        """Keep a model loaded whatever its ttl and whoever else is asked for, or let it go again."""

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model."""

    def failure(self, model_id: str) -> ClaraCoreError | None:
        """Return why the last run of a model failed."""

    def running(self, model_id: str) -> Running | None:
        """Return how the model's server is now; None when there is none."""


@dataclass(frozen=True, slots=True)
class RankOrder:
    """What a head wants here."""

    model: str
    head: str
    start: str
    entry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldRank:
    """How a rank is: `starting`, `ready` or `ended`, with why it has ended, and the port at which it listens."""

    state: Literal["starting", "ready", "ended"]
    why: str = ""
    port: int | None = None


@dataclass(slots=True)
class _Held:
    name: str
    order: RankOrder
    lease: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    was_ready: bool = False
    why: str | None = None
    """Why it has ended; None while it has not."""


class HeldRanks:
    """The ranks that run here for other machines."""

    def __init__(self, models: RankModels, configure: Callable[[RankTexts], Awaitable[None]]) -> None:
        """`configure` has these texts be part of the configuration in force. Raises ConfigError, FileUnusable."""
        self._models = models
        self._configure = configure
        self._held: dict[str, _Held] = {}
        self._over: deque[str] = deque(maxlen=MOST_OVER)
        """Starts of which nothing is to run here any more: who asks late does not begin again."""
        self._turn = asyncio.Lock()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> frozenset[str]:
        """What they are called here."""
        return frozenset(self._held)

    def port(self, name: str, running: Running | None) -> int | None:
        """Return the port of a model's server; None for a rank that listens nowhere: its endpoint is its head's."""
        held = self._held.get(name)
        is_own = held is None or "${PORT}" in str(held.order.entry.get("cmd"))
        return running.port if running is not None and is_own else None

    async def hold(self, name: str, order: RankOrder, lease_seconds: float, *, begin: bool) -> HeldRank:
        """Have a rank for so long from now, and begin with it where that is wanted.

        Raises MachineTaken, and NotFound where it does not run and is not to begin: another process may have run it,
        and the other ranks do not know the one that would begin now.
        """
        held = self._held.get(name)
        if order.start in self._over:
            return HeldRank("ended", "it was released, or a later start has taken its place")
        if held is None or held.order.start != order.start:
            if not begin:
                raise NotFound("it runs there no more: ClaraCore was started again there")
            held = self._begin(name, order)
        if held.lease is not None:
            held.lease.cancel()
        seconds = min(lease_seconds, LONGEST_LEASE_SECONDS)
        held.lease = asyncio.get_running_loop().call_later(seconds, self._forsaken, held, seconds)
        if held.was_ready and self._models.state(name) is ModelState.STOPPING:
            with contextlib.suppress(TimeoutError):  # why it ends is known when it has ended
                await asyncio.wait_for(self._models.unload([name]), ENDING_SECONDS)
        return self._view(held)

    async def release(self, name: str, start: str) -> None:
        """Return when nothing of a rank runs here any more. Raises NotFound for one that is not here."""
        held = self._held.get(name)
        if held is None or held.order.start != start:
            self._over.append(start)
            raise NotFound(f"there is no rank {name!r} of that start here")
        await self._end(held)

    def _begin(self, name: str, order: RankOrder) -> _Held:
        for other in self._held.values():
            if other.order.head != order.head or other.name != name:
                raise MachineTaken(f"it runs a rank of model {other.order.model!r}", retry_after_seconds=10)
        former = self._held.get(name)
        if former is not None:
            self._over.append(former.order.start)
        held = self._held[name] = _Held(name, order)
        logger.info("rank %s: begun for another machine's model %s", name, order.model)
        held.task = asyncio.get_running_loop().create_task(self._run(held, former), name=f"hold {name}")
        return held

    async def _run(self, held: _Held, former: _Held | None) -> None:
        """Have it loaded; an earlier start of the same head gives way first."""
        try:
            if former is not None:
                await self._ended(former)
            async with self._turn:
                await self._configure(_texts([held]))
                self._models.pin(held.name, pinned=True)
            await self._models.load(held.name)
            held.was_ready = True
        except ConfigError as error:
            held.why = "; ".join(f"{found.path}: {found.message}" for found in error.findings) or error.message
        except ClaraCoreError as error:
            held.why = error.message

    def _view(self, held: _Held) -> HeldRank:
        if held.why is None and held.was_ready and self._models.state(held.name) is not ModelState.READY:
            failure = self._models.failure(held.name)
            held.why = failure.message if failure is not None else "it was stopped there"
        if held.why is not None:
            return HeldRank("ended", held.why)
        if not held.was_ready:
            return HeldRank("starting")
        return HeldRank("ready", port=self.port(held.name, self._models.running(held.name)))

    def _forsaken(self, held: _Held, seconds: float) -> None:
        logger.warning("rank %s: nobody has asked for it in %.0f s; it ends", held.name, seconds)
        task = asyncio.get_running_loop().create_task(self._end(held), name=f"end {held.name}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _end(self, held: _Held) -> None:
        """Return when nothing of it runs; its place is free then."""
        await self._ended(held)
        if self._held.get(held.name) is held:
            del self._held[held.name]
            async with self._turn:
                await self._configure(_texts(self._held.values()))

    async def _ended(self, held: _Held) -> None:
        self._over.append(held.order.start)
        if held.lease is not None:
            held.lease.cancel()
        if held.task is not None:
            held.task.cancel()
            await asyncio.gather(held.task, return_exceptions=True)
        held.why = held.why or "it was released"
        self._models.pin(held.name, pinned=False)
        await self._models.unload([held.name])

    async def close(self) -> None:
        """Hold nothing any more: the supervisor ends what runs."""
        for held in self._held.values():
            if held.lease is not None:
                held.lease.cancel()
            if held.task is not None:
                held.task.cancel()
        tasks = [held.task for held in self._held.values() if held.task is not None]
        await asyncio.gather(*tasks, *self._endings, return_exceptions=True)


def _texts(ranks: Iterable[_Held]) -> RankTexts:
    return tuple(
        (f"rank {held.name} of another machine", json.dumps({"models": {held.name: held.order.entry}}))
        for held in ranks
    )
