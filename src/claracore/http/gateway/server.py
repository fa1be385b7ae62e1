"""Who listens on the public port, and where does each request go?

`Gateway` holds what all connections share. Inference routes and `/upstream` go to a model server (`exchange`),
everything else to the ASGI application (`bridge`). All deadlines share one
alarm; while nothing is due, nothing runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from claracore.errors import Conflict, ModelNotFound, ShuttingDown
from claracore.host.activity.captures import Captures
from claracore.http.access.admitted import admitted
from claracore.http.access.keyring import KeyRing
from claracore.http.access.origins import Origins, Rules
from claracore.http.gateway.admission import MOST_REMEMBERED, Admission
from claracore.http.gateway.alarm import Alarm
from claracore.http.gateway.bridge import BridgedCall
from claracore.http.gateway.budget import Budget
from claracore.http.gateway.connection import Connection
from claracore.http.gateway.contract import Nobody, Settings
from claracore.http.gateway.exchange import Exchange, not_loaded
from claracore.http.gateway.local import Local, preflight, redirect
from claracore.http.gateway.patience import Patience
from claracore.http.gateway.pool import Pool
from claracore.http.gateway.routes import (
    COMFYUI,
    COMFYUI_MODEL,
    COMFYUI_PROMPTS,
    PROPS,
    ROUTES,
    UPSTREAM,
    names_model,
    split_upstream,
)
from claracore.http.gateway.selection import ActiveProfile
from claracore.http.gateway.targets import names_for, targets_of
from claracore.http.wire.answers import MethodNotAllowed
from claracore.types import Endpoint, ModelState

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Coroutine

    from claracore.core.config.model import Config
    from claracore.http.access.keyring import Grant
    from claracore.http.gateway.connection import Handler
    from claracore.http.gateway.contract import AsgiApp, Observer, Supervisor
    from claracore.http.gateway.pool import Line
    from claracore.http.gateway.targets import Target, Targets
    from claracore.http.wire.head import RequestHead

logger = logging.getLogger("claracore.gateway")

TLS_HANDSHAKE_SECONDS = 10.0
CONNECT_TRIES = 3
"""Connections for one request, while a look in between says that all is well."""
LISTS = frozenset((b"/v1/models", b"/models"))
"""Answered by the application, for the pages that may use the models."""


class Gateway:
    """The public port: configuration, supervisor, application, and all that is under way."""

    def __init__(
        self,
        config: Config,
        *,
        supervisor: Supervisor,
        app: AsgiApp,
        observer: Observer | None = None,
        settings: Settings | None = None,
        ring: KeyRing | None = None,
        rules: Rules | None = None,
        captures: Captures | None = None,
        profile: ActiveProfile | None = None,
        in_flight: dict[int, Exchange] | None = None,
    ) -> None:
        self.supervisor = supervisor
        self.app = app
        self.observer: Observer = observer or Nobody()
        self.settings = settings or Settings()
        self.budget = Budget(self._body_budget(config))
        self.ring = KeyRing() if ring is None else ring
        self.ring.use_plain(config.api_keys)
        self.origins = Origins(rules or Rules())
        self.captures = Captures() if captures is None else captures
        self.targets: Targets = targets_of(config)
        self.profile = ActiveProfile() if profile is None else profile
        self._turn = 0
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.stopping = False
        self.in_flight: dict[int, Exchange] = {} if in_flight is None else in_flight
        """Requests with the supervisor, by request id; `record` of each says how far it is."""
        self.beside: set[Exchange] = set()
        """WebSockets that do not count: the supervisor does not know of them."""
        self._of_client: Counter[bytes] = Counter()
        """Open connections of each address that is not this machine's own."""
        self.connections: set[Connection] = set()
        self.alarm = Alarm(self.loop, self._look)
        self.pool = Pool(
            max_idle_per_endpoint=self.settings.max_idle_per_endpoint,
            idle_seconds=self.settings.upstream_idle_seconds,
            alarm=self.alarm,
        )
        self.patience = Patience(self.settings.sign_of_life_seconds)
        self._admissions: dict[RequestHead, Admission] = {}
        """What the heads that came lately decide, under the keys of `_ring_version`."""
        self._ring_version = self.ring.version
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_gone = asyncio.Event()
        supervisor.on_closing = self.close_endpoint
        supervisor.on_lost = self.pool.stop_opening

    # What the assembly calls.

    def reconfigure(self, config: Config) -> None:
        """Use another configuration for every request that comes from now on."""
        self.ring.use_plain(config.api_keys)
        self.budget.limit = self._body_budget(config)
        self.targets = targets_of(config)
        if self.profile.name not in self.targets.pins:
            self.profile.name = None

    def _body_budget(self, config: Config) -> int:
        said = self.settings.body_budget_bytes
        return config.body_buffer << 20 if said is None else said

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Close all connections to an endpoint now: its server is about to be stopped."""
        self.pool.close_endpoint(endpoint, "it is being stopped")

    def cancel(self, request_id: int) -> bool:
        """End one request in flight; return whether there was one."""
        exchange = self.in_flight.get(request_id)
        if exchange is None:
            return False
        exchange.cancel(Conflict("the request was cancelled"))
        return True

    async def drain(self, seconds: float) -> None:
        """Let answers that are under way end, for so long; then break off what is left."""
        self.stopping = True
        for connection in list(self.connections):
            if connection.handler is None:
                connection.transport.close()  # it is between two requests
        try:
            async with asyncio.timeout(seconds):
                while self.connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            for exchange in list(self.in_flight.values()):
                exchange.cancel(ShuttingDown("ClaraCore is stopping"))
        for connection in list(self.connections):
            connection.transport.abort()
        self.pool.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.alarm.cancel()

    # What connections and exchanges call.

    def handler_for(self, connection: Connection, head: RequestHead) -> Handler:
        """Decide who answers a request. Raises `ClaraCoreError`, which is the answer then."""
        ring = self.ring
        if self.now() >= ring.look_again_at:
            ring.look(self.now())
        if ring.version != self._ring_version:
            self._ring_version = ring.version
            self._admissions.clear()
        known = self._admissions.get(head)
        if known is not None:
            return self._exchange(connection, known)
        path = head.path
        routes = ROUTES.get(path)
        if head.method == b"OPTIONS" and not path.startswith((UPSTREAM, COMFYUI)):
            return Local(connection, preflight(head, self._invited(head) if routes or path in LISTS else b""))
        dropped, grant = admitted(self.ring, head.noted, path)
        if routes is not None and (path != PROPS or head.method not in routes or names_model(head.query)):
            route = routes.get(head.method)
            if route is None:
                raise MethodNotAllowed(path.decode("latin-1"), tuple(sorted(method.decode() for method in routes)))
            target = route.upstream_path + b"?" + head.query if head.query else route.upstream_path
            origin = self.origins.check(head.method, head.noted, has_key=grant is not None)
            admission = Admission(head, target, route, dropped=dropped, grant=grant, origin=origin)
            if head.small and (grant is None or grant.expires_at is None):
                if len(self._admissions) >= MOST_REMEMBERED:
                    self._admissions.clear()
                self._admissions[head] = admission
            return self._exchange(connection, admission)
        if path.startswith((UPSTREAM, COMFYUI)):
            return self._upstream(connection, head, dropped, grant)
        if path == b"/upstream":
            return Local(connection, redirect(302, b"/ui/models"))
        if path == COMFYUI[:-1]:
            return Local(connection, redirect(308, COMFYUI))
        self.observer.settle()
        return BridgedCall(connection, head)

    def _exchange(self, connection: Connection, admission: Admission) -> Exchange:
        exchange = Exchange(connection, admission, self.targets)
        if admission.grant is not None:
            exchange.record.key = admission.grant.name
        if self.captures.enabled:
            capture = self.captures.begin(admission.method, admission.said_path, admission.head.lines)
            exchange.capture = exchange.record.capture = capture
        return exchange

    def _invited(self, head: RequestHead) -> bytes:
        """Return the origin of a preflight whose page may use the models, empty for others."""
        origin = head.noted.get(b"origin", b"")
        return origin if origin and self.origins.allows(origin, head.noted.get(b"host", b"")) else b""

    def _upstream(
        self, connection: Connection, head: RequestHead, dropped: frozenset[bytes], grant: Grant | None
    ) -> Handler:
        origin = self.origins.check(head.method, head.noted, has_key=grant is not None)
        targets = self.targets
        is_comfyui = head.path.startswith(COMFYUI)
        path = UPSTREAM + COMFYUI_MODEL.encode() + head.path[len(COMFYUI) - 1 :] if is_comfyui else head.path
        pins = targets.pins.get(self.profile.name or "", {})
        split = split_upstream(path, targets.by_name.keys() | pins.keys() if pins else targets.by_name)
        if split is None:
            name = COMFYUI_MODEL if is_comfyui else path[len(UPSTREAM) :].decode("latin-1")
            raise ModelNotFound(name, names_for(grant, targets))
        query = b"?" + head.query if head.query else b""
        if not split.rest:
            status = 301 if head.method in (b"GET", b"HEAD") else 308
            return Local(connection, redirect(status, head.path + b"/" + query))
        target = targets.by_name.get(self._meant(targets, split.name))
        if target is None:
            raise ModelNotFound(
                split.name, names_for(grant, targets), "it is a selector, which has no server of its own"
            )
        ready = self.supervisor.state(target.model_id) is ModelState.READY
        rest = split.rest.decode("latin-1")
        if is_comfyui:
            starts = rest == "/" or (head.method == b"POST" and rest in COMFYUI_PROMPTS)
        else:
            starts = not any(its.search(rest) for its in targets.ignored_upstream_paths)
        if not ready and not starts:
            raise Conflict(f"model {target.model_id!r} is not loaded, and {rest} does not load it")
        if target.ignore_websockets and head.upgrade == b"websocket" and not self.supervisor.beside(target.model_id):
            raise not_loaded(target)
        admission = Admission(head, split.rest + query, dropped=dropped, grant=grant, origin=origin)
        exchange = self._exchange(connection, admission)
        exchange.target = target
        exchange.record.requested = split.name
        return exchange

    def target(self, targets: Targets, name: str, grant: Grant | None) -> Target:
        """Return the target that a request names. Raises `ModelNotFound`."""
        meant = name if self.profile.name is None else self._meant(targets, name)
        found = targets.by_name.get(meant)
        if found is not None:
            return found
        choice = targets.choices.get(meant)
        if choice is None:
            raise ModelNotFound(name, names_for(grant, targets), targets.why_not(name))
        self._turn += 1
        allowed = [each for each in choice.targets if grant is None or grant.knows(each.model_id)]
        return choice.choose(allowed or choice.targets, self.supervisor.state, self._busy, self._turn)

    def _meant(self, targets: Targets, name: str) -> str:
        """Return what a name stands for under the active profile. Raises `ModelNotFound` for a name that it hides."""
        pins = targets.pins.get(self.profile.name) if self.profile.name is not None else None
        if pins is None or name not in pins:
            return name
        meant = pins[name]
        if meant is None:
            raise ModelNotFound(name, (), f"the active profile {self.profile.name!r} hides it")
        return meant

    def _busy(self, model_id: str) -> int:
        """Return how many requests a model has, waiting ones too."""
        return sum(exchange.record.model == model_id for exchange in self.in_flight.values())

    def connect(self, exchange: Exchange, line: Line, timeout_seconds: float) -> None:
        """Open a connection for an exchange, in a task."""
        self.run(self._connect(exchange, line, timeout_seconds), name=f"connect {line.endpoint}")

    async def _connect(self, exchange: Exchange, line: Line, timeout_seconds: float) -> None:
        try:
            await self._find_server(exchange, line, timeout_seconds)
        except Exception as error:
            # A bug of ours must not leave a client without an answer.
            logger.exception("no connection to %s", line.endpoint)
            exchange.unreachable(f"{line.endpoint}: unexpected {type(error).__name__}")

    async def _find_server(self, exchange: Exchange, line: Line, timeout_seconds: float) -> None:
        """Give the exchange a connection to its model's verified server; where there is none, let it wait again.

        A connection is looked at when it is open and before a byte is sent: who listened when the model became ready
        may be gone, and somebody else in its place.
        """
        model, endpoint, reason = exchange.record.model, line.endpoint, ""
        for _ in range(CONNECT_TRIES):
            try:
                upstream = await self.pool.connect(line, timeout_seconds)
            except TimeoutError:
                reason = f"no connection to {endpoint} within {timeout_seconds:g} s"
                if await self.supervisor.confirm(model, endpoint):
                    exchange.unreachable(reason)
                    return
                break
            except (ConnectionError, FileNotFoundError) as error:  # the second one for a Unix socket
                reason = f"{endpoint}: {error.strerror or error}"
            except OSError as error:
                exchange.unreachable(f"{endpoint}: {error.strerror or error}")
                return
            else:
                try:
                    reached = await self.supervisor.reaches(model, endpoint, upstream.socket)
                except OSError as error:  # too many files are open to look
                    upstream.close()
                    exchange.unreachable(f"{endpoint}: {error.strerror}")
                    return
                if reached:
                    exchange.connected(upstream)
                    return
                upstream.close()
                reason = f"{endpoint}: it is not its server that listens there"
            if not await self.supervisor.confirm(model, endpoint):
                break
        exchange.turned_away(endpoint, reason)

    def run(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Own a task until it ends."""
        task = self.loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def wall_time(self) -> int:
        """Return the time in whole seconds since 1970, as OpenAI's `created` has it."""
        return int(time.time())

    def entered(self, connection: Connection) -> bool:
        """Hear of a new connection; return whether its client may have one more."""
        self.connections.add(connection)
        peer, limit = connection.peer, self.settings.max_connections_per_client
        if peer.local:
            return True
        self._of_client[peer.address] += 1
        return not limit or self._of_client[peer.address] <= limit

    def departed(self, connection: Connection) -> None:
        """Hear that a connection is closed."""
        self.connections.discard(connection)
        if not connection.peer.local:
            self._of_client[connection.peer.address] -= 1
            if not self._of_client[connection.peer.address]:
                del self._of_client[connection.peer.address]
        if not self.connections:
            self._all_gone.set()

    def _look(self, now: float) -> float:
        """Give up on everybody whose time is up; return when the next one's will be."""
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.expire()
        for exchange in [*self.in_flight.values(), *self.beside]:
            exchange.check(now)
        soonest = self.pool.look(now)
        for connection in self.connections:
            if connection.deadline is not None:
                soonest = min(soonest, connection.deadline)
        for exchange in [*self.in_flight.values(), *self.beside]:
            soonest = min(soonest, exchange.deadline)
        return soonest


async def serve(
    listeners: list[socket.socket],
    *,
    gateway: Gateway,
    stop: asyncio.Event,
    drain_seconds: float,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve on bound sockets until `stop` is set; then stop accepting and let answers end for `drain_seconds`."""
    loop = asyncio.get_running_loop()
    timeout = TLS_HANDSHAKE_SECONDS if tls is not None else None
    servers = []
    try:
        for listener in listeners:
            server = await loop.create_server(
                lambda: Connection(gateway), sock=listener, backlog=2048, ssl=tls, ssl_handshake_timeout=timeout
            )
            servers.append(server)
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        await gateway.drain(drain_seconds)
