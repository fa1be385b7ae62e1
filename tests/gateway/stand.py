"""What the gateway's tests stand on: a supervisor in a few lines, scripted model servers, raw clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from claracore.core.config.model import Config
from claracore.core.loading.expected import ExpectedLoad
from claracore.errors import ClaraCoreError
from claracore.host.activity.record import Record
from claracore.host.cluster.machines import Machines
from claracore.host.supervisor.contract import Connections, NoConnections, Waiter
from claracore.http.asgi import AsgiApp, Message, Scope
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.server import Doorway, Gateway, serve
from claracore.http.gateway.targets import ActiveProfile
from claracore.types import Endpoint, ModelState

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def play(conversation: Callable[[], Awaitable[None]], *, seconds: float = 20) -> None:
    """Run a conversation on the loop that the product uses; a conversation that hangs fails."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await conversation()

    uvloop.run(bounded())


class Trusting:
    """The part of a supervisor that checks who is reached: whoever it is. It notes for how long a model is to stay."""

    kept: dict[str, float]

    def keep(self, model_id: str, seconds: float) -> None:
        self.kept = {**getattr(self, "kept", {}), model_id: seconds}

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        del model_id, endpoint, connection
        return True

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        del model_id, endpoint
        return False

    async def why_lost(self, model_id: str, endpoint: Endpoint) -> str:
        del model_id, endpoint
        return ""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        del request_id, model_id, endpoint, waiter
        return False


class StandIn(Trusting):
    """A supervisor that has no processes: a model is ready when the test says so."""

    def __init__(self, **ready: Endpoint | None) -> None:
        self.endpoints = dict(ready)
        self.connections: Connections = NoConnections()
        self.waiters: dict[int, tuple[str, Waiter]] = {}
        self.expected: dict[str, float] = {}
        self.loads: dict[str, ExpectedLoad] = {}
        self.serving: set[int] = set()
        self.finished: list[int] = []
        self.arrived = 0
        self.left = asyncio.Event()
        self.came = asyncio.Event()

    def connect(self, connections: Connections) -> None:
        self.connections = connections

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        self.arrived += 1
        self.came.set()
        request_id = self.arrived
        endpoint = self.endpoints[model_id]
        if endpoint is None:
            self.waiters[request_id] = (model_id, waiter)
        else:
            self.serving.add(request_id)
            waiter.serve(endpoint)
        return request_id

    def finish(self, request_id: int) -> None:
        assert request_id in self.serving or request_id in self.waiters, f"request {request_id} finished twice"
        self.serving.discard(request_id)
        self.waiters.pop(request_id, None)
        self.finished.append(request_id)
        self.left.set()

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        return self.endpoints[model_id]

    def position(self, request_id: int) -> int | None:
        waiting = list(self.waiters)
        return waiting.index(request_id) + 1 if request_id in waiting else None

    def state(self, model_id: str) -> ModelState:
        return ModelState.READY if self.endpoints[model_id] else ModelState.STARTING

    def expected_load(self, model_id: str) -> ExpectedLoad:
        return self.loads.get(model_id, ExpectedLoad(self.expected.get(model_id)))

    def ready(self, model_id: str, endpoint: Endpoint) -> None:
        self.endpoints[model_id] = endpoint
        for request_id, (wanted, waiter) in list(self.waiters.items()):
            if wanted == model_id:
                del self.waiters[request_id]
                self.serving.add(request_id)
                waiter.serve(endpoint)

    def fail(self, model_id: str, error: ClaraCoreError) -> None:
        for request_id, (wanted, waiter) in list(self.waiters.items()):
            if wanted == model_id:
                del self.waiters[request_id]
                waiter.refuse(error)


class Notebook:
    """An observer that keeps the records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def finished(self, record: Record) -> None:
        self.records.append(record)

    def flush(self) -> None:
        pass


class ModelServer:
    """A model server that follows a script for each connection, and keeps what it was sent."""

    def __init__(self) -> None:
        self.endpoint = Endpoint()
        self.connections = 0
        self.open = 0
        self.closed = asyncio.Event()
        self.seen: list[bytes] = []

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b""
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                body = await reader.readexactly(int(line[15:]))
            elif line.startswith(b"transfer-encoding:"):
                while (size := await reader.readline()) != b"0\r\n":
                    body += await reader.readexactly(int(size, 16))
                    await reader.readline()
                await reader.readline()
        self.seen.append(head + body)
        return body


@asynccontextmanager
async def model_server(
    script: Callable[..., Awaitable[None]], *, unix: str | None = None
) -> AsyncIterator[ModelServer]:
    """Run a scripted model server; `script(server, reader, writer)` is called for each connection."""
    server = ModelServer()
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        server.open += 1
        try:
            await script(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            server.open -= 1
            server.closed.set()
            writer.close()
            tasks.discard(task)

    if unix is not None:
        listening = await asyncio.start_unix_server(handle, unix)
        server.endpoint = Endpoint(unix_path=unix)
    else:
        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        server.endpoint = Endpoint("127.0.0.1", listening.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answers(answer: bytes) -> Callable[..., Awaitable[None]]:
    """A script that gives the same answer to every request of a connection."""

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script


def config(**models: dict[str, Any]) -> Config:
    """A configuration with these models; the values are what a YAML file would say."""
    return Config.model_validate({"models": {name: {"id": name, "cmd": "x", **more} for name, more in models.items()}})


async def no_app(scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that knows one page."""
    body = b"page " + scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


class Stage:
    """A running gateway and clients for it."""

    def __init__(self, gateway: Gateway, supervisor: StandIn, notebook: Notebook, port: int) -> None:
        self.gateway = gateway
        self.supervisor = supervisor
        self.notebook = notebook
        self.port = port
        self.stop = asyncio.Event()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data: bytes) -> bytes:
        """Send bytes, end our side only when the server has ended its own, and return all that came back."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def stage(
    configuration: Config,
    supervisor: StandIn,
    *,
    app: AsgiApp = no_app,
    limits: PortLimits | None = None,
    profile: str | None = None,
    machines: Machines | None = None,
) -> AsyncIterator[Stage]:
    """Run a gateway on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    notebook = Notebook()
    active = ActiveProfile(profile)
    gateway = Gateway(
        configuration, supervisor=supervisor, app=app, observer=notebook, limits=limits, profile=active,
        machines=machines,
    )  # fmt: skip
    here = Stage(gateway, supervisor, notebook, listener.getsockname()[1])
    serving = asyncio.create_task(
        serve(Doorway([listener], gateway), gateway=gateway, stop=here.stop, drain_seconds=0.05)
    )
    try:
        yield here
    finally:
        here.stop.set()
        await serving
        assert not supervisor.serving, "a served request was never finished"


def post(path: str, body: bytes, *, more: str = "", connection: str = "close", kind: str = "application/json") -> bytes:
    """A POST with a body, of JSON unless `kind` says something else."""
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return (head + f"Connection: {connection}\r\n{more}\r\n").encode() + body
