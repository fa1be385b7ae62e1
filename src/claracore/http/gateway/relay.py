"""What do all requests to model servers share?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from claracore.host.activity.captures import Captures
from claracore.host.footprints.summary import nothing_known
from claracore.http.gateway.alarm import NEVER, Alarm
from claracore.http.gateway.budget import BodyBudget
from claracore.http.gateway.contract import NoObserver
from claracore.http.gateway.liveness import Liveness
from claracore.http.gateway.pool import Pool
from claracore.http.gateway.resolver import Resolver
from claracore.http.gateway.targets import ActiveProfile
from claracore.http.gateway.upstream import IdleRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.core.config.model import Config
    from claracore.errors import ClaraCoreError
    from claracore.host.cluster.machines import Machines
    from claracore.host.footprints.summary import AboutModel
    from claracore.http.gateway.contract import ModelSupervisor, Observer, PortLimits
    from claracore.http.gateway.inflight import InFlight
    from claracore.http.gateway.tasks import Tasks
    from claracore.types import Endpoint, ModelState


class Relay:
    """Passes requests to model servers."""

    def __init__(
        self,
        config: Config,
        supervisor: ModelSupervisor,
        observer: Observer | None,
        *,
        limits: PortLimits,
        alarm: Alarm,
        tasks: Tasks,
        captures: Captures | None = None,
        profile: ActiveProfile | None = None,
        in_flight: dict[int, InFlight] | None = None,
        about: AboutModel = nothing_known,
        machines: Machines | None = None,
    ) -> None:
        """`machines` tells of models on other machines; None: there are none."""
        self.supervisor = supervisor
        self.machines = machines
        self.about = about
        self.observer: Observer = observer or NoObserver()
        self.limits = limits
        self.alarm = alarm
        self.tasks = tasks
        self.captures = Captures() if captures is None else captures
        self.resolver = Resolver(config, profile or ActiveProfile(), self.state, self.busy, machines)
        self.budget = BodyBudget(self._body_bytes(config))
        self.now: Callable[[], float] = asyncio.get_running_loop().time
        self.in_flight: dict[int, InFlight] = {} if in_flight is None else in_flight
        """Requests with the supervisor, by request id."""
        self.uncounted: set[InFlight] = set()
        """Requests that the supervisor does not know of: they keep nothing loaded, and end with their server."""
        self.pool = Pool(IdleRules(limits.max_idle_per_endpoint, limits.upstream_idle_seconds, alarm))
        self.liveness = Liveness(limits, alarm, tasks)
        supervisor.connect(self)

    def reconfigure(self, config: Config) -> None:
        """Use another configuration for every request that comes from now on."""
        self.budget.limit = self._body_bytes(config)
        self.resolver.reconfigure(config)

    def _body_bytes(self, config: Config) -> int:
        limit = self.limits.body_budget_bytes
        return config.body_buffer << 20 if limit is None else limit

    def close_endpoint(self, endpoint: Endpoint, why: str) -> None:
        """Close all connections to an endpoint now; `why` is what who waits for an answer hears."""
        self.pool.close_endpoint(endpoint, why)

    def stop_opening(self, endpoint: Endpoint) -> None:
        """Give up the connections to an endpoint that are being opened."""
        self.pool.stop_opening(endpoint)

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model, wherever it is."""
        machines = self.machines
        remote = machines.state(model_id) if machines is not None else None
        return self.supervisor.state(model_id) if remote is None else remote

    def machine_lost(self, name: str, reason: str) -> None:
        """Have every request that is with a machine move on, or end."""
        for request in list(self.in_flight.values()):
            if request.target is not None and request.target.node == name:
                request.machine_lost(reason)

    def machine_back(self, name: str) -> None:
        """Let answers take their time again: the machine that they come from is there."""
        for request in self.in_flight.values():
            if request.target is not None and request.target.node == name:
                request.node_lost = ""

    def bytes_from(self, name: str) -> dict[int, int]:
        """Return how many bytes have come of each answer from a machine, by the number of its request."""
        return {
            number: request.record.response_bytes
            for number, request in self.in_flight.items()
            if request.target is not None and request.target.node == name
        }

    def busy(self, model_id: str) -> int:
        """Return how many requests a model has, waiting ones too."""
        return sum(request.record.model == model_id for request in self.in_flight.values())

    def look_after(self, now: float) -> float:
        """Look after requests and connections whose time is up; return the next deadline (event loop time)."""
        for request in [*self.in_flight.values(), *self.uncounted]:
            if now >= request.deadline:
                request.deadline = NEVER
                self.liveness.look_at(request)
        soonest = self.pool.close_idle(now)
        for request in [*self.in_flight.values(), *self.uncounted]:
            soonest = min(soonest, request.deadline)
        return soonest

    def cancel_all(self, reason: ClaraCoreError) -> None:
        """End every request."""
        for request in [*self.in_flight.values(), *self.uncounted]:
            request.cancel(reason)
