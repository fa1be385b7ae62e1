"""Our own code asks a model, as a request like others or beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from claracore.errors import ClaraCoreError, Conflict, ModelFailed, ModelNotFound, UpstreamFailed
from claracore.host.activity.tokens import Tokens
from claracore.http.gateway.inside import MOST_UNREAD_BYTES
from claracore.types import Endpoint
from fakes.ports import free_port
from gateway.stand import ModelServer, Stage, StandIn, answers, config, model_server, play, stage

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def streams(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await server.read_request(reader)
        writer.write(STREAM)
        for word in (b"one", b"two"):
            writer.write(b"%x\r\ndata: %b\n\n\r\n" % (len(word) + 8, word))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


def asking(
    script: Callable[..., Awaitable[None]], then: Callable[[Stage, ModelServer], Awaitable[None]], **more: str
) -> Callable[[], Awaitable[None]]:
    async def story() -> None:
        async with model_server(script) as server, stage(config(m=more), StandIn(m=server.endpoint)) as here:
            await then(here, server)
            assert not here.gateway.in_flight
            assert not here.gateway.relay.uncounted

    return story


def test_one_that_counts_is_a_request_like_others() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        for _ in range(2):
            async with await here.gateway.inside.ask(
                "m", "POST", "/v1/completions?x=1", headers=[("Content-Type", "application/json")], body=b'{"n":1}'
            ) as reply:
                assert reply.status == 200
                assert reply.headers == [("content-type", "application/json"), ("x-two", "2"), ("content-length", "2")]
                assert await reply.read(100) == b"{}"
        assert server.connections == 1, "the connection was used again"
        [record, _] = here.notebook.records
        assert server.seen[0] == (
            b"POST /base/v1/completions?x=1 HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b'Content-Length: 7\r\nX-Request-Id: %b\r\n\r\n{"n":1}'
            % (server.endpoint.authority.encode(), record.request_id)
        )
        assert here.supervisor.finished == [1, 2]
        assert (record.model, record.method, record.path, record.status) == ("m", "POST", "/v1/completions", 200)
        assert (record.request_bytes, record.response_bytes) == (7, 2)
        assert record.tokens() == Tokens()

    play(asking(answers(OK), then, proxy="http://localhost:${PORT}/base"))


def test_one_that_does_not_count_leaves_no_trace() -> None:
    async def then(here: Stage, server: ModelServer) -> None:
        async with await here.gateway.inside.ask("m", "GET", "/metrics", counts=False) as reply:
            assert await reply.read(100) == b"{}"
        host = server.endpoint.authority.encode()
        assert server.seen[0].startswith(b"GET /metrics HTTP/1.1\r\nHost: %b\r\nX-Request-Id: " % host)
        assert len(server.seen) == 1
        assert (here.supervisor.arrived, here.notebook.records) == (0, [])

    play(asking(answers(OK), then))


def test_one_that_does_not_count_does_not_load_its_model() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            with pytest.raises(Conflict):
                await here.gateway.inside.ask("m", "GET", "/metrics", counts=False)
            assert (here.supervisor.arrived, here.notebook.records) == (0, [])

    play(story)


def test_one_that_counts_waits_for_its_model() -> None:
    async def story() -> None:
        async with model_server(streams) as server, stage(config(m={}), StandIn(m=None)) as here:
            asked = asyncio.create_task(here.gateway.inside.ask("m", "POST", "/v1/completions"))
            await here.supervisor.came.wait()
            assert list(here.gateway.in_flight) == [1]
            here.supervisor.ready("m", server.endpoint)
            pieces = [piece async for piece in await asked]
            assert b"".join(pieces) == b"data: one\n\ndata: two\n\n"
            assert here.supervisor.finished == [1]

    play(story)


def test_errors_reach_whoever_asks() -> None:
    async def breaks_off(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(STREAM + b"5\r\nhello\r\n")

    async def story() -> None:
        supervisor = StandIn(m=None, gone=Endpoint("127.0.0.1", free_port()), broken=None)
        async with (
            model_server(breaks_off) as server,
            stage(config(m={}, gone={}, broken={}), supervisor) as here,
        ):
            supervisor.endpoints["broken"] = server.endpoint
            inside = here.gateway.inside
            with pytest.raises(ModelNotFound):
                await inside.ask("nobody", "GET", "/")
            with pytest.raises(UpstreamFailed, match="could not be reached"):
                await inside.ask("gone", "GET", "/")
            with pytest.raises(ValueError, match="line end"):
                await inside.ask("gone", "GET", "/\r\nX: 1")
            refused = asyncio.create_task(inside.ask("m", "GET", "/"))
            while not supervisor.waiters:  # noqa: ASYNC110 - the next turn of the loop
                await asyncio.sleep(0)
            supervisor.fail("m", ModelFailed("m", "exit code 1"))
            with pytest.raises(ModelFailed):
                await refused
            async with await inside.ask("broken", "GET", "/") as reply:
                with pytest.raises(UpstreamFailed, match="broke off"):
                    await reply.read(100)
            assert not here.gateway.in_flight

    play(story)


def test_it_can_be_cancelled_and_left() -> None:
    async def begins(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(STREAM + b"5\r\nhello\r\n")
        await reader.read()

    async def then(here: Stage, server: ModelServer) -> None:
        reply = await here.gateway.inside.ask("m", "GET", "/")
        assert here.gateway.cancel(1)
        with pytest.raises(ClaraCoreError, match="cancelled"):
            await reply.read(100)
        async with await here.gateway.inside.ask("m", "GET", "/") as left:
            assert await anext(left) == b"hello"
        assert here.supervisor.finished == [1, 2]
        assert here.notebook.records[1].client_left
        while server.open:
            server.closed.clear()
            await server.closed.wait()

    play(asking(begins, then))


def test_one_that_waits_for_its_answer_is_ended_when_its_task_is() -> None:
    async def begins(server: ModelServer, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await reader.read()

    async def then(here: Stage, server: ModelServer) -> None:
        asked = asyncio.create_task(here.gateway.inside.ask("m", "GET", "/"))
        while not server.seen:  # noqa: ASYNC110 - the kernel tells
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert here.supervisor.finished == [1]

    play(asking(begins, then))


def test_a_slow_reader_slows_the_model_server_down() -> None:
    size = 64 * MOST_UNREAD_BYTES
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(whole + bytes(size))
        await writer.drain()

    async def then(here: Stage, _server: ModelServer) -> None:
        async with await here.gateway.inside.ask("m", "GET", "/") as reply:
            [request] = here.gateway.in_flight.values()
            while not request.client_stalled:  # noqa: ASYNC110 - the kernel tells
                await asyncio.sleep(0)
            assert request.record.response_bytes < size // 2
            assert len(await reply.read(size)) == size
        with pytest.raises(UpstreamFailed, match="more than 100 bytes"):
            async with await here.gateway.inside.ask("m", "GET", "/") as reply:
                await reply.read(100)

    play(asking(script, then))
