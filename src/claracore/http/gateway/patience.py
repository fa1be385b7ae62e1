"""Does a model server that says nothing compute, or does it hang?

An answer that is not streamed says nothing until it is complete, which may take an hour, so that time alone tells
nothing. Signs of life are any byte in answer to its health check and processor time of its processes: a server with one
thread answers nobody while it computes. A look is taken once for all requests that wait for the same server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.errors import NotReadyInTime
from claracore.host.sockets.busy import processor_seconds
from claracore.http.gateway.answering import ANSWERING, CONNECTING, OVER, SENT

if TYPE_CHECKING:
    from claracore.http.gateway.exchange import Exchange
    from claracore.http.gateway.pool import Line
    from claracore.types import Endpoint

LEAST_SHARE = 0.01
"""Of one core. A server that waits for its own threads uses less; one that feeds a GPU uses more."""


class Patience:
    """Looks at the servers of requests that have waited for long."""

    def __init__(self, seconds: float, used: Callable[[Endpoint], float | None] = processor_seconds) -> None:
        """Take how long a look takes at the most, and what tells the processor time behind an endpoint."""
        self.seconds = seconds
        self.used = used
        self._looks: dict[Line, asyncio.Task[bool]] = {}

    def look_at(self, exchange: Exchange) -> None:
        """Decide about a request whose time to hear from its model server is up: it ends, waits on, or after a look."""
        target = exchange.target
        line = target.line if target is not None else None
        if target is None or line is None or exchange.record.status == 101:
            return
        seconds = target.response_head_timeout_seconds
        if seconds is not None:
            if exchange.phase is SENT or exchange.phase is CONNECTING:
                said = exchange.sentence(f"did not begin to answer within {seconds:g} s")
                exchange.cancel(NotReadyInTime(said))
        elif _has_spoken(exchange):
            _wait_on(exchange)
        else:
            looking = self._look_after(exchange, line, target.base_path + target.health_path)
            exchange.gateway.run(looking, name=f"look after request {exchange.record.request_id}")

    async def _look_after(self, exchange: Exchange, line: Line, path: bytes) -> None:
        if await self._lives(line, path) or _has_spoken(exchange):
            _wait_on(exchange)
        elif exchange.phase is not OVER:
            did = "says nothing any more" if exchange.phase is ANSWERING else "did not begin to answer"
            hangs = f"{did}, answers no GET {path.decode('latin-1')} and uses no processor: it hangs"
            exchange.cancel(NotReadyInTime(exchange.sentence(hangs)))

    async def _lives(self, line: Line, path: bytes) -> bool:
        look = self._looks.get(line)
        if look is None:
            look = asyncio.create_task(self._look(line, path), name=f"look whether {line.endpoint} lives")
            self._looks[line] = look
            look.add_done_callback(lambda _: self._looks.pop(line, None))
        return await asyncio.shield(look)

    async def _look(self, line: Line, path: bytes) -> bool:
        before = await self._used(line)
        try:
            async with asyncio.timeout(self.seconds):
                if await _answers(line, path):
                    return True
                await asyncio.Event().wait()  # it may be too busy: whether it works is seen at the end
        except TimeoutError:
            pass
        after = await self._used(line)
        return before is not None and after is not None and after - before >= LEAST_SHARE * self.seconds

    async def _used(self, line: Line) -> float | None:
        return None if line.tls_host else await asyncio.to_thread(self.used, line.endpoint)


def _has_spoken(exchange: Exchange) -> bool:
    """Whether the answer has grown since the last look, or would if the client took it."""
    heard = exchange.record.response_bytes if exchange.phase is ANSWERING else -1
    before, exchange.heard_before = exchange.heard_before, heard
    return heard >= 0 and (exchange.client_stalled or heard != before)


def _wait_on(exchange: Exchange) -> None:
    gateway = exchange.gateway
    if exchange.phase is not OVER:
        exchange.deadline = gateway.now() + gateway.settings.patience_seconds
        gateway.alarm.set(exchange.deadline)


async def _answers(line: Line, path: bytes) -> bool:
    """Whether anything comes in answer to a GET on a connection of its own."""
    endpoint, tls_host = line.endpoint, line.tls_host
    try:
        if endpoint.unix_path is not None:
            reader, writer = await asyncio.open_unix_connection(endpoint.unix_path)
        else:
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=True if tls_host else None, server_hostname=tls_host or None
            )
        try:
            host = tls_host.encode() or line.host
            writer.write(b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (path, host))
            return await reader.read(1) != b""
        finally:
            writer.transport.abort()
    except OSError:
        return False
