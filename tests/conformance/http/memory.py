"""A gateway without sockets: bytes are handed to it in any pieces, and what it writes is kept.

Everything happens in the call that hands the bytes in (pipelined requests and the application need a few turns of the
loop).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claracore.core.config.model import Config
from claracore.core.loading.expected import NOTHING_EXPECTED, ExpectedLoad
from claracore.host.activity.record import Record
from claracore.http.asgi import Message, Scope
from claracore.http.gateway.alarm import NEVER, Alarm
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.pool import Pool
from claracore.http.gateway.server import Gateway
from claracore.http.gateway.upstream import Destination, IdleRules, UpstreamConnection
from claracore.types import Endpoint, ModelState
from gateway.stand import Trusting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from claracore.host.supervisor.contract import Connections, Waiter


@dataclass
class MemoryTransport:
    """One end of a connection: what was written, and whether it is still open."""

    written: bytearray = field(default_factory=bytearray)
    closed: bool = False
    eof: bool = False
    paused: bool = False
    protocol: Any = None

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not self.closed and not self.eof:
            self.written += data
            if self.protocol is not None:
                self.protocol(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def set_write_buffer_limits(self, **limits: int) -> None:
        assert limits

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("93.184.216.34", 4711), "sockname": ("127.0.0.1", 5800)}.get(name)

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    abort = close


class AlwaysReady(Trusting):
    """Every model is ready at the same place."""

    def __init__(self) -> None:
        self.serving: set[int] = set()
        self.count = 0

    def connect(self, connections: Connections) -> None:
        pass

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        assert model_id
        self.count += 1
        self.serving.add(self.count)
        waiter.serve(Endpoint("127.0.0.1", 9999))
        return self.count

    def finish(self, request_id: int) -> None:
        self.serving.remove(request_id)

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        return None if model_id == "cold" else Endpoint("127.0.0.1", 9999)

    def position(self, request_id: int) -> int | None:
        assert request_id
        return None

    def state(self, model_id: str) -> ModelState:
        return ModelState.STOPPED if model_id == "cold" else ModelState.READY

    def expected_load(self, model_id: str) -> ExpectedLoad:
        del model_id
        return NOTHING_EXPECTED


class ServersInMemory:
    """A pool of connections to a model server in memory, which answers each request with the next scripted answer."""

    def __init__(self, answers: list[bytes], *, bytewise: bool) -> None:
        alarm = Alarm(asyncio.get_running_loop(), lambda _: NEVER)
        self.pool = Pool(IdleRules(8, 60, alarm), self.dial)
        self.answers = list(answers)
        self.bytewise = bytewise
        self.sent: list[MemoryTransport] = []

    async def dial(self, _destination: Destination, protocol: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        connection = protocol()
        transport = MemoryTransport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        self.sent.append(transport)
        return connection

    def give_answers(self) -> bool:
        """Let every model server that was asked, and has heard the whole request, answer."""
        gave = False
        for connection in list(self.pool.connections):
            if connection.recipient is None or not connection.recipient.request_sent or not self.answers:
                continue
            answer = self.answers.pop(0)
            gave = True
            ends = answer.endswith(b"<close>")
            answer = answer.removesuffix(b"<close>")
            for piece in [answer[n : n + 1] for n in range(len(answer))] if self.bytewise else [answer]:
                if connection.recipient is not None:
                    connection.data_received(piece)
            if ends:
                connection.connection_lost(None)
        return gave


class Notes:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def finished(self, record: Record) -> None:
        self.records.append(record)

    def flush(self) -> None:
        pass


async def application(
    scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer with what was asked: method, path, query and body."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    said = b"%b %b %b|%b" % (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.body", "body": said})


CONFIG = Config.model_validate(
    {
        "models": {
            "m": {"id": "m", "cmd": "x", "aliases": ["alias"]},
            "org/m": {"id": "org/m", "cmd": "x"},
            "cold": {"id": "cold", "cmd": "x"},
            "based": {"id": "based", "proxy": "http://localhost:9999/base/"},
            "edited": {"id": "edited", "cmd": "x", "useModelName": "real", "filters": {"stripParams": "seed"}},
        }
    }
)
LOCKED = CONFIG.model_copy(update={"api_keys": ("key1", "key2")})
SETTINGS = PortLimits(max_head_bytes=1024, max_body_bytes=4096)


@dataclass
class Outcome:
    """What came of a conversation."""

    to_client: bytes
    to_server: list[bytes]
    closed: bool
    """Whether the gateway ended the connection (at least its own side of it)."""


async def converse(
    pieces: Iterable[bytes], answers: list[bytes], *, locked: bool = False, bytewise: bool = False
) -> Outcome:
    """Hand `pieces` to a fresh gateway, one after the other, letting everything happen that can happen after each."""
    supervisor = AlwaysReady()
    gateway = Gateway(
        LOCKED if locked else CONFIG, supervisor=supervisor, app=application, observer=Notes(), limits=SETTINGS
    )
    servers = ServersInMemory(answers, bytewise=bytewise)
    gateway.relay.pool = servers.pool
    connection = gateway.connection()
    transport = MemoryTransport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        if transport.closed:
            break
        connection.data_received(piece)
        await _settle(gateway, servers)
    outcome = Outcome(
        bytes(transport.written), [bytes(each.written) for each in servers.sent], transport.closed or transport.eof
    )
    connection.connection_lost(None)
    await _settle(gateway, servers)
    assert not supervisor.serving, "a request was never finished"
    await gateway.drain(0)
    return outcome


async def _settle(gateway: Gateway, servers: ServersInMemory) -> None:
    """Take turns of the loop until nothing has happened for a few: five are enough for the application to answer."""
    quiet = 0
    while quiet < (5 if gateway.tasks.running or gateway.clients.connections else 1):
        quiet = 0 if servers.give_answers() else quiet + 1
        await asyncio.sleep(0)
