"""A model server that hangs ends its requests; one that computes, however long and silent, is waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from claracore.host.sockets.busy import processor_seconds
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.upstream import UpstreamConnection
from claracore.types import Endpoint
from fakes.running import line_with, python, running
from gateway.stand import ModelServer, Stage, StandIn, config, model_server, play, post, stage

CHAT = b'{"model":"smol","messages":[]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SOON = PortLimits(silence_seconds=0.01, sign_of_life_seconds=0.05)
PATIENT = PortLimits(silence_seconds=0.01, sign_of_life_seconds=20)
"""A sign of life is waited for as long as a busy machine may take."""
IDLE: list[float | None] = [1.0]
BUSY: list[float | None] = [float(seconds) for seconds in range(1000)]
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def asking(
    script: Callable[..., Awaitable[None]],
    *,
    limits: PortLimits = SOON,
    used: list[float | None] = IDLE,
    **more: Any,
) -> AsyncIterator[tuple[Stage, ModelServer]]:
    """A gateway before a scripted server; `used` is the processor time that is seen, the last for ever."""
    seen = list(used)

    def processor_time(_endpoint: Endpoint) -> float | None:
        return seen.pop(0) if len(seen) > 1 else seen[0]

    async with (
        model_server(script) as server,
        stage(config(smol=more), StandIn(smol=server.endpoint), limits=limits) as here,
    ):
        here.gateway.relay.liveness.processor_seconds = processor_time
        yield here, server


async def says_nothing(_server: ModelServer, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.Event().wait()


def test_one_that_accepts_and_never_answers_ends_the_request() -> None:
    async def conversation() -> None:
        async with asking(says_nothing) as (here, _server):
            first, second = await asyncio.gather(*(here.say(post("/v1/completions", CHAT)) for _ in range(2)))
            for answer in (first, second):
                assert answer.startswith(b"HTTP/1.1 504 ")
                assert b"answers no GET /health and uses no processor: it hangs" in answer
            assert here.supervisor.finished == [1, 2]

    play(conversation)


def test_one_that_never_answers_and_cannot_be_seen_ends_it_too() -> None:
    async def conversation() -> None:
        async with asking(says_nothing, used=[None]) as (here, _server):
            assert (await here.say(post("/v1/completions", CHAT))).startswith(b"HTTP/1.1 504 ")

    play(conversation)


def test_one_that_stops_in_the_middle_of_a_stream_ends_it_with_an_event() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        if server.connections == 1:
            writer.write(SSE + b"b\r\ndata: one\n\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with asking(script) as (here, _server):
            answer = await here.say(post("/v1/completions", b'{"model":"smol","stream":true}'))
            assert b"data: one" in answer
            assert b"says nothing any more" in answer
            assert answer.endswith(b"\r\n0\r\n\r\n")

    play(conversation)


def test_one_that_answers_its_health_check_is_waited_for() -> None:
    looks, enough = 0, asyncio.Event()

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal looks
        await server.read_request(reader)
        if server.seen[-1].startswith(b"GET /v1/alive "):
            looks += 1
            if looks == 2:
                enough.set()
            writer.write(b"HTTP/1.1 404 Not Found\r\n")
            await reader.read()
        else:
            await enough.wait()
            writer.write(OK)

    async def conversation() -> None:
        proxy = "http://localhost:${PORT}/v1"
        async with asking(script, limits=PATIENT, proxy=proxy, checkEndpoint="/alive") as (here, _server):
            assert (await here.say(post("/completions", CHAT))).startswith(b"HTTP/1.1 200 OK")
            assert looks == 2

    play(conversation)


def test_one_that_uses_the_processor_is_waited_for() -> None:
    asked, enough = 0, asyncio.Event()

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await server.read_request(reader)
        if server.seen[-1].startswith(b"GET "):
            asked += 1
            if asked == 2:
                enough.set()
            await reader.read()
        else:
            await enough.wait()
            writer.write(OK)

    async def conversation() -> None:
        async with asking(script, used=BUSY) as (here, _server):
            assert (await here.say(post("/v1/completions", CHAT))).startswith(b"HTTP/1.1 200 OK")

    play(conversation)


def test_zero_means_no_limit_and_no_look() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await others.wait()
        writer.write(OK)

    others = asyncio.Event()

    async def conversation() -> None:
        async with asking(script, timeouts={"responseHeader": 0}) as (here, server):
            answer = asyncio.create_task(here.say(post("/v1/completions", CHAT)))
            await here.supervisor.came.wait()
            [exchange] = here.gateway.in_flight.values()
            here.gateway.look_after(here.gateway.relay.now() + 1e6)
            assert exchange.deadline == float("inf")
            others.set()
            assert (await answer).startswith(b"HTTP/1.1 200 OK")
            assert server.connections == 1

    play(conversation)


def test_a_limit_counts_while_a_connection_is_opened() -> None:
    async def never(*_: object) -> UpstreamConnection:
        await asyncio.Event().wait()
        raise AssertionError

    async def conversation() -> None:
        async with asking(says_nothing, timeouts={"responseHeader": 0.01}) as (here, _server):
            here.gateway.relay.pool._dial = never
            answer = await here.say(post("/v1/completions", CHAT))
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert b"did not begin to answer within 0.01 s" in answer

    play(conversation)


# Real processes: one thread, so that no health check is answered while a request is.
ONE_THREAD = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=16)
print("port", listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
while b"\\r\\n\\r\\n" not in connection.recv(65536):
    pass
DO
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
connection.recv(1)
"""
REAL = PortLimits(silence_seconds=0.01, sign_of_life_seconds=1.0)


