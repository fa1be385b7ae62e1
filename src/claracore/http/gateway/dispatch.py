"""Who answers a request?

`routes` has the table of paths. What the head of an inference request decides is remembered by the head, as long as the
keys stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from claracore.errors import Conflict, ModelNotFound
from claracore.http.access.admitted import admitted
from claracore.http.access.origins import FOR_ANY_KEY, is_for_pages
from claracore.http.gateway.admission import MOST_REMEMBERED, Admission
from claracore.http.gateway.base_path import BasePath, below
from claracore.http.gateway.bridge import Application, BridgedCall
from claracore.http.gateway.exchange import Exchange
from claracore.http.gateway.local import Local, preflight, redirect
from claracore.http.gateway.paths import no_such_path, straightened
from claracore.http.gateway.resolver import names_for
from claracore.http.gateway.routes import UPSTREAM, Redirect, Route, Routing, ServerPaths, routing_of, split_upstream
from claracore.http.gateway.server_there import path_there
from claracore.http.wire.answers import MethodNotAllowed

if TYPE_CHECKING:
    from claracore.core.key_limits import KeyMeter
    from claracore.http.access.keyring import KeyRing
    from claracore.http.access.keys import Grant
    from claracore.http.access.origins import Origins
    from claracore.http.gateway.contract import Channel, Handler
    from claracore.http.gateway.relay import Relay
    from claracore.http.wire.head import RequestHead


class Dispatcher:
    """Finds a handler for each request."""

    def __init__(
        self, relay: Relay, ring: KeyRing, origins: Origins, base_path: BasePath, application: Application
    ) -> None:
        self._relay = relay
        self._ring = ring
        self._origins = origins
        self._base_path = base_path
        self._application = application
        self._admissions: dict[RequestHead, Admission] = {}
        """What the heads that came lately decide, under the keys of `_ring_version`."""
        self._ring_version = ring.version

    def handler_for(self, channel: Channel, head: RequestHead) -> Handler:
        """Decide who answers a request. Raises `ClaraCoreError`, which is the answer then."""
        ring = self._ring
        now = self._relay.now()
        if now >= ring.look_again_at:
            ring.look(now)
        if ring.version != self._ring_version:
            self._ring_version = ring.version
            self._admissions.clear()
        known = self._admissions.get(head)
        if known is not None:
            return Exchange(channel, known, self._relay)
        asked, base = head, self._base_path.of(head, channel.peer)
        head, routing = _meant(head, base)
        if head.method == b"OPTIONS" and not isinstance(routing, ServerPaths):
            return Local(channel, preflight(head, self._invited(head) if _answers_pages(head, routing) else b""))
        dropped, grant = admitted(ring, head.noted, head.path)
        match routing:
            case dict():
                admission = self._admission(head, routing, dropped, grant)
                self._remember(asked, admission)
                return Exchange(channel, admission, self._relay)
            case ServerPaths():
                return self._server_paths(channel, head, routing, dropped, grant, base=base)
            case Redirect(status, location):
                return Local(channel, redirect(status, base + location))
            case None:
                if head.path.startswith(b"/v1/") and FOR_ANY_KEY.fullmatch(head.path.decode("latin-1")) is None:
                    raise no_such_path(head.path.decode("latin-1"))
                self._relay.observer.flush()
                return BridgedCall(channel, head, grant, self._application, base=base)

    def reader(self, channel: Channel, head: RequestHead) -> bytes:
        """Return the origin of the page that may read why its request is refused; empty for none."""
        origin = self._origins.reader(head.noted)
        if not origin:
            return b""
        head, routing = _meant(head, self._base_path.of(head, channel.peer))
        return origin if _answers_pages(head, routing) or isinstance(routing, ServerPaths) else b""

    def forget(self) -> None:
        """Decide anew about every head: what was decided by has changed."""
        self._admissions.clear()

    def _admission(
        self,
        head: RequestHead,
        routes: dict[bytes, Route],
        dropped: frozenset[bytes],
        grant: Grant | None,
    ) -> Admission:
        route = routes.get(head.method)
        if route is None:
            allowed = tuple(sorted(method.decode() for method in routes))
            raise MethodNotAllowed(head.path.decode("latin-1"), allowed)
        path = route.upstream_path + b"?" + head.query if head.query else route.upstream_path
        origin = self._origins.check(head.method, head.noted, has_key=grant is not None)
        return Admission(head, path, route, dropped=dropped, grant=grant, origin=origin, meter=self._meter(grant))

    def _meter(self, grant: Grant | None) -> KeyMeter | None:
        return self._ring.meters.get(grant.name) if grant is not None and grant.limits.any else None

    def _remember(self, asked: RequestHead, admission: Admission) -> None:
        """Keep what a head decides, by the head as it came, if that is true as long as keys are the same."""
        grant = admission.grant
        if asked.small and (grant is None or grant.expires_at is None):
            if len(self._admissions) >= MOST_REMEMBERED:
                self._admissions.clear()
            self._admissions[asked] = admission

    def _server_paths(
        self,
        channel: Channel,
        head: RequestHead,
        paths: ServerPaths,
        dropped: frozenset[bytes],
        grant: Grant | None,
        *,
        base: bytes,
    ) -> Handler:
        origin = self._origins.check(head.method, head.noted, has_key=grant is not None)
        resolver = self._relay.resolver
        targets, path = resolver.targets, paths.named(head.path)
        split = split_upstream(path, resolver.names())
        if split is None:
            name = paths.model or path[len(UPSTREAM) :].decode("latin-1")
            raise ModelNotFound(name, names_for(grant, targets))
        query = b"?" + head.query if head.query else b""
        if not split.rest:
            status = 301 if head.method in (b"GET", b"HEAD") else 308
            return Local(channel, redirect(status, base + head.path + b"/" + query))
        target = resolver.server_of(split.name, grant)
        if target is None:
            why_not = "it is a selector, which has no server of its own"
            raise ModelNotFound(split.name, names_for(grant, targets), why_not)
        rest = unquote(split.rest)
        ready = self._relay.supervisor.ready_endpoint(target.model_id) is not None
        if not ready and not paths.loads(head.method, rest, targets.ignored_upstream_paths):
            raise Conflict(f"model {target.model_id!r} is not loaded, and {rest} does not load it")
        # Pages of a model's server are many files: what counts is what the model works for.
        meter = self._meter(grant) if head.method == b"POST" else None
        there = split.rest
        if target.own_lines is not None:
            there = path_there(target, resolver.kind_there(target), head.method, there, grant)
        admission = Admission(head, there + query, dropped=dropped, grant=grant, origin=origin, meter=meter)
        exchange = Exchange(channel, admission, self._relay)
        exchange.target = target
        exchange.record.requested = split.name
        return exchange

    def _invited(self, head: RequestHead) -> bytes:
        """Return the origin of a preflight whose page may use the models, empty for others."""
        origin = self._origins.reader(head.noted)
        if not origin and (page := head.noted.get(b"origin")):
            self._origins.refused(page.decode("latin-1"))
        return origin


def _meant(head: RequestHead, base: bytes) -> tuple[RequestHead, Routing]:
    """Return a head with the path that is meant by it, and where that goes; `base` is the path before ours."""
    if base:
        head = below(head, base)
    routing = routing_of(head)
    if routing is None:
        head = straightened(head)
        routing = routing_of(head)
    return head, routing


def _answers_pages(head: RequestHead, routing: Routing) -> bool:
    """Whether pages that may use the models may read what a path answers."""
    return isinstance(routing, dict) or is_for_pages(head.path.decode("latin-1"))
