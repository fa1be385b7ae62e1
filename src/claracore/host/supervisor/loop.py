"""THE loop: what happens becomes events, the scheduler decides, its orders are carried out.

Requests, ends of processes, timers, reloads and API calls all come through `_post`. Each event is handled to its end
before the next; what an order causes at once (a client that is already gone) queues behind. Whatever is slow is a task
of `runs`, which hands in events as it goes.

Every event, its time and its orders are logged once, at debug level, and before the first the policy; `claracore
replay` reads this record (`scheduler/record`). It is written beside what happens and changes nothing of it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import assert_never

from claracore.core.config.model import Config
from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Ended,
    Event,
    FilesChanged,
    Finished,
    KeepAsked,
    LookAhead,
    LookedAhead,
    Measure,
    Order,
    Pinned,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    Serve,
    ShutdownAsked,
    Sleep,
    Start,
    Stop,
    TellMissing,
    TimePassed,
    TryAgain,
    UnloadAsked,
    Wake,
)
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.policy_from_config import policy_of
from claracore.errors import ClaraCoreError, ModelNotFound, ShuttingDown, UpstreamFailed
from claracore.host.supervisor.contract import Connections, ModelListener, NoConnections, Waiter
from claracore.host.supervisor.foresight import Foresight
from claracore.host.supervisor.listeners import ModelListeners
from claracore.host.supervisor.memory_looks import NOTHING, MemoryLooks, MemorySource, NothingSeen
from claracore.host.supervisor.refusals import circumstances, plain_refusal, refusal
from claracore.host.supervisor.runner import ExplainedRun, Runner
from claracore.host.supervisor.runs import Runs
from claracore.host.supervisor.succession import Succession
from claracore.host.supervisor.waiting import LoadWaiter, WaitingRequest
from claracore.host.supervisor.wake import WakeTimer
from claracore.types import Endpoint

logger = logging.getLogger("claracore.supervisor")
_RECORD = "%r %s -> %s"


class Supervisor(Succession):
    """Starts, swaps and stops the models of one configuration, and serves or refuses the requests for them."""

    def __init__(self, config: Config, runner: Runner, memory: MemorySource | None = None) -> None:
        self.config = config
        self._connections: Connections = NoConnections()
        self._listeners = ModelListeners()
        self._loop = asyncio.get_running_loop()
        policy = policy_of(config)
        self._scheduler = Scheduler(policy)
        self._first_policy: Policy | None = policy  # until the first event, before which it is recorded
        self._request_ids = itertools.count(1)
        self._waiting: dict[int, WaitingRequest] = {}
        self.looks = MemoryLooks(memory or NothingSeen(), self._post, wanted=lambda: self.by_memory)
        self._runs = Runs(
            runner,
            post=self._post,
            on_report=lambda model: self._listeners.reported(model),  # noqa: PLW0108 - `follow` comes later
            ran_out=self.looks.ran_out,
            close=lambda endpoint, why: self._connections.close_endpoint(endpoint, why),  # noqa: PLW0108 - `connect` comes later
            stop_opening=lambda endpoint: self._connections.stop_opening(endpoint),  # noqa: PLW0108 - as above
        )
        self._foresight = Foresight(self._runs, self._post)
        self._endpoints = self._runs.endpoints
        self.expected_load: Callable[[str], ExpectedLoad] = lambda _model_id: NOTHING_EXPECTED
        """How a model's load stands, or would go that begins now, as far as that is known (`host.loading`)."""
        self._events: deque[Event] = deque()
        self._handling = False
        self._wake = WakeTimer(lambda: self._post(TimePassed()))

    def follow(self, listener: ModelListener) -> None:
        """Tell a listener, in place of the former one, what becomes of model servers from now on."""
        self._listeners = ModelListeners(listener)

    def connect(self, connections: Connections) -> None:
        """Have these connections closed when their servers are stopped or lost; there is one such part."""
        self._connections = connections

    # --- what requests call ---------------------------------------------------------------------------------------

    def arrive(self, model_id: str, waiter: Waiter, *, by_hand: bool = False) -> int:
        """Take a request in and return its id; a method of `waiter` may be called before this returns.

        One that a person makes `by_hand` has a model tried again whose start has just failed.
        """
        request = next(self._request_ids)
        # Without an event and its orders, which cost 5 us: the scheduler is asked the same in both cases. While events
        # are handled it has to wait for its turn.
        if not self._handling and self._scheduler.admit(request, model_id):
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug(_RECORD, self._loop.time(), Arrived(request, model_id, by_hand), [Serve(request)])
            self._give(waiter, model_id, request)
            return request
        now = self._loop.time()
        if self._scheduler.failing(model_id, now) and self._runs.has_new_files(model_id):
            self._post(FilesChanged(model_id))
        self._waiting[request] = WaitingRequest(waiter, model_id, now)
        self._post(Arrived(request, model_id, by_hand))
        if request in self._waiting:
            self._listeners.waiting(model_id)
        return request

    def finish(self, request_id: int) -> None:
        """Forget a request that is over: answered, failed, or left by its client while it waited."""
        now = self._loop.time()
        if not self._handling and self._scheduler.release(request_id, now):
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug(_RECORD, now, Finished(request_id), [])
            self._wake.by(self._scheduler.next_deadline())
            return
        self._waiting.pop(request_id, None)
        self._post(Finished(request_id))

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened to the endpoint can only have reached the server that was verified there.

        True as well where that cannot be verified: the server is somebody else's, or on another machine.
        """
        run = self._runs.at(model_id, endpoint)
        return run is not None and await run.reaches(connection)

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        """Look anew at who answers at the endpoint; False when it is not, or no longer, the model's ready server."""
        run = self._runs.at(model_id, endpoint)
        return run is not None and await run.confirm()

    async def why_lost(self, model_id: str, endpoint: Endpoint) -> str:
        """Return why a server that several machines run has broken off an answer; empty when no more is known."""
        run = self._runs.at(model_id, endpoint)
        return await run.why_lost() if isinstance(run, ExplainedRun) else ""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request wait again that was to go to the endpoint and could not: no byte of it has left.

        Instead of `finish`; a method of `waiter` is called again, perhaps before this returns. False, and nothing is
        changed, where the server is not ours to start again.
        """
        run = self._runs.at(model_id, endpoint)
        if run is not None and not run.restartable:
            return False
        self._waiting[request_id] = WaitingRequest(waiter, model_id, self._loop.time())
        self._post(Returned(request_id, model_id))
        return True

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        """Return where a model is reached by what neither waits nor counts: its server may be stopped all the same.

        None when it is not ready, or is not to be much longer. Nobody calls `finish` for it.
        """
        slot = self._scheduler.slots.get(model_id)
        if slot is None or not slot.is_up or slot.leaving is not None:
            return None
        return self._endpoints[model_id]

    # --- what people and the API call -----------------------------------------------------------------------------

    async def load(self, model_id: str) -> None:
        """Return when the model is ready. Raises what a request for it would be refused with."""
        if model_id not in self.config.models:
            raise ModelNotFound(model_id, self.config.models)
        if self._given_away:
            raise ShuttingDown("another process has taken over; ask again")
        if self.ready_endpoint(model_id) is not None:
            return  # however busy it is
        ready = LoadWaiter(self._loop.create_future())
        request = self.arrive(model_id, ready, by_hand=True)
        try:
            await ready.done
        finally:
            self.finish(request)

    async def unload(self, model_ids: Iterable[str]) -> None:
        """Return when none of the models' present servers runs any more. Answers in progress may end first."""
        wanted = tuple(model_ids)
        ending = self._runs.tasks(wanted)
        self.ask_unload(wanted)
        if ending:
            await asyncio.wait(ending)

    def ask_unload(self, model_ids: Iterable[str]) -> None:
        """Begin with that."""
        wanted = tuple(model_ids)
        self._foresight.cancel(wanted)
        self._post(UnloadAsked(wanted))

    def pin(self, model_id: str, *, pinned: bool) -> None:
        """Keep a model loaded whatever its ttl and whoever else is asked for, or let it go again."""
        self._post(Pinned(model_id, pinned))
        self._listeners.pinned(model_id)

    def keep(self, model_id: str, seconds: float) -> None:
        """Stop a model that is loaded, or loads, after so long without requests: 0 when it is idle, inf never."""
        self._post(KeepAsked(model_id, seconds))

    def reconfigure(self, config: Config, changed: frozenset[str]) -> None:
        """Use another configuration; `changed` are the models whose running servers no longer fit it."""
        self.config = config
        self._runs.forget_failures(changed)
        self._foresight.keep(config.models.values())
        self._post(Reconfigured(policy_of(config), changed))
        self.looks.learn_soon(*config.models)

    def kill(self) -> None:
        """End every server at once, whatever it is doing and however long it may take to end by itself."""
        self._foresight.cancel()
        self._runs.kill()

    async def shut_down(self, grace_seconds: float) -> None:
        """Return when every server is gone; answers in progress have `grace_seconds`. Again with 0 means now."""
        self._post(ShutdownAsked(grace_seconds))
        await self._foresight.close()
        while tasks := self._runs.tasks():
            await asyncio.wait(tasks)
        self._wake.cancel()
        self.looks.cancel()

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        if self._given_away:
            return
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                self._handle(self._events.popleft())
        finally:
            self._handling = False
            self._wake.by(self._scheduler.next_deadline())
            self._note_event()

    def _handle(self, event: Event) -> None:
        now = self._loop.time()
        if self._first_policy is not None:
            logger.debug("%r begins with %s", now, self._first_policy)
            self._first_policy = None
        orders = self._scheduler.handle(event, now)
        logger.debug(_RECORD, now, event, orders)
        if isinstance(event, Ended):
            self._listeners.ended(event.model)
        for order in orders:
            try:
                self._perform(order)
            except Exception as error:  # a bug in one order must not cost the others theirs
                logger.exception("could not carry out %s", order)
                self._make_up_for(order, error)
        if isinstance(event, Ready):
            self._listeners.ready(event.model)

    def _perform(self, order: Order) -> None:
        match order:
            case Serve(request):
                if (waiting := self._waiting.pop(request, None)) is not None:  # else it has left; we hear of it next
                    self._give(waiting.waiter, waiting.model, request)
            case Refuse(request, reason):
                if (waiting := self._waiting.pop(request, None)) is not None:
                    waiting.waiter.refuse(self._refusal(reason, waiting))
            case Start(model):
                self._foresight.cancel({model})
                self._runs.start(self.looks.as_started(self.config.models[model]))
                self._listeners.starting(model)
            case Stop(model, reason) | Sleep(model, reason):
                self._runs.end(order)
                self._listeners.stopping(model, reason)
            case Wake(model):
                self._runs.wake(model)
                self._listeners.reported(model)
            case LookAhead(model):
                self._foresight.look(self.config.models[model])
            case Measure(models):
                self.looks.measure(models)
            case TellMissing(missing):
                self.looks.tell_missing(missing)
            case TryAgain(model, how):
                self.looks.try_again(model, how)
                self._listeners.trying_again(model, how)
            case _:
                assert_never(order)

    def _make_up_for(self, order: Order, error: Exception) -> None:
        """Hand in what was to follow from an order that failed, so that nobody waits for it for ever."""
        match order:
            case Start() | Stop() | Sleep() | Wake():
                self._runs.could_not(order, error)
            case LookAhead(model):
                self._post(LookedAhead(model, fails=False))
            case Measure():
                self._post(NOTHING)

    def _give(self, waiter: Waiter, model: str, request: int) -> None:
        """Send a request that the scheduler counts as served to its model; a bug in its waiter ends only this one."""
        try:
            waiter.serve(self._endpoints[model])
        except Exception as error:
            logger.exception("request %d could not be served", request)
            try:
                waiter.refuse(UpstreamFailed(f"model {model!r} could not be asked: unexpected {type(error).__name__}"))
            finally:
                self.finish(request)

    def _refusal(self, reason: RefuseReason, waiting: WaitingRequest) -> ClaraCoreError:
        try:
            now, failure = self._loop.time(), self._runs.failure(waiting.model)
            expected = self.expected_load(waiting.model).left_seconds
            about = circumstances(self._scheduler, self.config.models, waiting, now, failure, expected)
            return refusal(reason, about)
        except Exception:  # who waits is to hear of it all the same
            logger.exception("model %s: what to say of %r could not be found out", waiting.model, str(reason))
            return plain_refusal(reason, waiting.model)
