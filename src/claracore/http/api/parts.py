"""What do the handlers of the control plane talk to?

Small groups of the running parts. Each is made once, and a handler names those that it needs (`dependencies`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from claracore.core.config.model import Config
from claracore.core.config.tags import resolved
from claracore.core.ports.listen import Listen
from claracore.errors import ClaraCoreError, ModelNotFound
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.database import Activity
from claracore.host.activity.swap_history import SwapHistory
from claracore.host.cluster.held_ranks import HeldRanks
from claracore.host.cluster.machines import Machines
from claracore.host.conversations.keeper import ConversationKeeper
from claracore.host.footprints.measurer import Measurer
from claracore.host.footprints.model_memory import ModelMemory
from claracore.host.hardware.samples import SampleHistory
from claracore.host.loading.load_times import LoadTimes
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.loop import Supervisor
from claracore.http.api.events.announcer import Announcer
from claracore.http.api.events.broadcaster import Broadcaster
from claracore.http.api.events.open_streams import OpenStreams
from claracore.http.gateway.inflight import InFlight
from claracore.http.gateway.targets import ActiveProfile


@dataclass(frozen=True, slots=True)
class Runtime:
    """The models as they run at this moment, and the requests that are with them."""

    configuration: Configuration
    supervisor: Supervisor
    keeper: PortKeeper
    swaps: SwapHistory
    measurer: Measurer
    load_times: LoadTimes
    commands: Commands
    conversations: ConversationKeeper
    machines: Machines
    held_ranks: HeldRanks
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    """The requests that are with the supervisor or a model, by id; the gateway puts them in and takes them out."""
    profile: ActiveProfile = field(default_factory=ActiveProfile)
    loads: set[asyncio.Task[None]] = field(default_factory=set)
    """Loads that were begun and that nobody waits for."""
    tuned: set[str] = field(default_factory=set)
    """The models that are being tuned, by id."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.configuration.now.config

    @property
    def memory(self) -> ModelMemory:
        """What models take of memory, and how much there is."""
        return self.measurer.memory

    def resolve(self, name: str) -> str:
        """Return the id of the model with this id or alias; Ollama's tag `latest` may be added or missing.

        Of a name that several other machines have, that of its best place. Raises ModelNotFound.
        """
        model_id = resolved(name, self.config.resolve)
        if model_id is None and (places := self.machines.places_of(name)):
            return places[0].model_id
        if model_id is None:
            raise ModelNotFound(name, self.config.models)
        return model_id

    def node_of(self, model_id: str) -> str:
        """Return the name of the machine that has a model, or had it; empty for one of this machine."""
        peer_id = self.config.peer_of(model_id)
        if peer_id is None and model_id not in self.config.models:
            return self.machines.node_of(model_id)
        return peer_id or ""

    def port_of(self, model_id: str) -> int | None:
        """Return at which port of this machine a model is served; None while it is at none, and on other machines."""
        running, model = self.supervisor.running(model_id), self.config.models.get(model_id)
        if model is None or self.node_of(model_id):
            return None
        # Without a command somebody else runs the server; the plan has those of this machine.
        is_here = bool(model.cmd) or model_id in self.keeper.plan.fixed
        return self.held_ranks.port(model_id, running) if is_here else None

    def begin_load(self, model_id: str) -> None:
        """Load a model without waiting for it; why it failed is in `supervisor.failure`."""

        async def load() -> None:
            with suppress(ClaraCoreError):
                await self.machines.load(model_id)

        task = asyncio.get_running_loop().create_task(load(), name=f"load {model_id}")
        self.loads.add(task)
        task.add_done_callback(self.loads.discard)

    def look_at_answers(self) -> None:
        """Bring the swaps up to date with answers that have begun."""
        self.swaps.look_at(request.record for request in self.in_flight.values())

    def pids(self) -> dict[str, int]:
        """Return the process of each model's server that has one."""
        running = self.supervisor.all_running()
        return {model_id: server.pid for model_id, server in running.items() if server.pid is not None}


@dataclass(frozen=True, slots=True)
class History:
    """What was: requests and their bodies, counts since the start, samples of the machine."""

    activity: Activity
    counts: Counts
    captures: Captures
    samples: SampleHistory


@dataclass(frozen=True, slots=True)
class Events:
    """How whoever watches hears of what happens."""

    broadcaster: Broadcaster
    announcer: Announcer
    open_streams: OpenStreams

    @classmethod
    def make(cls) -> Events:
        """Return a broadcaster that nobody follows yet; in a running event loop."""
        broadcaster = Broadcaster()
        return cls(broadcaster, Announcer(broadcaster), OpenStreams())


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this ClaraCore is."""

    listen: Listen
    url: str
    """Where people reach us from this machine."""
    state_dir: Path | None
    """Where what is remembered between starts is kept; None for nowhere."""
    followed: tuple[Path, ...] = ()
    """Folders whose models are served as soon as they are there."""
    fingerprint: str = ""
    """SHA-256 of our certificate; empty without TLS."""
    started_at: float = field(default_factory=time.time)
    """Unix seconds."""
