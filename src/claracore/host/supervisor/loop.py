"""THE loop: what happens becomes events, the scheduler decides, its orders are carried out.

Requests, ends of processes, timers, reloads and API calls all come through `_post`. Each event is handled to its end
before the next; what an order causes at once (a client that is already gone) queues behind. Whatever is slow is a task
owned here (`Life`), which ends by handing in an event. Every event, its time and its orders are logged once, at debug
level, and before the first the policy; `claracore replay` reads this record (`scheduler/record`). It is written beside
what happens and changes nothing of it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from claracore.core.config.model import Config
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Died,
    Effect,
    Ended,
    Event,
    FilesChanged,
    Finished,
    Lost,
    Pinned,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    Serve,
    ShutdownAsked,
    Start,
    Stop,
    StopReason,
    TimePassed,
    UnloadAsked,
)
from claracore.core.scheduler.obstacle import Obstacle
from claracore.core.scheduler.policy import Policy
from claracore.core.scheduler.rules import policy_of
from claracore.core.scheduler.slot import Slot
from claracore.errors import ClaraCoreError, ModelNotFound
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.contract import Listener, Loaded, Waiter
from claracore.host.supervisor.life import Life, Surroundings
from claracore.host.supervisor.named_files import Stamp, stamp_of
from claracore.host.supervisor.refusals import Circumstances, refusal
from claracore.host.supervisor.running import Running
from claracore.types import Endpoint, ModelState

logger = logging.getLogger("claracore.supervisor")


@dataclass(frozen=True, slots=True)
class _Waiting:
    waiter: Waiter
    model: str
    since: float


class Supervisor:
    """Starts, swaps and stops the models of one configuration, and tells requests when to go on."""

    def __init__(self, config: Config, around: Surroundings) -> None:
        self.config = config
        self.on_closing: Callable[[Endpoint], None] = lambda _: None
        """Closes every connection to an endpoint, at once; set by the gateway."""
        self.on_lost: Callable[[Endpoint], None] = lambda _: None
        """Gives up the connections to an endpoint that are being opened: who is there need not accept them."""
        self.listener: Listener | None = None
        self._around = around
        self._loop = asyncio.get_running_loop()
        policy = policy_of(config)
        self._scheduler = Scheduler(policy)
        self._first_policy: Policy | None = policy
        """Until the first event, before which it is recorded."""
        self._request_ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._lives: dict[str, Life] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, ClaraCoreError] = {}
        self._stamps: dict[str, Stamp] = {}
        """What the files that a model's command names looked like when it failed."""
        self._outputs: dict[str, OutputRing] = {}
        self._events: deque[Event] = deque()
        self._handling = False
        self._timer: asyncio.TimerHandle | None = None

    # --- what requests call ---------------------------------------------------------------------------------------

    def arrive(self, model_id: str, waiter: Waiter, *, by_hand: bool = False) -> int:
        """Take a request in and return its id; `waiter` may be told before this returns.

        One that a person makes `by_hand` has a model tried again whose start has just failed.
        """
        request = next(self._request_ids)
        # Without an event and its orders, which cost 5 us: the scheduler is asked the same in both cases. While events
        # are handled it has to wait for its turn.
        if not self._handling and self._scheduler.admit(request, model_id):
            if logger.isEnabledFor(logging.DEBUG):
                self._record(Arrived(request, model_id, by_hand), [Serve(request)], self._loop.time())
            self._give(waiter, model_id, request)
            return request
        now = self._loop.time()
        if model_id in self._stamps and self._scheduler.failing(model_id, now) and self._has_new_files(model_id):
            self._post(FilesChanged(model_id))
        self._waiting[request] = _Waiting(waiter, model_id, now)
        self._post(Arrived(request, model_id, by_hand))
        return request

    def finish(self, request_id: int) -> None:
        """Hear that a request is over: answered, failed, or left while it waited."""
        now = self._loop.time()
        if not self._handling and self._scheduler.release(request_id, now):
            if logger.isEnabledFor(logging.DEBUG):
                self._record(Finished(request_id), [], now)
            self._set_timer()
            return
        self._waiting.pop(request_id, None)
        self._post(Finished(request_id))

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened to the endpoint can only have reached the server that was verified there.

        True as well where that is not checked: the server is somebody else's, or on another machine.
        """
        life = self._at(model_id, endpoint)
        return life is not None and await life.reaches(connection)

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        """Look anew at who answers at the endpoint; False when it is not, or no longer, the model's ready server."""
        life = self._at(model_id, endpoint)
        return life is not None and await life.confirm()

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request wait again that was to go to the endpoint and could not: no byte of it has left.

        Instead of `finish`; `waiter` is told again, perhaps before this returns. False, and nothing is changed, where
        the server is not ours to start again.
        """
        life = self._at(model_id, endpoint)
        if life is not None and not life.checked:
            return False
        self._waiting[request_id] = _Waiting(waiter, model_id, self._loop.time())
        self._post(Returned(request_id, model_id))
        return True

    def _at(self, model_id: str, endpoint: Endpoint) -> Life | None:
        """Return the run of the model's server that has the endpoint; None when that is over."""
        life = self._lives.get(model_id)
        return life if life is not None and life.endpoint == endpoint else None

    def beside(self, model_id: str) -> Endpoint | None:
        """Return where a model is reached by what neither waits nor counts: its server may be stopped all the same.

        None when it is not ready, or is not to be much longer. Nobody calls `finish` for it.
        """
        slot = self._scheduler.slots.get(model_id)
        if slot is None or slot.state is not ModelState.READY or slot.leaving is not None:
            return None
        return self._lives[model_id].endpoint

    def position(self, request_id: int) -> int | None:
        """Return the 1-based place of a request in its model's queue; None when it does not wait."""
        return self._scheduler.position(request_id)

    def obstacle(self, model_id: str) -> Obstacle | None:
        """Return what the requests that wait for a model wait for; None when none waits."""
        return self._scheduler.obstacle(model_id, self._loop.time())

    def would_unload(self, model_id: str) -> list[str]:
        """Return the models, by id, that would have to be stopped if this one, which is stopped, started now."""
        return self._scheduler.evictees(model_id)

    def retry_seconds(self, model_id: str) -> float | None:
        """Return for how long requests are refused with `failure` without another try; None when they are not."""
        now = self._loop.time()
        failing = self._scheduler.failing(model_id, now)
        return failing.retry_at - now if failing is not None else None

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model; a model that is not known is stopped."""
        slot = self._scheduler.slots.get(model_id)
        return slot.state if slot else ModelState.STOPPED

    # --- what people and the API call -----------------------------------------------------------------------------

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State, requests in progress and waiting, by model id; for looking at."""
        return self._scheduler.slots

    def running(self, model_id: str) -> Running | None:
        """Return how the model's server is now; None when there is none."""
        life = self._lives.get(model_id)
        return life.running(self.state(model_id)) if life is not None else None

    def all_running(self) -> dict[str, Running]:
        """Return how each model's server is now, by model id; models without one are left out."""
        return {model_id: life.running(self.state(model_id)) for model_id, life in self._lives.items()}

    def output(self, model_id: str) -> OutputRing:
        """Return what the model's servers have printed."""
        return self._outputs.setdefault(model_id, OutputRing())

    def failure(self, model_id: str) -> ClaraCoreError | None:
        """Return why the last run of a model failed; None when it did not."""
        return self._failures.get(model_id)

    async def load(self, model_id: str) -> None:
        """Return when the model is ready. Raises what a request for it would be refused with."""
        if model_id not in self.config.models:
            raise ModelNotFound(model_id, self.config.models)
        slot = self._scheduler.slots[model_id]
        if slot.state is ModelState.READY and slot.leaving is None:
            return  # however busy it is
        ready = Loaded(self._loop.create_future())
        request = self.arrive(model_id, ready, by_hand=True)
        try:
            await ready.done
        finally:
            self.finish(request)

    async def unload(self, model_ids: Iterable[str]) -> None:
        """Return when none of the models' present servers runs any more. Answers in progress may end first."""
        wanted = tuple(model_ids)
        ending = [self._tasks[model_id] for model_id in wanted if model_id in self._tasks]
        self._post(UnloadAsked(wanted))
        if ending:
            await asyncio.wait(ending)

    def pin(self, model_id: str, *, pinned: bool) -> None:
        """Keep a model loaded whatever its ttl and whoever else is asked for, or let it go again."""
        self._post(Pinned(model_id, pinned))
        self._tell(lambda listener: listener.pinned(model_id))

    async def preload(self) -> None:
        """Load the models of `hooks.on_startup.preload`, one after another; a failure is logged and passed over."""
        for model_id in self.config.preload:
            try:
                await self.load(model_id)
            except ClaraCoreError as error:
                logger.error("preload of %s failed: %s", model_id, error)  # noqa: TRY400 - no traceback to a user

    def reconfigure(self, config: Config, changed: frozenset[str]) -> None:
        """Use another configuration; `changed` are the models whose running servers no longer fit it."""
        self.config = config
        self._failures = {model: error for model, error in self._failures.items() if model not in changed}
        self._post(Reconfigured(policy_of(config), changed))

    def kill(self) -> None:
        """End every server at once, whatever it is doing and however long it may take to end by itself."""
        for life in self._lives.values():
            life.kill()

    async def shut_down(self, grace_seconds: float) -> None:
        """Return when every server is gone; answers in progress have `grace_seconds`. Again with 0 means now."""
        self._post(ShutdownAsked(grace_seconds))
        while self._tasks:
            await asyncio.wait(self._tasks.values())
        if self._timer is not None:
            self._timer.cancel()

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                self._handle(self._events.popleft())
        finally:
            self._handling = False
            self._set_timer()

    def _handle(self, event: Event) -> None:
        now = self._loop.time()
        if self._first_policy is not None:
            logger.debug("%r begins with %s", now, self._first_policy)
            self._first_policy = None
        effects = self._scheduler.handle(event, now)
        if logger.isEnabledFor(logging.DEBUG):
            self._record(event, effects, now)
        if isinstance(event, Ended):
            self._tell(lambda listener: listener.ended(event.model))
        for effect in effects:
            try:
                self._perform(effect)
            except Exception:
                # A bug in one order must not cost the others theirs.
                logger.exception("could not carry out %s", effect)
        if isinstance(event, Ready):
            self._tell(lambda listener: listener.ready(event.model))

    def _record(self, event: Event, effects: list[Effect], now: float) -> None:
        logger.debug("%r %s -> %s", now, event, effects)

    def _has_new_files(self, model_id: str) -> bool:
        model = self.config.models.get(model_id)
        return model is not None and stamp_of(model, self._around.environ) != self._stamps.get(model_id)

    def _tell(self, what: Callable[[Listener], None]) -> None:
        """Let the listener hear something; what goes wrong there is its own affair."""
        if self.listener is None:
            return
        try:
            what(self.listener)
        except Exception:
            logger.exception("a listener failed")

    def _set_timer(self) -> None:
        """Wake at the scheduler's deadline. A timer that is early does no harm, so it is only ever moved forward."""
        deadline = self._scheduler.next_deadline()
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._post(TimePassed())

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Serve(request):
                self._serve(request)
            case Refuse(request, reason):
                if (its := self._waiting.pop(request, None)) is not None:
                    its.waiter.refuse(self._refusal(reason, its))
            case Start(model):
                self._start(model)
            case Stop(model, reason):
                self._stop(model, reason)
            case _:
                assert_never(effect)

    def _serve(self, request: int) -> None:
        its = self._waiting.pop(request, None)
        if its is None:  # it has left in the meantime; its Finished is behind us in the queue
            return
        self._give(its.waiter, its.model, request)

    def _give(self, waiter: Waiter, model: str, request: int) -> None:
        """Let a request go on that the scheduler counts as served; a bug in its waiter ends it, and only it."""
        endpoint = self._lives[model].endpoint
        assert endpoint is not None, "a ready model has an endpoint"  # noqa: S101 - Life's promise
        try:
            waiter.serve(endpoint)
        except Exception:
            logger.exception("request %d could not be served", request)
            self.finish(request)

    def _start(self, model: str) -> None:
        life = Life(
            self.config.models[model],
            self._around,
            self.output(model),
            on_ready=lambda: self._ready(model),
            on_closing=self.on_closing,
            on_told=lambda: self._tell(lambda listener: listener.told(model)),
            on_lost=lambda why: self._lost(model, why),
            on_died=lambda: self._post(Died(model)),
        )
        self._failures.pop(model, None)
        self._stamps.pop(model, None)
        self._lives[model] = life
        logger.info("model %s: starting", model)
        task = self._tasks[model] = self._loop.create_task(life.run(), name=f"life of {model}")
        task.add_done_callback(lambda _: self._ended(model))
        self._tell(lambda listener: listener.starting(model))

    def _ready(self, model: str) -> None:
        its = self._lives[model]
        logger.info("model %s: ready after %.1f s, at %s", model, its.phases.load_seconds, its.endpoint)
        self._post(Ready(model))

    def _lost(self, model: str, why: str) -> None:
        logger.warning("model %s: %s; it is stopped, and started again when it is asked for", model, why)
        self._post(Lost(model))
        if (endpoint := self._lives[model].endpoint) is not None:
            self.on_lost(endpoint)

    def _stop(self, model: str, reason: StopReason) -> None:
        logger.info("model %s: stopping (%s)", model, reason)
        self._lives[model].stop()
        self._tell(lambda listener: listener.stopping(model, reason))

    def _ended(self, model: str) -> None:
        life = self._lives.pop(model)
        del self._tasks[model]
        if life.failure is not None and life.lost:
            self._failures[model] = life.failure
            logger.info("model %s: stopped, since it was lost", model)
        elif life.failure is not None and not life.stopping:
            self._failures[model] = life.failure
            self._stamps[model] = stamp_of(life.model, self._around.environ)
            logger.error("%s", life.failure)
        else:
            logger.info("model %s: stopped", model)
        self._post(Ended(model))

    def _refusal(self, reason: RefuseReason, its: _Waiting) -> ClaraCoreError:
        slot = self._scheduler.slots.get(its.model)
        model = self.config.models.get(its.model)
        now = self._loop.time()
        failing = self._scheduler.failing(its.model, now)
        return refusal(
            reason,
            Circumstances(
                model=its.model,
                known=frozenset(self.config.models),
                waiting=len(slot.waiting) if slot else 0,
                queue_limit=model.queue.limit if model else 0,
                waited_seconds=now - its.since,
                pinned=" and ".join(f"{name!r} (pinned)" for name in self._scheduler.pinned_against(its.model)),
                failure=self._failures.get(its.model),
                tried_seconds_ago=now - failing.at if failing and its.since >= failing.at else None,
                retry_seconds=failing.retry_at - now if failing else 0.0,
            ),
        )