@asynccontextmanager
async def real(what: str) -> AsyncIterator[tuple[Stage, int]]:
    """A gateway before a process that does `what` before it answers; gives the process id as well."""
    async with running(*python(ONE_THREAD.replace("DO", what))) as (child, output):
        port = int((await line_with(output, "port")).split()[-1])
        supervisor = StandIn(smol=Endpoint("127.0.0.1", port))
        async with stage(config(smol={}), supervisor, limits=REAL) as here:
            yield here, child.pid


def test_a_process_that_computes_with_its_only_thread_is_waited_for(tmp_path: Path) -> None:
    flag = tmp_path / "looked"

    async def conversation() -> None:
        async with real(f"while not os.path.exists({str(flag)!r}): pass") as (here, _pid):
            looked, liveness = asyncio.Event(), here.gateway.relay.liveness
            wait_on = liveness._look

            async def noting(*arguments: object) -> bool:
                lives = await wait_on(*arguments)  # type: ignore[arg-type] # the same
                looked.set()
                return lives

            liveness._look = noting  # type: ignore[method-assign, assignment] # to hear of it
            answer = asyncio.create_task(here.say(post("/v1/completions", CHAT)))
            await looked.wait()
            flag.touch()
            assert (await answer).startswith(b"HTTP/1.1 200 OK")

    play(conversation, seconds=60)


def test_a_process_that_sleeps_for_ever_or_was_stopped_ends_the_request() -> None:
    async def conversation() -> None:
        async with real("__import__('signal').pause()") as (here, pid):
            assert (await here.say(post("/v1/completions", CHAT))).startswith(b"HTTP/1.1 504 ")
            os.kill(pid, signal.SIGSTOP)
            assert (await here.say(post("/v1/completions", CHAT))).startswith(b"HTTP/1.1 504 ")

    play(conversation, seconds=60)


WORKER = """
import os, signal, socket, time
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
if os.fork() == 0:
    listener.close()
    while time.process_time() < 0.2:
        pass
    print("port", port, flush=True)
signal.pause()
"""


def test_the_processor_time_is_that_of_the_whole_session() -> None:
    async def conversation() -> None:
        async with running(*python(WORKER)) as (_child, output):
            port = int((await line_with(output, "port")).split()[-1])
            assert (processor_seconds(Endpoint("127.0.0.1", port)) or 0.0) >= 0.19, "the worker does not listen itself"

    play(conversation, seconds=60)


def test_who_does_not_listen_has_no_processor_time() -> None:
    assert processor_seconds(Endpoint("127.0.0.1", 1)) is None
    assert processor_seconds(Endpoint(unix_path="/nowhere/a.sock")) is None


def test_a_server_on_a_unix_socket_has_processor_time_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen()
        assert processor_seconds(Endpoint(unix_path=str(tmp_path / "a.sock")))
