"""How is a model run that several machines run together?

A run that is made of others: rank 0 is a run of this machine, as of any model, and has the one endpoint; the ranks on
other machines are had through `host.cluster.rank_holder`. What follows from what is decided by `core.cluster.assembly`;
here it is carried out. For the scheduler it is one run, so that ttl, groups, swap and unload need not know of ranks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, assert_never

from claracore.core.cluster.assembly import (
    AllOver,
    AskRank,
    Assembly,
    AssemblyEvent,
    AssemblyOrder,
    AssemblyPhase,
    EndAsked,
    EndMaster,
    MasterEnded,
    MasterReady,
    RankGone,
    RankRefused,
    ReleaseRank,
    StartMaster,
    TellReady,
)
from claracore.core.cluster.model import NodeState
from claracore.core.config.model import ModelConfig
from claracore.core.config.ranks import (
    RankPlace,
    master_port_name,
    rank_entry,
    rank_name,
    rank_zero,
    uses_master_port,
)
from claracore.core.ports.listen import bracketed
from claracore.errors import ClaraCoreError, ModelFailed
from claracore.host.cluster.crews import Crews, master_address
from claracore.host.cluster.rank_holder import RankHolder, RankWish
from claracore.host.logs.output import OutputRing
from claracore.host.sockets.ports import Lease, PortKeeper
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.rank_zero import OfMaster
from claracore.host.supervisor.runner import Outcome, RunListener, Runner, ServerRun
from claracore.host.supervisor.running import Running
from claracore.host.supervisor.stop_order import StopOrder
from claracore.types import Endpoint, ModelState

logger = logging.getLogger("claracore.supervisor")

RETRY_AFTER_SECONDS: Final = 2
LOOK_SECONDS: Final = 3.0
"""For so long is waited for word of the ranks when rank 0 has ended by itself."""


class RankFailed(ClaraCoreError):
    """A machine that runs the model together with others did not start its rank, or has lost it; 502."""

    status = 502
    code = "rank_failed"
    cause = "One of the machines that run the model together (`nodes`) did not start its part, or has lost it."
    way_out = "The message names the machine and its reason; the next request starts all of them anew."


@dataclass(frozen=True, slots=True)
class SpreadRuns:
    """What runs of models on several machines need."""

    local: Runner
    crews: Crews
    keeper: PortKeeper
    head: str
    """Names this ClaraCore, over its restarts."""
    web_port: int


class SpreadRun:
    """A `ServerRun` of a model on several machines."""

    def __init__(self, model: ModelConfig, around: SpreadRuns, output: OutputRing, listener: RunListener) -> None:
        self._model = model
        self._around = around
        self._output = output
        self._listener = listener
        self._stop = StopOrder()
        self._start = secrets.token_hex(8)
        self._assembly: Assembly | None = None
        self._addresses: dict[str, str] = {}
        self._master = RankPlace("")
        self._lease: Lease | None = None
        self._life: ServerRun | None = None
        self._outcome = Outcome()
        self._endpoint: Endpoint | None = None
        self._holders: dict[int, RankHolder] = {}
        self._watched: dict[str, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def restartable(self) -> bool:
        """Whether requests may wait for another start: as rank 0 says."""
        return self._life is None or self._life.restartable

    async def run(self) -> Outcome:
        """Return when nothing of the model runs any more, here or elsewhere."""
        try:
            able, self._addresses = await self._around.crews.able(self._model, self._start)
            self._master = await self._meeting_place(able[0])
            self._assembly = Assembly(self._model.nodes - 1, able)
            self._perform(self._assembly.begin())
            if self._stop.given:
                self._post(EndAsked())
            await self._over.wait()
        except ClaraCoreError as error:
            return Outcome(None if self._stop.given else error)
        finally:
            await self._closed()
        return self._how(self._assembly)

    async def _meeting_place(self, node: str) -> RankPlace:
        """Lease the port at which the ranks find rank 0. Raises PortTaken."""
        if uses_master_port(self._model):
            self._lease = self._around.keeper.lease(master_port_name(self._model.id), can_share=False)
        address = await master_address(self._addresses[node])
        return RankPlace(address, self._lease.port if self._lease is not None else 0)

    def _how(self, assembly: Assembly) -> Outcome:
        outcome = self._outcome
        if not assembly.failure or outcome.failure is not None:
            return replace(outcome, lost=outcome.lost or assembly.lost)
        if assembly.short:
            return Outcome(self._around.crews.short(self._model, assembly.refused))
        return Outcome(RankFailed(self._why, retry_after_seconds=RETRY_AFTER_SECONDS), lost=assembly.lost)

    @property
    def _why(self) -> str:
        why = self._assembly.failure if self._assembly is not None else ""
        return f"model {self._model.id!r} runs on {self._model.nodes} machines or not at all: {why}"

    # --- events and orders ------------------------------------------------------------------------------------------

    def _post(self, event: AssemblyEvent) -> None:
        assembly = self._assembly
        if assembly is None:
            return
        if isinstance(event, RankGone | RankRefused):
            self._forget(event.rank)
        was = assembly.phase
        orders = assembly.handle(event)
        if was is AssemblyPhase.READY and assembly.phase is AssemblyPhase.ENDING and assembly.failure:
            self._tell_lost()
        if assembly.phase is AssemblyPhase.ENDING:
            self._ending.set()
        self._perform(orders)
        self._listener.reported(self._model.id)

    def _tell_lost(self) -> None:
        """Have answers under way end with the reason, and no others begin."""
        if self._endpoint is not None and self._outcome.failure is None:
            self._listener.closing(self._endpoint, self._why)
            self._listener.lost(self._model.id, self._why)

    def _perform(self, orders: list[AssemblyOrder]) -> None:
        for order in orders:
            match order:
                case AskRank(rank, node):
                    self._ask(rank, node)
                case ReleaseRank(rank):
                    self._release(self._holders[rank])
                case StartMaster():
                    self._begin(self._run_master(), "rank 0")
                case TellReady():
                    if self._endpoint is not None:
                        self._listener.ready(self._model.id, self._endpoint)
                case EndMaster():
                    self._end_master()
                case AllOver():
                    self._over.set()
                case _:
                    assert_never(order)

    def _ask(self, rank: int, node: str) -> None:
        crews, model = self._around.crews, self._model
        peer, address = crews.peer(node), self._addresses[node]
        if peer is None or not crews.take(node, model.id):
            why = "it is followed no more" if peer is None else "another model runs there meanwhile"
            asyncio.get_running_loop().call_soon(self._post, RankRefused(rank, why))
            return
        web = f"http://{bracketed(self._master.address)}:{self._around.web_port}"
        entry = rank_entry(model, rank, self._master, address, web)
        wish = RankWish(rank_name(model.id, rank), model.id, self._around.head, self._start, entry)
        holder = self._holders[rank] = RankHolder(rank, wish, peer, address, self._post)
        self._watched[node] = watcher = partial(self._look_at, node, holder)
        crews.cluster.watch(node, watcher)
        self._begin(holder.run(), f"rank {rank}")

    def _release(self, holder: RankHolder) -> None:
        # A rank that had met rank 0 looks for it no more when it has gone: it cannot disturb the next start, which has
        # another machine. One that had not yet could still join it there, so that its lease is waited for.
        is_harmless = holder.is_silent and self._assembly is not None and self._assembly.lost
        holder.release(at_once=self._stop.at_once or is_harmless)

    def _look_at(self, node: str, holder: RankHolder) -> None:
        found = self._around.crews.cluster.nodes.get(node)
        if found is None or found.state is NodeState.LOST:
            holder.machine_lost(found.why if found is not None else "it is followed no more")

    def _forget(self, rank: int) -> None:
        node = self._assembly.nodes.get(rank) if self._assembly is not None else None
        if node is not None:
            self._around.crews.free(node, self._model.id)
            if (watcher := self._watched.pop(node, None)) is not None:
                self._around.crews.cluster.unwatch(node, watcher)

    def _end_master(self) -> None:
        if self._life is None:
            return
        if self._stop.at_once:
            self._life.kill()
        else:
            self._life.stop()

    # --- rank 0 -----------------------------------------------------------------------------------------------------

    async def _run_master(self) -> None:
        try:
            outcome = await self._master_outcome()
        except Exception as error:  # a bug of ours must not leave a model that neither runs nor ends
            logger.exception("model %s: unexpected error", self._model.id)
            outcome = Outcome(ModelFailed(self._model.id, f"unexpected {type(error).__name__}: {error}"))
        if outcome.failure is not None and not self._is_ending:
            # A rank that has ended before it is the reason, and says so.
            await asyncio.wait({asyncio.ensure_future(self._looked_at_ranks())}, timeout=LOOK_SECONDS)
        if outcome.failure is not None and not self._is_ending:
            self._outcome = outcome
        self._post(MasterEnded(outcome.failure.message if outcome.failure is not None else ""))

    async def _master_outcome(self) -> Outcome:
        nodes = self._assembly.nodes if self._assembly is not None else {}
        places = {
            rank: RankPlace(self._addresses[nodes[rank]], each.port)
            for rank, each in self._holders.items()
            if rank in nodes
        }
        if self._lease is not None:
            self._around.keeper.hand_over(self._lease)
        model = rank_zero(self._model, self._master, places)
        self._life = self._around.local.new_run(model, self._output, OfMaster(self._master_ready, self._listener))
        if self._is_ending:
            self._life.stop()
        return await self._life.run()

    async def _looked_at_ranks(self) -> None:
        await asyncio.gather(*(holder.look() for holder in self._holders.values()))

    @property
    def _is_ending(self) -> bool:
        return self._assembly is not None and self._assembly.phase is AssemblyPhase.ENDING

    def _master_ready(self, endpoint: Endpoint) -> None:
        """Take in that rank 0 answers."""
        self._endpoint = endpoint
        self._post(MasterReady())

    # --- what is asked of it ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Order the end of all ranks."""
        self._stop.give()
        self._post(EndAsked())

    def kill(self) -> None:
        """Order it without any grace."""
        self._stop.give(at_once=True)
        self._post(EndAsked())
        self._end_master()
        for holder in self._holders.values():
            if holder.is_released:
                holder.release(at_once=True)

    def sleep(self) -> None:
        """Have rank 0 sleep, which has the others do so; without a word for that, the end."""
        if self._life is not None:
            self._life.sleep()

    def wake(self) -> None:
        """Have rank 0 wake."""
        if self._life is not None:
            self._life.wake()

    def running(self, state: ModelState) -> Running:
        """Return how it is now: as rank 0 is, or which machines are waited for."""
        assembly = self._assembly
        ranks = assembly.nodes if assembly is not None else {}
        if self._life is not None:
            return replace(self._life.running(state), ranks=ranks)
        waits_for = assembly.waits_for if assembly is not None else ()
        waiting = Loading(f"starting on {', '.join(waits_for)}") if waits_for else None
        return Running(state, loading=waiting, ranks=ranks)

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection can have reached nobody but rank 0."""
        return self._life is not None and await self._life.reaches(connection)

    async def confirm(self) -> bool:
        """Look anew at who answers for rank 0."""
        return self._life is not None and await self._life.confirm()

    async def why_lost(self) -> str:
        """Return why an answer has broken off that rank 0 gave: a rank may be the reason; empty where none is."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), LOOK_SECONDS)
        return self._why if self._assembly is not None and self._assembly.failure else ""

    # --- the end ----------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{what} of {self._model.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _closed(self) -> None:
        """Leave nothing behind, also where a task of ours has failed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for rank in tuple(self._assembly.nodes if self._assembly is not None else ()):
            self._forget(rank)
        self._let_go()

    def _let_go(self) -> None:
        self._around.crews.end(self._model.id, self._start)
        if self._lease is not None:
            self._around.keeper.give_back(self._lease)
            self._lease = None
