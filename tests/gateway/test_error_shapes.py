"""In whose shape do clients of the gateway hear of errors, before and in the middle of an answer?"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from claracore.errors import ModelFailed
from claracore.host.activity.record import Record
from claracore.host.footprints.summary import AboutModel
from claracore.http.gateway import routes
from claracore.http.gateway.contract import PortLimits
from claracore.http.gateway.heads import with_headers
from claracore.http.gateway.routes import Route
from claracore.http.wire.head import ResponseHead
from gateway.stand import ModelServer, StandIn, answers, config, model_server, play, post, stage

MESSAGES = "/v1/messages"
BODY = b'{"model":"m"}'
STREAMED = b'{"model":"m","stream":true}'
FULL = b'{"error":{"code":400,"message":"the context is full","type":"invalid_request_error"}}'
FULL_FOR_ANTHROPIC = {"type": "error", "error": {"type": "invalid_request_error", "message": "the context is full"}}
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Lines:
    """Makes a line of each piece of a stream, as an edit for Ollama's clients may."""

    def __init__(self, _record: Record, _about: AboutModel) -> None:
        pass

    def head(self, head: ResponseHead) -> ResponseHead:
        return with_headers(head, {b"content-type": b"application/x-ndjson"})

    def piece(self, data: bytes) -> bytes:
        return json.dumps(data.decode()).encode()

    def end(self) -> bytes:
        return b""


@pytest.fixture(autouse=True)
def a_route_of_ollamas(monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route("body", b"/v1/completions", answer_edit=Lines, errors="ollama")
    monkeypatch.setitem(routes.ROUTES, b"/api/lines", {b"POST": route})


def body_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def dechunked(answer: bytes) -> bytes:
    body, rest = b"", answer.partition(b"\r\n\r\n")[2]
    while size := int(rest[: rest.index(b"\r\n")], 16):
        start = rest.index(b"\r\n") + 2
        body, rest = body + rest[start : start + size], rest[start + size + 2 :]
    return body


@pytest.mark.parametrize(
    ("request_", "status", "type_"),
    [
        (post(MESSAGES, b'{"model":"x"}'), b"404", "not_found_error"),
        (post("/v/messages/count_tokens", b'{"model":"x"}'), b"404", "not_found_error"),
        (post(MESSAGES, b"{"), b"400", "invalid_request_error"),
        (post("/upstream/x/v1/messages", BODY), b"404", "not_found_error"),
        (post("/v1/embeddings", b'{"model":"x"}', more="anthropic-version: 2023-06-01\r\n"), b"404", None),
        (b"PUT /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405", "invalid_request_error"),
        (post(MESSAGES, b"{}").replace(b"Length: 2", b"Length: 99999999999"), b"413", "request_too_large"),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_the_path(request_: bytes, status: bytes, type_: str | None) -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            answer = await here.say(request_)
            assert answer.startswith(b"HTTP/1.1 " + status)
            body = body_of(answer)
            assert body.get("type") == (None if type_ is None else "error")
            assert body["error"]["type"] == (type_ or "invalid_request_error")

    play(story)


def test_an_unknown_model_of_ollamas_clients_is_a_text() -> None:
    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None)) as here:
            body = body_of(await here.say(post("/api/lines", b'{"model":"x"}')))
            assert body == {"error": "model 'x' is not known; known models: m"}

    play(story)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(FULL), FULL),
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (FULL[:5], len(FULL) - 5, FULL[5:]),
    ],
    ids=["sized", "chunked"],
)
def test_the_model_servers_own_error_is_translated(answer: bytes) -> None:
    async def story() -> None:
        async with model_server(answers(answer)) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            got = await here.say(post(MESSAGES, BODY))
            assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert json.loads(dechunked(got)) == FULL_FOR_ANTHROPIC
            got = await here.say(post("/upstream/m/v1/messages", BODY))
            assert json.loads(dechunked(got)) == FULL_FOR_ANTHROPIC
            got = await here.say(post("/api/lines", BODY))
            assert json.loads(dechunked(got)) == {"error": "the context is full"}
            got = await here.say(post("/v1/completions", BODY))
            assert FULL in got or FULL[5:] in got
            assert [record.status for record in here.notebook.records] == [400] * 4

    play(story)


def test_what_is_too_long_for_an_error_is_passed_on() -> None:
    long = b'{"error":"%b"}' % (b"x" * 200_000)
    head = b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(long)

    async def story() -> None:
        async with (
            model_server(answers(head + long)) as server,
            stage(config(m={}), StandIn(m=server.endpoint)) as here,
        ):
            assert dechunked(await here.say(post(MESSAGES, BODY))) == long

    play(story)


@pytest.mark.parametrize("path", [MESSAGES, "/upstream/m/v1/messages"])
def test_a_stream_that_breaks_off_ends_with_an_error_of_its_kind(path: str) -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE + b"b\r\ndata: one\n\n\r\n")

    async def story() -> None:
        async with model_server(script) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            body = dechunked(await here.say(post(path, STREAMED)))
            begin, _, event = body.partition(b"event: error\ndata: ")
            assert begin == b"data: one\n\n"
            assert json.loads(event)["error"]["type"] == "api_error"

    play(story)


@pytest.mark.parametrize("minor", [b"0", b"1"])
def test_lines_that_break_off_end_with_a_line_that_says_so(minor: bytes) -> None:
    async def script(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(SSE + b"b\r\ndata: one\n\n\r\n5\r\nab")

    async def story() -> None:
        async with model_server(script) as server, stage(config(m={}), StandIn(m=server.endpoint)) as here:
            answer = await here.say(post("/api/lines", STREAMED).replace(b"HTTP/1.1", b"HTTP/1." + minor))
            body = dechunked(answer) if minor == b"1" else answer.partition(b"\r\n\r\n")[2]
            *_, line = body.splitlines()
            assert "broke off" in json.loads(line)["error"]
            assert body.endswith(b"\n")
            assert "broke off" in here.notebook.records[0].error

    play(story)


def test_a_stream_that_has_waited_ends_with_an_error_of_its_kind() -> None:
    limits = PortLimits(stream_keep_alive_seconds=0.01)

    async def story() -> None:
        async with stage(config(m={}), StandIn(m=None), limits=limits) as here:
            reader, writer = await here.connect()
            writer.write(post(MESSAGES, STREAMED))
            await reader.readuntil(b": loading m\n\n")
            here.supervisor.fail("m", ModelFailed("m", "it has died"))
            rest = await reader.read()
            event = rest[rest.index(b"event: error\ndata: ") + 19 :].partition(b"\n\n")[0]
            expected = {"type": "api_error", "message": "model 'm' failed: it has died"}
            assert json.loads(event) == {"type": "error", "error": expected}
            writer.close()

    play(story)


def test_so_does_one_whose_server_answers_with_an_error() -> None:
    limits = PortLimits(stream_keep_alive_seconds=0.01)
    answer = b"HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(FULL), FULL)

    async def story() -> None:
        async with model_server(answers(answer)) as server, stage(config(m={}), StandIn(m=None), limits=limits) as here:
            reader, writer = await here.connect()
            writer.write(post(MESSAGES, STREAMED))
            await reader.readuntil(b": loading m\n\n")
            here.supervisor.ready("m", server.endpoint)
            rest = await reader.read()
            event = rest[rest.index(b"event: error\ndata: ") + 19 :].partition(b"\n\n")[0]
            assert json.loads(event) == FULL_FOR_ANTHROPIC
            writer.close()

    play(story)
