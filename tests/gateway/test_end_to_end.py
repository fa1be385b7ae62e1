"""The whole gateway over real sockets, with a supervisor and a model server in this process."""

from __future__ import annotations

import asyncio
import json

from gateway.stand import ModelServer, StandIn, answers, config, model_server, play, post, stage

CHAT = b'{"model":"smol","messages":[]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_reaches_the_model_and_its_answer_comes_back() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor) as here:
                answer = await here.say(post("/v1/chat/completions", CHAT, more="X-Mine: 1\r\n"))
                [record] = here.notebook.records
            id_ = record.request_id
            assert len(id_) == 16
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n"
                b"X-Request-Id: %b\r\n\r\n{}" % id_
            )
            assert server.seen == [
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n"
                b"Content-Type: application/json\r\nContent-Length: 30\r\nX-Mine: 1\r\n"
                b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: here\r\nX-Forwarded-Proto: http\r\n"
                b"X-Request-Id: %s\r\n\r\n" % (server.endpoint.authority.encode(), id_) + CHAT
            ]
            assert supervisor.finished == [1]

    play(conversation)


def test_keep_alive_uses_one_connection_on_each_side() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor) as here:
                reader, writer = await here.connect()
                for _ in range(20):
                    writer.write(post("/v1/completions", CHAT, connection="keep-alive"))
                    assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK")
                writer.close()
                assert repr(here.gateway.relay.pool) == "<Pool 1 connections, 1 idle>"
            assert server.connections == 1

    play(conversation)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = json.loads(await server.read_request(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % body["n"])

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            requests = [
                post("/v1/completions", b'{"model":"smol","n":%d}' % n, connection="close" if n == 9 else "keep-alive")
                for n in range(10)
            ]
            requests.insert(5, b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await here.say(b"".join(requests))
            assert [part[-1:] for part in answer.split(b"HTTP/1.1 ")[1:]] == [
                *(b"%d" % n for n in range(5)),
                b"e",
                *(b"%d" % n for n in range(5, 10)),
            ]

    play(conversation)


def test_a_stream_comes_chunk_by_chunk() -> None:
    go_on = asyncio.Event()

    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(3):
            await go_on.wait()
            go_on.clear()
            writer.write(b"b\r\ndata: %03d\n\n\r\n" % n)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT, connection="keep-alive"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head.lower()
            for n in range(3):
                go_on.set()
                assert await reader.readexactly(16) == b"b\r\ndata: %03d\n\n\r\n" % n
            assert await reader.readexactly(5) == b"0\r\n\r\n"
            writer.close()

    play(conversation)


def test_a_client_that_leaves_ends_the_answer() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.read()

    async def conversation() -> None:
        async with model_server(script) as server:
            supervisor = StandIn(smol=server.endpoint)
            async with stage(config(smol={}), supervisor) as here:
                reader, writer = await here.connect()
                writer.write(post("/v1/chat/completions", CHAT))
                await reader.readuntil(b"\r\n\r\n")
                before = asyncio.get_running_loop().time()
                writer.close()
                await server.closed.wait()
                assert asyncio.get_running_loop().time() - before < 5
                assert supervisor.finished == [1]
                assert here.notebook.records[0].client_left

    play(conversation)


def test_a_waiting_client_that_leaves_is_finished() -> None:
    async def conversation() -> None:
        supervisor = StandIn(smol=None)
        async with stage(config(smol={}), supervisor) as here:
            _, writer = await here.connect()
            writer.write(post("/v1/chat/completions", CHAT))
            await supervisor.came.wait()
            writer.close()
            await supervisor.left.wait()
            assert supervisor.finished == [1]
            assert not here.gateway.in_flight

    play(conversation)


def test_other_paths_reach_the_application() -> None:
    async def conversation() -> None:
        async with stage(config(), StandIn()) as here:
            answer = await here.say(
                b"GET /api/thing?x=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nConnection: close\r\n\r\n"
            )
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15\r\nX-Request-Id: a\r\n"
                b"Connection: close\r\n\r\npage /api/thing"
            )

    play(conversation)


def test_an_unknown_model_is_404_with_near_names() -> None:
    async def conversation() -> None:
        async with stage(config(smollm={}), StandIn()) as here:
            answer = await here.say(post("/v1/completions", b'{"model":"smolm"}'))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
            error = json.loads(body)["error"]
            assert error["code"] == "model_not_found"
            assert "did you mean 'smollm'?" in error["message"]

    play(conversation)
