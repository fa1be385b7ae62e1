"""A request has one id: for its client, on every machine that it goes to, and in what is kept of it."""

from __future__ import annotations

import asyncio
import re

import pytest

from claracore.host.activity.captures import Captures
from claracore.http.gateway.request_ids import new_id
from claracore.http.wire import head as heads
from gateway.stand import ModelServer, StandIn, answers, config, model_server, play, post, stage
from gateway.test_elsewhere import ASK, both, breaks_off

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHAT = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","messages":[],"stream":true}'
LINE = re.compile(rb"\r\nX-Request-Id: ([^\r]+)\r\n")


def ids_in(sent: bytes) -> list[bytes]:
    return LINE.findall(sent)


async def echoes(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as another ClaraCore does, with the id that it was given."""
    while True:
        await server.read_request(reader)
        [id_] = ids_in(server.seen[-1])
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nX-Request-Id: %b\r\n\r\n" % id_))
        await writer.drain()


def test_each_new_id_is_another_one() -> None:
    made = [new_id() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(rb"[0-9a-f]{16}", each) for each in made)


@pytest.mark.parametrize("own", ["job-7", ""])
def test_client_record_and_model_server_have_the_same(own: str) -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            more = f"X-Request-Id: {own}\r\n" if own else ""
            answer = await here.say(post("/v1/chat/completions", CHAT, more=more))
            [record] = here.notebook.records
            assert ids_in(answer) == ids_in(server.seen[0]) == [record.request_id]
            assert record.request_id == own.encode() if own else len(record.request_id) == 16

    play(conversation)


def test_a_request_that_moves_on_keeps_its_own() -> None:
    async def conversation() -> None:
        async with both(breaks_off, answers(OK)) as (one, two, here):
            answer = await here.say(ASK)
            [record] = here.notebook.records
            assert ids_in(one.seen[0]) == ids_in(two.seen[0]) == ids_in(answer) == [record.request_id]

    play(conversation)


def test_heads_are_remembered_although_each_request_has_another_id() -> None:
    async def conversation() -> None:
        async with model_server(echoes) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            for each in (heads._remembered_request, heads._remembered_response):
                each.cache_clear()
            reader, writer = await here.connect()
            for n in range(5):
                ask = post("/v1/chat/completions", CHAT, more=f"X-Request-Id: n{n}\r\n", connection="keep-alive")
                writer.write(ask)
                assert ids_in(await reader.readuntil(b"{}")) == [b"n%d" % n]
            writer.close()
            assert heads._remembered_request.cache_info().misses == 1
            assert heads._remembered_response.cache_info().misses == 1

    play(conversation)


def test_two_requests_on_one_connection_have_two() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            asks = post("/v1/chat/completions", CHAT, connection="keep-alive") + post("/v1/chat/completions", CHAT)
            made = ids_in(await here.say(asks))
            assert made == [each.request_id for each in here.notebook.records]
            assert len(set(made)) == 2

    play(conversation)


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (post("/v1/chat/completions", b'{"model":"nobody"}', more="X-Request-Id: a\r\n"), b"404"),
        (post("/v1/chat/completions", b"no JSON", more="X-Request-Id: a\r\n"), b"400"),
        (post("/v1/nothing", CHAT, more="X-Request-Id: a\r\n"), b"404"),
        (b"GET /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nConnection: close\r\n\r\n", b"405"),
        (b"OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nConnection: close\r\n\r\n", b"204"),
    ],
)
def test_answers_of_our_own_have_it(ask: bytes, status: bytes) -> None:
    async def conversation() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            answer = await here.say(ask)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert ids_in(answer) == [b"a"]

    play(conversation)


def test_what_is_no_http_gets_one_as_well() -> None:
    async def conversation() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            answer = await here.say(b"\x16\x03\x01 hello\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert len(ids_in(answer)) == 1

    play(conversation)


def test_a_stream_that_begins_before_its_model_is_there_has_it() -> None:
    async def conversation() -> None:
        supervisor = StandIn(m=None)
        async with model_server(answers(OK)) as server, stage(config(m={"sendLoadingState": True}), supervisor) as here:
            reader, writer = await here.connect()
            writer.write(post("/v1/chat/completions", STREAM, more="X-Request-Id: a\r\n"))
            assert ids_in(await reader.readuntil(b"\r\n\r\n")) == [b"a"]
            supervisor.ready("m", server.endpoint)
            await reader.read()
            writer.close()
            assert ids_in(server.seen[0]) == [b"a"]

    play(conversation)


def test_a_switched_protocol_has_it() -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

    ask = (
        b"GET /upstream/m/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"X-Request-Id: a\r\n\r\n"
    )

    async def conversation() -> None:
        async with model_server(script) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            reader, writer = await here.connect()
            writer.write(ask)
            assert ids_in(await reader.readuntil(b"\r\n\r\n")) == ids_in(server.seen[0]) == [b"a"]
            writer.close()

    play(conversation)


def test_a_capture_has_it_in_both_heads() -> None:
    async def conversation() -> None:
        async with model_server(answers(OK)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            here.gateway.relay.captures = Captures(1 << 20)
            await here.say(post("/v1/chat/completions", CHAT, more="X-Request-Id: a\r\n"))
            capture = here.notebook.records[0].capture
            assert capture is not None
            assert dict(capture.request_headers)["x-request-id"] == "a"
            assert dict(capture.response_headers)["x-request-id"] == "a"

    play(conversation)
