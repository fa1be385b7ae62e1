"""FastAPI behind the bridge, and the OpenAI SDK in front."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import openai
import pytest
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from gateway.stand import ModelServer, StandIn, config, model_server, play, post, stage

ANSWER = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"smol","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hello"}}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
)
CHUNK = (
    b'{"id":"1","object":"chat.completion.chunk","created":1,"model":"smol",'
    b'"choices":[{"index":0,"delta":{"content":"%d"}}]}'
)


def application(left: asyncio.Event) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> dict[str, object]:
        return {"object": "list", "data": [{"id": "smol", "object": "model", "created": 1, "owned_by": "x"}]}

    @app.post("/api/echo")
    async def echo(value: Annotated[dict[str, int], Body()]) -> dict[str, int]:
        return value

    @app.get("/api/events")
    async def events(request: Request) -> StreamingResponse:
        async def frames() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            try:
                await request.receive()  # the empty body, then the client that leaves
                assert (await request.receive())["type"] == "http.disconnect"
            finally:
                left.set()

        return StreamingResponse(frames(), media_type="text/event-stream")

    @app.get("/api/late")
    async def late(request: Request) -> StreamingResponse:
        async def frames() -> AsyncIterator[bytes]:
            try:
                yield b"data: first\n\n"
                await request.receive()
                await request.receive()
                while True:  # until the client's end has come through
                    yield b": nobody listens\n\n"
                    await asyncio.sleep(0)
            finally:
                left.set()

        return StreamingResponse(frames(), media_type="text/event-stream")

    @app.get("/api/large")
    async def large() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"x" * 100_000

        return StreamingResponse(pieces())

    @app.get("/api/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    @app.get("/api/broken")
    async def broken() -> None:
        raise RuntimeError("oops")

    return app


def test_fastapi() -> None:
    async def conversation() -> None:
        left = asyncio.Event()
        async with stage(config(), StandIn(), app=application(left)) as here:
            answer = await here.say(post("/api/echo", b'{"a":1}'))
            assert answer.endswith(b'\r\n\r\n{"a":1}')
            assert (await here.say(post("/api/echo", b'{"a":"b"}'))).startswith(b"HTTP/1.1 422 ")
            get = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            assert (await here.say(get % b"/api/teapot")).startswith(b"HTTP/1.1 418 ")
            assert (await here.say(get % b"/nowhere")).startswith(b"HTTP/1.1 404 ")
            assert (await here.say(get % b"/api/broken")).startswith(b"HTTP/1.1 500 ")
            assert len(await here.say(get % b"/api/large")) > 20_000_000

    play(conversation)


def test_an_event_stream_hears_that_its_client_left() -> None:
    async def conversation() -> None:
        left = asyncio.Event()
        async with stage(config(), StandIn(), app=application(left)) as here:
            reader, writer = await here.connect()
            writer.write(b"GET /api/events HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readuntil(b"data: first\n\n")
            writer.close()
            await left.wait()

    play(conversation)


def test_speaking_to_a_client_that_left_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def conversation() -> None:
        left = asyncio.Event()
        async with stage(config(), StandIn(), app=application(left)) as here:
            reader, writer = await here.connect()
            writer.write(b"GET /api/late HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readuntil(b"data: first\n\n")
            calls = set(here.gateway.tasks.running)
            writer.transport.abort()
            await asyncio.wait(calls)

    play(conversation)
    assert not caplog.records


def test_a_half_closed_client_gets_the_answer_of_the_application() -> None:
    async def conversation() -> None:
        async with stage(config(), StandIn(), app=application(asyncio.Event())) as here:
            reader, writer = await here.connect()
            writer.write(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
            writer.write_eof()
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()

    play(conversation)


async def _model(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        body = await server.read_request(reader)
        if b'"stream":true' in body.replace(b" ", b""):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for event in [*(CHUNK % n for n in range(3)), b"[DONE]"]:
                frame = b"data: %b\n\n" % event
                writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            writer.write(b"0\r\n\r\n")
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(ANSWER) + ANSWER)


def test_the_openai_sdk() -> None:
    async def conversation() -> None:
        async with (
            model_server(_model) as server,
            stage(config(smol={}), StandIn(smol=server.endpoint), app=application(asyncio.Event())) as here,
            openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{here.port}/v1", api_key="x", max_retries=0) as client,
        ):
            assert [model.id async for model in client.models.list()] == ["smol"]
            answer = await client.chat.completions.create(model="smol", messages=[{"role": "user", "content": "hi"}])
            assert answer.choices[0].message.content == "hello"
            stream = await client.chat.completions.create(
                model="smol", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            assert [chunk.choices[0].delta.content async for chunk in stream] == ["0", "1", "2"]
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(model="other", messages=[])
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")

    play(conversation)
