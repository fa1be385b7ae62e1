"""Which connections to model servers are there, and how is one opened?

One pool for all destinations. A connection is opened to a destination, and given back to it (`upstream`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from claracore.http.gateway.alarm import NEVER
from claracore.http.gateway.upstream import Destination, IdleRules, UpstreamConnection

if TYPE_CHECKING:
    from claracore.types import Endpoint


QUEUE_PAUSE_SECONDS, LONGEST_QUEUE_PAUSE_SECONDS = 0.001, 0.064
"""Between two tries to get a place in the queue of a Unix socket."""

Dial = Callable[[Destination, Callable[[], UpstreamConnection]], Awaitable[UpstreamConnection]]
"""Opens a connection for a protocol that the second makes. Raises `OSError`."""


class Pool:
    """All connections to model servers."""

    def __init__(self, rules: IdleRules, dial: Dial | None = None) -> None:
        self._destinations: dict[tuple[Endpoint, str, str], Destination] = {}
        self._rules = rules
        self._dial: Dial = dial or _dial
        self._opening: dict[asyncio.Timeout, Endpoint] = {}
        """The time limits of the connections that are being opened."""

    def __repr__(self) -> str:
        idle = sum(len(destination.idle) for destination in self._destinations.values())
        return f"<Pool {len(self.connections)} connections, {idle} idle>"

    @property
    def connections(self) -> list[UpstreamConnection]:
        """All that are open."""
        return [connection for destination in self._destinations.values() for connection in destination.connections]

    def destination(self, endpoint: Endpoint, tls_host: str, fingerprint: str = "") -> Destination:
        """Return the destination at an endpoint; the same for the same, to be kept by who asks often."""
        key = (endpoint, tls_host, fingerprint)
        found = self._destinations.get(key)
        if found is None:
            found = self._destinations[key] = Destination(endpoint, tls_host, self._rules, fingerprint)
        found.endpoint = endpoint  # equal, but the very one that is asked for: who asks often compares identities
        return found

    async def connect(self, destination: Destination, timeout_seconds: float) -> UpstreamConnection:
        """Open a connection; a timeout of 0 means none. Raises `OSError` or `TimeoutError`."""
        async with asyncio.timeout(timeout_seconds or None) as limit:
            self._opening[limit] = destination.endpoint
            try:
                return await self._dial(destination, lambda: UpstreamConnection(destination))
            finally:
                del self._opening[limit]

    def stop_opening(self, endpoint: Endpoint) -> None:
        """Give up the connections to an endpoint that are not open yet, as if their time were over."""
        for limit in [limit for limit, where in self._opening.items() if where == endpoint]:
            if not limit.expired():
                limit.reschedule(self._rules.now())

    def close_endpoint(self, endpoint: Endpoint, reason: str) -> None:
        """Close every connection to an endpoint now, busy ones too; `reason` is what their recipients hear."""
        self.stop_opening(endpoint)
        for destination in [each for each in self._destinations.values() if each.endpoint == endpoint]:
            destination.close(reason)

    def close_idle(self, now: float) -> float:
        """Close connections that have been idle for too long; return when the next one will have been (loop time)."""
        return min((destination.close_idle(now) for destination in self._destinations.values()), default=NEVER)

    def close(self) -> None:
        """Close every connection, without a word to anybody."""
        for connection in self.connections:
            connection.close()


async def _dial(destination: Destination, protocol: Callable[[], UpstreamConnection]) -> UpstreamConnection:
    loop, endpoint = asyncio.get_running_loop(), destination.endpoint
    if endpoint.unix_path is not None:
        connection = await _connected_to(endpoint.unix_path)
        return (await loop.create_unix_connection(protocol, sock=connection))[1]
    if destination.tls_host:
        host, trusted = destination.tls_host, await destination.trusted()
        made = loop.create_connection(protocol, endpoint.host, endpoint.port, ssl=trusted, server_hostname=host)
        return (await made)[1]
    return (await loop.create_connection(protocol, endpoint.host, endpoint.port))[1]


async def _connected_to(path: str) -> socket.socket:
    """Connect to a Unix socket; wait while the server's queue is full, as the kernel does for TCP.

    Linux says EAGAIN then, which uvloop takes for a failure and asyncio for success.
    """
    connection, pause = socket.socket(socket.AF_UNIX), QUEUE_PAUSE_SECONDS
    connection.setblocking(False)
    try:
        while True:
            try:
                connection.connect(path)
            except BlockingIOError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_QUEUE_PAUSE_SECONDS)
            else:
                return connection
    except BaseException:
        connection.close()
        raise
