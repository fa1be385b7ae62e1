"""What networks, model servers and clients do to each other, over real sockets."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import tempfile
from pathlib import Path

import pytest

from claracore.core.loading.expected import ExpectedLoad
from claracore.core.loading.phases import LoadPhase
from claracore.core.units import GIB
from claracore.errors import ModelFailed
from claracore.host.activity.tokens import Tokens
from claracore.host.supervisor.contract import Waiter
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.request import ModelRequest
from claracore.types import Endpoint
from gateway.stand import ModelServer, StandIn, answers, config, model_server, play, post, stage

CHAT = b'{"model":"smol","messages":[],"stream":true}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_stale_connection_is_tried_again_once() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(OK)
        if server.connections == 1:
            await server.read_request(reader)  # and closes without an answer, as a server whose time is up does

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            assert (await here.say(post("/v1/completions", CHAT))).endswith(b"{}")
            assert (await here.say(post("/v1/completions", CHAT))).endswith(b"{}")
            assert server.connections == 2
            assert len(server.seen) == 3

    play(conversation)


def test_a_post_below_upstream_is_not_repeated() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(OK)
        await server.read_request(reader)

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            assert (await here.say(post("/upstream/smol/x", b"a"))).endswith(b"{}")
            assert (await here.say(post("/upstream/smol/x", b"a"))).startswith(b"HTTP/1.1 502 ")
            assert server.connections == 1

    play(conversation)


def test_nobody_listens() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=Endpoint("127.0.0.1", 1))
        async with stage(config(smol={}), supervisor) as here:
            answer = await here.say(post("/v1/completions", CHAT))
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b"could not be reached: 127.0.0.1:1" in answer
            assert supervisor.finished == [1]

    play(conversation)


def test_a_unix_socket() -> None:
    async def conversation() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "s")
            async with (
                model_server(answers(OK), unix=path) as server,
                stage(config(smol={}), StandIn(smol=server.endpoint)) as here,
            ):
                assert (await here.say(post("/v1/completions", CHAT))).endswith(b"{}")
                assert b"\r\nHost: localhost\r\n" in server.seen[0]

    play(conversation)


def test_connections_are_closed_before_a_server_is_stopped() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE + b"b\r\ndata: one\n\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(post("/v1/chat/completions", CHAT))
                await reader.readuntil(b"one\n\n\r\n")
                supervisor.connections.close_endpoint(server.endpoint, "it is being stopped")
                rest = await reader.read()
                assert b"event: error\n" in rest
                assert b"it is being stopped" in rest
                assert rest.endswith(b"\r\n0\r\n\r\n")
                await server.closed.wait()
                writer.close()

    play(conversation)


def test_a_slow_reader_slows_its_model_server() -> None:
    written = 0

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        piece = b"x" * 100_000
        for _ in range(2000):
            writer.write(piece)
            await writer.drain()
            written += len(piece)

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            reader, writer = await here.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post("/v1/completions", CHAT))
            before = -1
            while before != written or not written:
                before = written
                await asyncio.sleep(0.1)
            assert written < 100_000_000
            connection = next(iter(here.gateway.clients.connections))
            assert connection.transport.get_write_buffer_size() < 1 << 20
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            total = len(await reader.read())
            assert total > 200_000_000
            writer.close()

    play(conversation)


def test_a_long_upload_is_sent_on_while_it_comes() -> None:
    arrived = asyncio.Event()

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.seen.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(100_000)
        arrived.set()
        await reader.readexactly(900_000)
        writer.write(OK)

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            reader, writer = await here.connect()
            request = post("/v1/completions", b'{"model":"smol","image":"' + b"A" * 999_973 + b'"}')
            writer.write(request[:200_000])
            await arrived.wait()
            writer.write(request[200_000:])
            assert (await reader.read()).endswith(b"{}")
            assert b"Content-Length: 1000000\r\n" in server.seen[0]
            writer.close()

    play(conversation)


def test_a_long_upload_whose_model_comes_last_is_collected() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            body = b'{"image":"' + b"A" * 3_000_000 + b'","model":"smol"}'
            assert (await here.say(post("/v1/completions", body))).endswith(b"{}")
            assert server.seen[0].endswith(body)

    play(conversation)


def test_an_upload_waits_in_the_kernel_while_the_model_loads() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(smol=None)
            async with stage(config(smol={}), supervisor) as here:
                reader, writer = await here.connect()
                body = b'{"model":"smol","image":"' + b"A" * 30_000_000 + b'"}'
                writer.write(post("/v1/completions", body))
                await supervisor.came.wait()
                for _ in range(50):
                    await asyncio.sleep(0)
                [exchange] = here.gateway.in_flight.values()
                assert exchange.record.request_bytes < 1 << 20
                supervisor.ready("smol", server.endpoint)
                assert (await reader.read()).endswith(b"{}")
                assert server.seen[0].endswith(body)
                writer.close()

    play(conversation)


def test_a_websocket_both_ways() -> None:
    async def script(_server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while (data := await reader.read(1000)) != b"bye":
            writer.write(data.upper())

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(
                    b"GET /upstream/smol/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                )
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                for word in (b"one", b"two"):
                    writer.write(word)
                    assert await reader.readexactly(3) == word.upper()
                writer.write(b"bye")
                assert await reader.read() == b""
                assert supervisor.finished == [1]
                writer.close()

    play(conversation)


def test_a_websocket_that_does_not_count_is_no_request_and_goes_with_its_model() -> None:
    async def script(_server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(1000):
            writer.write(data.upper())

    ask = b"GET /upstream/smol/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={"compat": {"ignoreWebsockets": True}}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(ask)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                writer.write(b"one")
                assert await reader.readexactly(3) == b"ONE"
                assert (supervisor.arrived, supervisor.finished, here.gateway.in_flight) == (0, [], {})
                assert len(here.gateway.relay.uncounted) == 1
                supervisor.connections.close_endpoint(
                    server.endpoint, "it is being stopped"
                )  # somebody else is to have its place
                assert await reader.read() == b""
                assert (supervisor.finished, here.gateway.relay.uncounted) == ([], set())
                assert [record.status for record in here.notebook.records] == [101]
                writer.close()
                supervisor.endpoints["smol"] = None
                reader, writer = await here.connect()
                writer.write(ask)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 409 ")
                assert supervisor.arrived == 0
                writer.close()

    play(conversation)


def test_the_loading_state_is_valid_and_ends_with_the_answer() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=None)
            async with stage(config(smol={"sendLoadingState": True}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(post("/v1/chat/completions", CHAT))
                await reader.readuntil(b"loading smol")
                supervisor.ready("smol", server.endpoint)
                rest = await reader.read()
                assert b"ready" in rest
                assert rest.endswith(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
                assert here.notebook.records[0].waited_for_load
                writer.close()

    play(conversation)


def test_the_loading_state_says_how_long_it_takes_as_soon_as_that_is_known() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        limits = PortLimits(loading_tick_seconds=0.01)
        async with stage(config(smol={"sendLoadingState": True}), supervisor, limits=limits) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT))
            await reader.readuntil(b'"reasoning_content":"loading smol"')
            supervisor.expected["smol"] = 8.2
            await reader.readuntil(b'"reasoning_content":", about 8 s"')
            supervisor.expected["smol"] = 7.4  # the text stays: who reads it counts, too
            await reader.readuntil(b'"reasoning_content":"."')
            supervisor.fail("smol", ModelFailed("smol", "exit code 1"))
            assert b"about 7 s" not in await reader.read()
            writer.close()

    play(conversation)


def test_the_loading_state_says_what_the_load_is_at_and_how_far() -> None:
    def reading(read: int) -> ExpectedLoad:
        words = f"reading weights {read}.0 of 8.0 GiB"
        return ExpectedLoad(8.2, 0.1, LoadPhase.WEIGHTS, words, read * GIB, 8 * GIB)

    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        limits = PortLimits(loading_tick_seconds=0.01)
        async with stage(config(smol={"sendLoadingState": True}), supervisor, limits=limits) as here:
            reader, writer = await here.connect()
            supervisor.loads["smol"] = ExpectedLoad(8.2, 0.0, LoadPhase.STARTING, "starting the engine")
            writer.write(post("/v1/chat/completions", CHAT))
            await reader.readuntil(b'"reasoning_content":"loading smol, about 8 s"')
            await reader.readuntil(b'"reasoning_content":"."')
            supervisor.loads["smol"] = reading(1)
            await reader.readuntil(rb'"reasoning_content":"\nreading weights 1.0 of 8.0 GiB"')
            supervisor.loads["smol"] = reading(3)
            await reader.readuntil(b'"reasoning_content":" 3.0 GiB"')
            supervisor.loads["smol"] = ExpectedLoad(3.1, 0.9, LoadPhase.WARMUP, "warming up", None, 8 * GIB)
            await reader.readuntil(rb'"reasoning_content":"\nwarming up, about 3 s"')
            supervisor.fail("smol", ModelFailed("smol", "exit code 1"))
            assert b"starting the engine" not in await reader.read()
            writer.close()

    play(conversation)


def test_a_loading_state_that_fails_ends_with_an_error_event() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={"sendLoadingState": True}), supervisor) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT))
            await reader.readuntil(b"loading smol")
            supervisor.fail("smol", ModelFailed("smol", "exit code 1", ["no such file"]))
            rest = await reader.read()
            event = rest[rest.index(b"event: error\ndata: ") + 19 :].partition(b"\n\n")[0]
            assert json.loads(event)["error"]["code"] == "model_failed"
            assert rest.endswith(b"0\r\n\r\n")
            assert here.notebook.records[0].status == 200
            assert "exit code 1" in here.notebook.records[0].error
            writer.close()

    play(conversation)


def test_an_error_of_the_server_after_the_loading_state_is_an_event() -> None:
    async def conversation() -> None:
        said = b'{"error":{"message":"context is full"}}'
        failing = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        async with model_server(answers(failing)) as server:
            supervisor = StandIn(smol=None)
            async with stage(config(smol={"sendLoadingState": True}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(post("/v1/chat/completions", CHAT))
                await reader.readuntil(b"loading smol")
                supervisor.ready("smol", server.endpoint)
                rest = await reader.read()
                assert b'event: error\ndata: {"error":{"message":"context is full"}}\n\n' in rest
                writer.close()

    play(conversation)


def test_a_stream_that_waits_long_gets_comments() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor, limits=PortLimits(stream_keep_alive_seconds=0.01)) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/completions", CHAT))
            await reader.readuntil(b"\n\n")
            assert (await reader.readuntil(b"\n\n")).endswith(b": loading smol\n\n")
            supervisor.fail("smol", ModelFailed("smol", "exit code 1"))
            assert b"event: error\n" in await reader.read()
            writer.close()

    play(conversation)


def test_a_failed_load_is_a_502_with_the_reason() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/completions", CHAT))
            await supervisor.came.wait()
            supervisor.fail("smol", ModelFailed("smol", "exit code 1", ["no such file"]))
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b"exit code 1" in answer
            assert supervisor.finished == []
            writer.close()

    play(conversation)


def test_a_slow_head_is_ended_by_the_sweep() -> None:
    async def conversation() -> None:
        async with stage(config(), StandIn(), limits=PortLimits(head_timeout_seconds=0.01)) as here:
            reader, writer = await here.connect()
            writer.write(b"GET / HT")
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            writer.close()
            assert await here.say(b"") == b""

    play(conversation)


def test_usage_and_timings_are_found() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE)
        usage, timings = b'{"prompt_tokens":5,"completion_tokens":7}', b'{"predicted_per_second":1.5}'
        event = b'data: {"choices":[],"usage":%b,"timings":%b}\n\n' % (usage, timings)
        for payload in [b"data: {}\n\n"] * 100 + [event, b"data: [DONE]\n\n"]:
            writer.write(b"%x\r\n%b\r\n" % (len(payload), payload))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            await here.say(post("/v1/chat/completions", CHAT))
            [record] = here.notebook.records
            assert record.tokens() == Tokens(prompt=5, completion=7, per_second=1.5)
            assert (record.status, record.model, record.stream) == (200, "smol", True)
            assert record.finished_at is not None
            assert record.first_byte_at is not None
            assert record.arrived_at <= record.first_byte_at <= record.finished_at

    play(conversation)


def test_stopping_lets_answers_end() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE + b"b\r\ndata: one\n\n\r\n")
        await stopping.wait()
        writer.write(b"b\r\ndata: two\n\n\r\n0\r\n\r\n")
        await reader.read()

    stopping = asyncio.Event()

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            idle_reader, idle_writer = await here.connect()
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT, connection="keep-alive"))
            await reader.readuntil(b"one\n\n\r\n")
            here.stop.set()
            assert await idle_reader.read() == b""
            stopping.set()
            assert await reader.read() == b"b\r\ndata: two\n\n\r\n0\r\n\r\n"
            writer.close()
            idle_writer.close()

    play(conversation)


def test_a_request_can_be_cancelled() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/completions", CHAT))
            await supervisor.came.wait()
            assert here.gateway.cancel(1)
            assert (await reader.read()).startswith(b"HTTP/1.1 409 ")
            assert supervisor.finished == [1]
            assert not here.gateway.cancel(1)
            writer.close()

    play(conversation)


def test_a_reader_that_stalls_is_given_up() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor, limits=PortLimits(stalled_reader_seconds=0.01)) as here:
                _, writer = await here.connect()
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(post("/v1/completions", CHAT))
                await supervisor.left.wait()
                assert here.notebook.records[0].client_left
                writer.close()

    play(conversation)


def test_a_server_that_does_not_begin_to_answer_is_given_up() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(OK)
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server:
            # Another model there has opened the connection: the time that this takes counts as well.
            models = config(patient={}, smol={"timeouts": {"responseHeader": 0.01}})
            async with stage(models, StandIn(patient=server.endpoint, smol=server.endpoint)) as here:
                assert (await here.say(post("/v1/completions", b'{"model":"patient"}'))).endswith(b"{}")
                answer = await here.say(post("/v1/completions", CHAT))
                assert answer.startswith(b"HTTP/1.1 504 ")
                await server.closed.wait()
                assert server.connections == 1

    play(conversation)


class TakesBack(StandIn):
    """A supervisor that has a request wait again whose server is not there."""

    def __init__(self, **ready: Endpoint | None) -> None:
        super().__init__(**ready)
        self.back = asyncio.Event()

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        del endpoint
        self.serving.discard(request_id)
        self.waiters[request_id] = (model_id, waiter)
        self.back.set()
        return True


def test_what_a_server_that_died_has_not_read_is_sent_to_the_next_one() -> None:
    """Its death is heard of before the reset of the connection, which the kernel has already."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])
            supervisor = TakesBack(smol=endpoint)
            async with model_server(answers(OK)) as other, stage(config(smol={}), supervisor) as here:
                answer = asyncio.create_task(here.say(post("/v1/completions", CHAT)))
                accepted, _ = await loop.sock_accept(listener)
                has_come = asyncio.Event()
                loop.add_reader(accepted, has_come.set)
                await has_come.wait()
                loop.remove_reader(accepted)
                [exchange] = here.gateway.in_flight.values()
                assert isinstance(exchange, ModelRequest)
                assert exchange.upstream is not None
                listener.close()
                accepted.close()
                reset = select.poll()
                reset.register(exchange.upstream.socket.fileno(), 0)
                reset.poll()  # POLLERR comes unasked for
                supervisor.connections.close_endpoint(endpoint, "it is being stopped")
                await supervisor.back.wait()
                supervisor.ready("smol", other.endpoint)
                assert (await answer).startswith(b"HTTP/1.1 200 OK")

    play(conversation)


