"""Whatever client, model server and supervisor do, in whichever order: one `finish`, one record, no connection left.

Everything happens in memory, step by step, as hypothesis has it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from claracore.errors import ModelFailed
from claracore.host.activity.captures import Captures
from claracore.http.gateway.server import Gateway
from claracore.http.gateway.upstream import UpstreamConnection
from claracore.types import Endpoint, ModelState
from conformance.http.corpus import OK, SSE, TINY, chunks, post
from conformance.http.memory import CONFIG, SETTINGS, MemoryTransport, Notes, ServersInMemory, application
from gateway.stand import StandIn

HERE = Endpoint("127.0.0.1", 9999)
UPLOAD = post(b'{"model":"m","image":"' + b"A" * 3000 + b'"}')
TO_APPLICATION = post(b"A" * 3000, path=b"/api/echo")
CLIENTS: tuple[bytes, ...] = (
    post(),
    post() * 2,
    post(TINY, version=b"HTTP/1.0"),
    chunks(b"d\r\n" + TINY + b"\r\n0\r\n\r\n"),
    UPLOAD,
)
CLIENTS += (TO_APPLICATION, chunks(b"3\r\n" + TINY[:3] + b"\r\na\r\n" + TINY[3:] + b"\r\n0\r\n\r\n"))
BROKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
ANSWERS = (OK, SSE, BROKEN, b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"nonsense\r\n\r\n")
STEPS: tuple[str, ...] = (
    "client sends",
    "server sends",
    "server closes",
    "server slow",
    "server keeps up",
    "client slow",
)
STEPS += ("client keeps up", "client ends", "client gone", "ready", "fail", "cancel", "stop model", "turn", "late")


class Tail(StandIn):
    """A supervisor whose model starts cold, and that forgets nobody."""

    def state(self, model_id: str) -> ModelState:
        return ModelState.READY if self.endpoints.get(model_id) else ModelState.STARTING


class Play:
    """One conversation that goes wrong."""

    def __init__(self, client: bytes, answer: bytes, *, ready: bool, budget: int) -> None:
        self.supervisor = Tail(m=HERE if ready else None)
        self.notes = Notes()
        self.gateway = Gateway(
            CONFIG,
            supervisor=self.supervisor,
            app=application,
            observer=self.notes,
            limits=replace(SETTINGS, body_budget_bytes=budget),
            captures=Captures(4096),
        )
        self.pool = self.gateway.relay.pool = ServersInMemory([], bytewise=False).pool
        self.connection = self.gateway.connection()
        self.transport = MemoryTransport()
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.client, self.answer = client, answer
        self.left = False

    def serving(self) -> UpstreamConnection | None:
        return next((its for its in list(self.pool.connections) if its.recipient is not None), None)

    async def step(self, step: str, size: int) -> None:  # noqa: C901, PLR0912 - a match over all steps is a table
        gone = self.left or self.transport.closed
        server = self.serving()
        match step:
            case "client sends" if not gone:
                piece, self.client = self.client[:size], self.client[size:]
                if piece:
                    self.connection.data_received(piece)
            case "server sends" if server is not None:
                server.data_received(self.answer[:size] or b"x")
                self.answer = self.answer[size:]
            case "server closes" if server is not None:
                server.connection_lost(None)
            case "server slow" if server is not None:
                server.pause_writing()
            case "server keeps up" if server is not None:
                server.resume_writing()
            case "client slow" if not gone:
                self.connection.pause_writing()
            case "client keeps up" if not gone:
                self.connection.resume_writing()
            case "client ends" if not gone:
                self.left = self.transport.closed = not self.connection.eof_received()
            case "client gone" if not gone:
                self.go()
            case "ready":
                self.supervisor.ready("m", HERE)
            case "fail":
                self.supervisor.fail("m", ModelFailed("m", "exit code 1"))
            case "cancel":
                for request_id in list(self.gateway.in_flight):
                    assert self.gateway.cancel(request_id)
            case "stop model":
                self.gateway.relay.close_endpoint(HERE, "it is being stopped")
            case "late":
                self.gateway.look_after(self.gateway.relay.now() + 1e6)
            case _:
                await asyncio.sleep(0)

    def go(self) -> None:
        self.left = self.transport.closed = True
        self.connection.connection_lost(None)

    async def end(self) -> None:
        if not self.left:
            self.go()
        elif self.connection in self.gateway.clients.connections:
            self.connection.connection_lost(None)
        await asyncio.sleep(0)
        self.supervisor.ready("m", HERE)
        await self.gateway.drain(0)
        assert not self.gateway.in_flight
        assert not self.supervisor.serving, "a served request was never finished"
        assert len(self.supervisor.finished) == len(set(self.supervisor.finished))
        ids = [record.ticket for record in self.notes.records if record.ticket is not None]
        assert len(ids) == len(set(ids)) == self.supervisor.arrived
        assert not self.pool.connections, "a connection to the model server is left"
        assert self.gateway.relay.budget.taken == 0, "memory for a body was not given back"


def played(client: bytes, answer: bytes, steps: list[tuple[str, int]], *, ready: bool, budget: int) -> None:
    async def conversation() -> None:
        play: Any = Play(client, answer, ready=ready, budget=budget)
        for step, size in steps:
            await play.step(step, size)
            owned = [its for its in play.pool.connections if its.recipient is not None]
            assert len(owned) <= 1, "one request at a time, one connection"
            assert 0 <= play.gateway.relay.budget.taken <= budget
        with contextlib.suppress(asyncio.CancelledError):
            await play.end()

    asyncio.run(conversation())


@settings(max_examples=400)
@given(
    st.sampled_from(CLIENTS),
    st.sampled_from(ANSWERS),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from((1, 40, 90, 200, 5000))), max_size=25),
    st.booleans(),
    st.sampled_from((0, 100, 1000, 1 << 20)),
)
def test_chaos(
    client: bytes,
    answer: bytes,
    steps: list[tuple[str, int]],
    ready: bool,  # noqa: FBT001 - drawn
    budget: int,
) -> None:
    played(client, answer, [("client sends", 5000), *steps] if len(steps) % 2 else steps, ready=ready, budget=budget)
