"""How does the supervisor stand still while another process takes its servers over, and how does it take some over?"""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping

from claracore.core.config.model import ModelConfig
from claracore.core.scheduler.events import Arrived, Event, Inherited, StartsHeld
from claracore.host.supervisor.foresight import Foresight
from claracore.host.supervisor.listeners import ModelListeners
from claracore.host.supervisor.memory_looks import MemoryLooks
from claracore.host.supervisor.runner import ServerRun
from claracore.host.supervisor.runs import Runs
from claracore.host.supervisor.view import SupervisorView
from claracore.host.supervisor.waiting import LoadWaiter, WaitingRequest
from claracore.host.supervisor.wake import WakeTimer
from claracore.types import Endpoint, ModelState

_MOVING = frozenset({ModelState.STARTING, ModelState.STOPPING})


class Succession(SupervisorView):
    """What of the supervisor concerns two processes, of which one takes the place of the other."""

    looks: MemoryLooks
    _foresight: Foresight
    _waiting: dict[int, WaitingRequest]
    _wake: WakeTimer
    _listeners: ModelListeners
    _request_ids: itertools.count[int]
    _given_away = False
    """Whether another process decides."""
    _moved: asyncio.Future[None] | None = None
    """Completed by the next event."""

    @abstractmethod
    def _post(self, event: Event) -> None:
        """Have an event handled."""

    @abstractmethod
    def finish(self, request_id: int) -> None:
        """Forget a request that is over."""

    def _note_event(self) -> None:
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    @property
    def runs(self) -> Runs:
        """The present run of each model that has one."""
        return self._runs

    def next_request(self) -> int:
        """Return an id that no request has."""
        return next(self._request_ids)

    def loads_by_hand(self, model_id: str) -> int:
        """Return how many of those that wait for a model are a person's word to load it."""
        slot = self._scheduler.slots.get(model_id)
        waiting = [self._waiting.get(request) for request in slot.waiting] if slot is not None else []
        return sum(one is not None and isinstance(one.waiter, LoadWaiter) for one in waiting)

    # --- the one that goes ------------------------------------------------------------------------------------------

    async def stand_still(self) -> None:
        """Start and stop no server until `move_on`; returns when none is starting or ending. Who is ready serves."""
        self._post(StartsHeld(held=True))
        while any(slot.state in _MOVING for slot in self._scheduler.slots.values()):
            self._moved = self._loop.create_future()
            await self._moved

    def give_away(self) -> dict[int, WaitingRequest]:
        """Decide nothing any more: another process does. Returns the requests that wait, by id."""
        self._given_away = True
        self._wake.cancel()
        self.looks.cancel()
        self._foresight.cancel()
        waiting, self._waiting = self._waiting, {}
        return waiting

    async def end_others(self, given: Collection[str]) -> None:
        """Return when nothing runs here but these models' servers, which another process has; all answers are given."""
        for model_id, run in self._runs:
            if model_id not in given:
                run.stop()
        if ending := self._runs.tasks(model_id for model_id, _ in tuple(self._runs) if model_id not in given):
            await asyncio.wait(ending)

    def move_on(self, waiting: Mapping[int, WaitingRequest], finished: Iterable[int]) -> None:
        """Undo `stand_still` and `give_away`, with the requests that wait now, and those that are over meanwhile."""
        self._given_away = False
        self._waiting |= waiting
        for request in finished:
            self.finish(request)
        for request, one in waiting.items():
            if self.position(request) is None:
                self._post(Arrived(request, one.model))
        self._post(StartsHeld(held=False))

    # --- the one that comes -----------------------------------------------------------------------------------------

    def take_over(
        self, model: ModelConfig, taken: Inherited, endpoint: Endpoint, make: Callable[..., ServerRun]
    ) -> None:
        """Have a server that is ready at the endpoint; `make` returns its run (`Runs.take_over`)."""
        self._runs.take_over(model, endpoint, make)
        self._post(taken)
        self._listeners.ready(taken.model)