def test_a_pipelined_request_waits_until_the_reader_has_caught_up() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000

    async def conversation() -> None:
        async with model_server(answers(body)) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            answer = await here.say(
                b"".join(post("/v1/completions", CHAT, connection="keep-alive") for _ in range(4))
                + post("/v1/completions", CHAT)
            )
            assert answer.count(b"x") == 25_000_000

    play(conversation)


def test_the_first_token_is_not_the_first_byte() -> None:
    spoken = asyncio.Event()

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        role = b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'
        word = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
        writer.write(SSE + b"%x\r\n%b\r\n" % (len(role), role))
        await spoken.wait()
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(word), word))
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT))
            await reader.readuntil(b"null")
            [exchange] = here.gateway.in_flight.values()
            assert exchange.record.first_byte_at is not None
            assert exchange.record.first_token_at is None
            spoken.set()
            await reader.readuntil(b"Hi")
            [record] = here.notebook.records
            assert record.first_token_at is not None
            writer.close()

    play(conversation)


FAR = b'{"image":"' + bytes(range(48, 91)) * 100_000 + b'","seed":7,"model":"%b"}'


@pytest.mark.parametrize(
    ("model", "sent"),
    [(b"smol", FAR % b"smol"), (b"other", (FAR % b"real").replace(b'"seed":7,', b""))],
    ids=["as it is", "edited"],
)
def test_a_large_body_that_names_its_model_last(model: bytes, sent: bytes) -> None:
    edits = {"useModelName": "real", "filters": {"stripParams": "seed"}}

    async def conversation() -> None:
        async with (
            model_server(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as server,
            stage(config(smol={}, other=edits), StandIn(smol=server.endpoint, other=server.endpoint)) as here,
        ):
            for _ in range(2):
                answer = await here.say(post("/v1/chat/completions", FAR % model))
                assert answer.endswith(b"\r\n\r\nok")
                assert server.seen[-1].partition(b"\r\n\r\n")[2] == sent

    play(conversation)
