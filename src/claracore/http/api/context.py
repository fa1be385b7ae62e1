"""What do the handlers of the control plane talk to?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, Request

from claracore.core.config.model import Config
from claracore.core.ports.listen import Listen
from claracore.errors import ClaraCoreError, ModelNotFound
from claracore.host.activity.captures import Captures
from claracore.host.activity.counts import Counts
from claracore.host.activity.database import Activity
from claracore.host.activity.journal import Journal
from claracore.host.hardware.samples import SampleHistory
from claracore.host.library.downloads import Downloads
from claracore.host.logs.proxy import ProxyLog
from claracore.host.setup.settings import SettingsFile
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.loop import Supervisor
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import Grant, NamedKey
from claracore.http.access.origins import Origins
from claracore.http.api.events.broadcaster import Hub
from claracore.http.gateway.inflight import InFlight
from claracore.http.gateway.inside import Inside
from claracore.http.gateway.targets import ActiveProfile

LONGEST_STREAM_SECONDS = 7 * 86_400.0
"""With a key that ends: timers do not reach for years."""


class Stream(Protocol):
    """An answer without an end of its own."""

    def end(self) -> None:
        """Send what has come, and then stop."""


@dataclass(slots=True)
class Context:
    """The running parts, as handlers see them."""

    supervisor: Supervisor
    configuration: Configuration
    keeper: PortKeeper
    listen: Listen
    url: str
    """Where people reach us from this machine."""
    state_dir: Path | None
    """Where what is remembered between starts is kept; None for nowhere."""
    hub: Hub
    journal: Journal
    counts: Counts
    activity: Activity
    log: ProxyLog
    ring: KeyRing
    key_file: KeyFile
    settings: SettingsFile
    origins: Origins
    captures: Captures
    downloads: Downloads
    followed: tuple[Path, ...] = ()
    """Folders whose models are served as soon as they are there."""
    performance: SampleHistory = field(default_factory=SampleHistory)
    profile: ActiveProfile = field(default_factory=ActiveProfile)
    in_flight: Callable[[], Mapping[int, InFlight]] = dict
    """The requests that are with the supervisor or a model, by id."""
    inside: Inside | None = None
    """Asks models; None until the gateway is there."""
    cancel: Callable[[int], bool] = lambda _: False
    """Ends one request in flight; False when there is none."""
    started_at: float = field(default_factory=time.time)
    streams: set[Stream] = field(default_factory=set)
    """Answers that go on until they are told to end."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Loads that were begun and that nobody waits for."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.configuration.now.config

    def resolve(self, name: str) -> str:
        """Return the id of the model with this id or alias. Raises ModelNotFound."""
        model_id = self.config.resolve(name)
        if model_id is None:
            raise ModelNotFound(name, self.config.models)
        return model_id

    def use_keys(self, keys: Iterable[NamedKey]) -> None:
        """Let in whom the key file names; models that it names by an alias are those that have it now."""
        named = []
        for key in keys:
            ids = None if key.models is None else frozenset(self.config.resolve(name) or name for name in key.models)
            named.append(replace(key, models=ids))
        self.ring.use_named(named)

    def cors(self, request: Request) -> dict[str, str]:
        """Return the headers that let an invited page read an answer; none for others."""
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        invited = origin is not None and self.origins.allows(origin.encode("latin-1"), host.encode("latin-1"))
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin and invited else {}

    def look_at_answers(self) -> None:
        """Bring the swaps up to date."""
        self.journal.look_at(request.record for request in self.in_flight().values())

    def begin_load(self, model_id: str) -> None:
        """Load a model without waiting for it; why it failed is in `supervisor.failure`."""

        async def load() -> None:
            with suppress(ClaraCoreError):
                await self.supervisor.load(model_id)

        task = asyncio.get_running_loop().create_task(load(), name=f"load {model_id}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @contextmanager
    def streaming(self, stream: Stream, holder: Grant | None) -> Iterator[None]:
        """Have a stream ended, for the length of a block, when ClaraCore stops or its key's time is over."""
        timer = None
        if holder is not None and holder.expires_at is not None:
            left = min(holder.expires_at - time.time(), LONGEST_STREAM_SECONDS)
            timer = asyncio.get_running_loop().call_later(max(0.0, left), stream.end)
        self.streams.add(stream)
        try:
            yield
        finally:
            self.streams.discard(stream)
            if timer is not None:
                timer.cancel()


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)  # noqa: S101 - set by create_app
    return context


def _grant(request: Request) -> Grant | None:
    grant = getattr(request.state, "grant", None)
    return grant if isinstance(grant, Grant) else None


Holder = Annotated[Grant | None, Depends(_grant)]
"""Annotation of a handler's parameter that gets what the caller's key allows; None when no key is needed."""

Here = Annotated[Context, Depends(_context)]
"""Annotation of a handler's parameter that gets the context."""
