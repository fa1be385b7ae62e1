"""Who listens on the public port, and what is the gateway made of?

`Gateway` builds its parts and is what the assembly sees of them. All deadlines share one alarm; while nothing is due,
nothing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from claracore.errors import Conflict, ShuttingDown
from claracore.host.footprints.summary import nothing_known
from claracore.http.access.keyring import KeyRing
from claracore.http.access.origins import Origins, Rules
from claracore.http.gateway.alarm import Alarm
from claracore.http.gateway.base_path import BasePath
from claracore.http.gateway.bridge import Application
from claracore.http.gateway.clients import Clients
from claracore.http.gateway.connection import Connection
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.dispatch import Dispatcher
from claracore.http.gateway.inside import Inside
from claracore.http.gateway.relay import Relay
from claracore.http.gateway.tasks import Tasks

if TYPE_CHECKING:
    import socket
    import ssl

    from claracore.core.config.model import Config
    from claracore.host.activity.captures import Captures
    from claracore.host.cluster.machines import Machines
    from claracore.host.footprints.summary import AboutModel
    from claracore.http.asgi import AsgiApp
    from claracore.http.gateway.contract import ModelSupervisor, Observer
    from claracore.http.gateway.inflight import InFlight
    from claracore.http.gateway.targets import ActiveProfile

TLS_HANDSHAKE_SECONDS = 10.0


class Gateway:
    """The public port: configuration, supervisor, application, and all that is under way."""

    def __init__(
        self,
        config: Config,
        *,
        supervisor: ModelSupervisor,
        app: AsgiApp,
        observer: Observer | None = None,
        limits: PortLimits | None = None,
        ring: KeyRing | None = None,
        origins: Origins | None = None,
        base_path: str = "",
        captures: Captures | None = None,
        profile: ActiveProfile | None = None,
        in_flight: dict[int, InFlight] | None = None,
        about: AboutModel = nothing_known,
        machines: Machines | None = None,
    ) -> None:
        limits = limits or PortLimits()
        self._ring = KeyRing() if ring is None else ring
        self._ring.use_plain(config.api_keys)
        self.alarm = Alarm(asyncio.get_running_loop(), self.look_after)
        self.tasks = Tasks()
        self.clients = Clients(limits, self.alarm)
        self.relay = Relay(
            config,
            supervisor,
            observer,
            limits=limits,
            alarm=self.alarm,
            tasks=self.tasks,
            captures=captures,
            profile=profile,
            in_flight=in_flight,
            about=about,
            machines=machines,
        )
        application = Application(app, self.relay.budget, self.tasks)
        self._origins = Origins(Rules()) if origins is None else origins
        self._base_path = BasePath(base_path)
        self._configure_entrance(config)
        self.dispatcher = Dispatcher(self.relay, self._ring, self._origins, self._base_path, application)
        self.inside = Inside(self.relay)

    @property
    def in_flight(self) -> dict[int, InFlight]:
        """Requests with the supervisor, by request id; `record` of each says how far it is."""
        return self.relay.in_flight

    def connection(self) -> Connection:
        """Return the protocol for a connection that a client opens."""
        return Connection(self.clients, self.dispatcher)

    def reconfigure(self, config: Config) -> None:
        """Use another configuration for every request that comes from now on."""
        self._ring.use_plain(config.api_keys)
        self.relay.reconfigure(config)
        self._configure_entrance(config)
        self.dispatcher.forget()

    def _configure_entrance(self, config: Config) -> None:
        self._origins.configure(config.allowed_hosts, config.cors_origins)
        self._base_path.configure(config.base_path, config.trusted_proxies)

    def cancel(self, request_id: int) -> bool:
        """End one request in flight; return whether there was one."""
        request = self.in_flight.get(request_id)
        if request is None:
            return False
        request.cancel(Conflict("the request was cancelled"))
        return True

    async def drain(self, seconds: float) -> None:
        """Let answers that are under way end, for so long; then break off what is left."""
        self.clients.close_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.clients.gone()
        self.relay.cancel_all(ShuttingDown("ClaraCore is stopping"))
        self.clients.abort()
        self.relay.pool.close()
        await self.tasks.cancel()
        self.alarm.cancel()

    def look_after(self, now: float) -> float:
        """Give up on everybody whose time is up (event loop time); return when the next one's will be."""
        soonest = self.clients.expire(now)
        return min(soonest, self.relay.look_after(now))


class Doorway:
    """The bound sockets on which clients come in; they may be shut, and opened again."""

    def __init__(self, listeners: list[socket.socket], gateway: Gateway, tls: ssl.SSLContext | None = None) -> None:
        """Take sockets that are bound and listen; nobody is let in yet."""
        self.listeners = listeners
        self._gateway = gateway
        self._tls = tls
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Let clients in, also those that have waited."""
        timeout = TLS_HANDSHAKE_SECONDS if self._tls is not None else None
        for listener in self.listeners:
            server = await asyncio.get_running_loop().create_server(
                self._gateway.connection,
                sock=listener.dup(),
                backlog=2048,
                ssl=self._tls,
                ssl_handshake_timeout=timeout,
            )
            self._servers.append(server)

    def shut(self) -> None:
        """Let nobody in any more; who comes waits at the sockets, which stay open."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self) -> None:
        """Let nobody in any more, for good; who comes is refused, unless another process has the sockets, too."""
        self.shut()
        for listener in self.listeners:
            listener.close()


async def serve(entrance: Doorway, *, gateway: Gateway, stop: asyncio.Event, drain_seconds: float) -> None:
    """Let clients in until `stop` is set; then let answers end for `drain_seconds`."""
    try:
        await entrance.open()
        await stop.wait()
    finally:
        entrance.close()
        await gateway.drain(drain_seconds)
