"""Which connection to a model server does a request use?

Idle connections are kept per endpoint, newest first; one synchronous method hands one out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from claracore.http.gateway.alarm import NEVER, Alarm
from claracore.http.gateway.upstream import Upstream

if TYPE_CHECKING:
    from claracore.types import Endpoint


QUEUE_PAUSE_SECONDS, LONGEST_QUEUE_PAUSE_SECONDS = 0.001, 0.064
"""Between two tries to get a place in the queue of a Unix socket."""


class Line:
    """What a connection is opened to, and the connections to it that wait; all of them are interchangeable."""

    __slots__ = ("endpoint", "host", "idle", "tls_host")

    def __init__(self, endpoint: Endpoint, tls_host: str = "") -> None:
        self.endpoint = endpoint
        self.tls_host = tls_host
        self.host = endpoint.authority.encode()
        """Host header for requests to the endpoint itself."""
        self.idle: list[Upstream] = []
        """The most recently used one last."""


Dial = Callable[[Line, Callable[[], Upstream]], Awaitable[Upstream]]
"""Opens a connection for a protocol that the second makes. Raises `OSError`."""


class Pool:
    """All connections to model servers."""

    def __init__(
        self, *, max_idle_per_endpoint: int, idle_seconds: float, alarm: Alarm, dial: Dial | None = None
    ) -> None:
        self.all: set[Upstream] = set()
        self._lines: dict[tuple[Endpoint, str], Line] = {}
        self._max_idle = max_idle_per_endpoint
        self._idle_seconds = idle_seconds
        self._alarm = alarm
        self._now = asyncio.get_running_loop().time
        self._dial: Dial = dial or _dial
        self._opening: dict[asyncio.Timeout, Endpoint] = {}
        """The time limits of the connections that are being opened."""

    def __repr__(self) -> str:
        idle = sum(len(line.idle) for line in self._lines.values())
        return f"<Pool {len(self.all)} connections, {idle} idle>"

    def line(self, endpoint: Endpoint, tls_host: str) -> Line:
        """Return the line to an endpoint; the same for the same, to be kept by who asks often."""
        found = self._lines.get((endpoint, tls_host))
        if found is None:
            found = self._lines[endpoint, tls_host] = Line(endpoint, tls_host)
        found.endpoint = endpoint  # equal, but the very one that is asked for: who asks often compares identities
        return found

    def take(self, line: Line) -> Upstream | None:
        """Return an idle connection, the most recently used one, or None."""
        idle = line.idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                connection.reused = True
                return connection
        return None

    async def connect(self, line: Line, timeout_seconds: float) -> Upstream:
        """Open a connection. Raises `OSError` or `TimeoutError`."""
        async with asyncio.timeout(timeout_seconds or None) as limit:
            self._opening[limit] = line.endpoint
            try:
                return await self._dial(line, lambda: Upstream(self, line))
            finally:
                del self._opening[limit]

    def put_back(self, connection: Upstream) -> None:
        """Keep a connection for the next request, or close it when there are enough."""
        idle = connection.line.idle
        if len(idle) >= self._max_idle:
            connection.close()
            return
        connection.idle_since = now = self._now()
        idle.append(connection)
        if now + self._idle_seconds < self._alarm.at:
            self._alarm.set(now + self._idle_seconds)

    def forget(self, connection: Upstream) -> None:
        """Drop a connection that is closed."""
        self.all.discard(connection)
        if connection in connection.line.idle:
            connection.line.idle.remove(connection)

    def stop_opening(self, endpoint: Endpoint) -> None:
        """Give up the connections to an endpoint that are not open yet, as if their time were over."""
        for limit in [limit for limit, its in self._opening.items() if its == endpoint]:
            if not limit.expired():
                limit.reschedule(self._now())

    def close_endpoint(self, endpoint: Endpoint, reason: str) -> None:
        """Close every connection to an endpoint now, busy ones too: their owners are told."""
        self.stop_opening(endpoint)
        for connection in [connection for connection in self.all if connection.line.endpoint == endpoint]:
            owner = connection.owner
            connection.close()
            if owner is not None:
                owner.upstream_lost(reason)

    def look(self, now: float) -> float:
        """Close connections that have been idle for too long; return when the next one will have been."""
        soonest = NEVER
        for idle in [line.idle for line in self._lines.values()]:
            for connection in [each for each in idle if now - each.idle_since >= self._idle_seconds]:
                connection.close()
            if idle:
                soonest = min(soonest, idle[0].idle_since + self._idle_seconds)
        return soonest

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self.all):
            connection.close()


async def _dial(line: Line, protocol: Callable[[], Upstream]) -> Upstream:
    loop, endpoint = asyncio.get_running_loop(), line.endpoint
    if endpoint.unix_path is not None:
        connection = await _connected_to(endpoint.unix_path)
        return (await loop.create_unix_connection(protocol, sock=connection))[1]
    if line.tls_host:
        host = line.tls_host
        return (await loop.create_connection(protocol, endpoint.host, endpoint.port, ssl=True, server_hostname=host))[1]
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
