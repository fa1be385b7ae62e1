"""Run the gateway as the product does, with a stand-in for the supervisor: every model is at one address."""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvloop

from claracore.core.config.model import Config
from claracore.http.gateway.server import Doorway, Gateway, serve
from claracore.types import Endpoint, ModelState

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.core.loading.expected import ExpectedLoad
    from claracore.host.activity.record import Record
    from claracore.host.supervisor.contract import Connections, Waiter
    from claracore.http.asgi import Message, Scope


class AlwaysReady:
    """A supervisor for whom every model is ready."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.serving: set[int] = set()
        self.count = 0

    def connect(self, connections: Connections) -> None:
        pass

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        assert model_id
        self.count += 1
        self.serving.add(self.count)
        waiter.serve(self.endpoint)
        return self.count

    def finish(self, request_id: int) -> None:
        self.serving.remove(request_id)

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        assert model_id
        assert connection.fileno() >= 0
        return endpoint == self.endpoint

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        assert model_id
        return endpoint == self.endpoint

    async def why_lost(self, model_id: str, endpoint: Endpoint) -> str:
        raise AssertionError((model_id, endpoint))

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        raise AssertionError((request_id, model_id, endpoint, waiter))

    def keep(self, model_id: str, seconds: float) -> None:
        pass

    @property
    def expected_load(self) -> Callable[[str], ExpectedLoad]:
        raise AssertionError("nothing is loaded")

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        assert model_id
        return self.endpoint

    def position(self, request_id: int) -> int | None:
        assert request_id
        return None

    def state(self, model_id: str) -> ModelState:
        assert model_id
        return ModelState.READY


class Counting:
    """An observer that adds up, as metrics do."""

    def __init__(self) -> None:
        self.requests = 0
        self.tokens = 0
        self.seconds = 0.0

    def finished(self, record: Record) -> None:
        self.requests += 1
        self.seconds += (record.finished_at or 0) - record.arrived_at
        self.tokens += record.tokens().completion or 0

    def flush(self) -> None:
        pass


async def app(scope: Scope, _receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"OK"})


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    parser.add_argument("--keys", action="store_true")
    parser.add_argument("--activity", action="store_true")
    parser.add_argument("--filters", action="store_true")
    parser.add_argument("--profile", default="")
    given = parser.parse_args()
    model: dict[str, Any] = {"id": "smol", "cmd": "x"}
    if given.filters:
        model |= {"useModelName": "other", "filters": {"stripParams": "seed", "setParams": {"temperature": 0.7}}}
    config = Config.model_validate({"models": {"smol": model}, "apiKeys": ["secret"] if given.keys else []})
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(
        config,
        supervisor=AlwaysReady(Endpoint("127.0.0.1", given.upstream)),
        app=app,
        observer=Counting() if given.activity else None,
    )
    listener = socket.create_server(("127.0.0.1", given.port), backlog=2048)
    if given.profile:
        profile = cProfile.Profile()
        profile.enable()
        await serve(Doorway([listener], gateway), gateway=gateway, stop=stop, drain_seconds=1)
        profile.disable()
        profile.dump_stats(given.profile)
    else:
        await serve(Doorway([listener], gateway), gateway=gateway, stop=stop, drain_seconds=1)


if __name__ == "__main__":
    uvloop.run(main())
