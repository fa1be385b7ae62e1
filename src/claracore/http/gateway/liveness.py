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
from claracore.http.gateway.inflight import ANSWERING, CONNECTING, OVER, SENT, InFlight

if TYPE_CHECKING:
    from claracore.http.gateway.alarm import Alarm
    from claracore.http.gateway.contract import PortLimits
    from claracore.http.gateway.tasks import Tasks
    from claracore.http.gateway.upstream import Destination
    from claracore.types import Endpoint

NODE_LOST_SECONDS = 15.0
"""An answer from a machine that is taken to be lost ends after so much silence: a cable may be out for as long."""
LEAST_SHARE = 0.01
"""Of one core. A server that waits for its own threads uses less; one that feeds a GPU uses more."""


class Liveness:
    """Looks at the servers of requests that have waited for long."""

    def __init__(self, limits: PortLimits, alarm: Alarm, tasks: Tasks) -> None:
        self.processor_seconds: Callable[[Endpoint], float | None] = processor_seconds
        """Tells how much processor time the processes behind an endpoint have used; None when that cannot be seen."""
        self._limits = limits
        self._alarm = alarm
        self._tasks = tasks
        self._looks: dict[Destination, asyncio.Task[bool]] = {}

    def look_at(self, request: InFlight) -> None:
        """Decide about a request whose time to hear from its model server is up: it ends, waits on, or after a look."""
        target = request.target
        destination = target.destination if target is not None else None
        if target is None or destination is None:
            return
        seconds = target.response_head_timeout_seconds
        if request.node_lost:
            self._look_at_lost(request)
        elif request.record.status == 101:
            return  # neither side of a switched protocol has to say anything
        elif seconds is not None:
            if request.phase is SENT or request.phase is CONNECTING:
                what = request.sentence(f"did not begin to answer within {seconds:g} s")
                request.cancel(NotReadyInTime(what))
        elif _has_spoken(request):
            self._wait_on(request)
        else:
            looking = self._look_after(request, destination, target.base_path + target.health_path)
            self._tasks.run(looking, name=f"look after request {request.record.ticket}")

    def _look_at_lost(self, request: InFlight) -> None:
        """Let an answer go on whose machine is taken to be lost while it comes; else end it."""
        if _has_spoken(request):
            request.deadline = asyncio.get_running_loop().time() + NODE_LOST_SECONDS
            self._alarm.set(request.deadline)
        else:
            request.cancel(request.failure(f"was lost: {request.node_lost}"))

    async def _look_after(self, request: InFlight, destination: Destination, path: bytes) -> None:
        if await self._lives(destination, path) or _has_spoken(request):
            self._wait_on(request)
        elif request.phase is not OVER:
            did = "says nothing any more" if request.phase is ANSWERING else "did not begin to answer"
            hangs = f"{did}, answers no GET {path.decode('latin-1')} and uses no processor: it hangs"
            request.cancel(NotReadyInTime(request.sentence(hangs)))

    def _wait_on(self, request: InFlight) -> None:
        if request.phase is not OVER:
            request.deadline = asyncio.get_running_loop().time() + self._limits.silence_seconds
            self._alarm.set(request.deadline)

    async def _lives(self, destination: Destination, path: bytes) -> bool:
        look = self._looks.get(destination)
        if look is None:
            look = asyncio.create_task(self._look(destination, path), name=f"look whether {destination.endpoint} lives")
            self._looks[destination] = look
            look.add_done_callback(lambda _: self._looks.pop(destination, None))
        return await asyncio.shield(look)

    async def _look(self, destination: Destination, path: bytes) -> bool:
        before = await self._used(destination)
        try:
            async with asyncio.timeout(self._limits.sign_of_life_seconds):
                if await _answers(destination, path):
                    return True
                await asyncio.Event().wait()  # it may be too busy: whether it works is seen at the end
        except TimeoutError:
            pass
        after = await self._used(destination)
        return (
            before is not None
            and after is not None
            and after - before >= LEAST_SHARE * self._limits.sign_of_life_seconds
        )

    async def _used(self, destination: Destination) -> float | None:
        return None if destination.tls_host else await asyncio.to_thread(self.processor_seconds, destination.endpoint)


def _has_spoken(request: InFlight) -> bool:
    """Whether the answer has grown since the last look, or would if the client took it."""
    come = request.record.response_bytes if request.phase is ANSWERING else -1
    before, request.bytes_at_last_look = request.bytes_at_last_look, come
    return come >= 0 and (request.client_stalled or come != before)


async def _answers(destination: Destination, path: bytes) -> bool:
    """Whether anything comes in answer to a GET on a connection of its own."""
    endpoint, tls_host = destination.endpoint, destination.tls_host
    try:
        if endpoint.unix_path is not None:
            reader, writer = await asyncio.open_unix_connection(endpoint.unix_path)
        else:
            trusted = await destination.trusted() if tls_host else None
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=trusted, server_hostname=tls_host or None
            )
        try:
            host = tls_host.encode() or destination.host
            writer.write(b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (path, host))
            return await reader.read(1) != b""
        finally:
            writer.transport.abort()
    except OSError:
        return False
