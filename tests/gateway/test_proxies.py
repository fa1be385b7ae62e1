"""Does what comes piece by piece come so through a proxy that nobody has configured for it? A real nginx."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from claracore.http.asgi import Scope
from claracore.http.gateway.contract import PortLimits
from fakes.nginx import NGINX, nginx
from gateway.stand import ModelServer, Receive, Send, StandIn, answers, config, model_server, play, post, stage

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")

CHAT = b'{"model":"smol","messages":[],"stream":true}'
SILENT = "location / {{ proxy_pass http://127.0.0.1:{port}; }}"


class Steps:
    """A stream that goes on when it is allowed to: a proxy that keeps a piece back has it wait for ever."""

    def __init__(self, media_type: str = "text/event-stream", *, more: str = "") -> None:
        self.go_on = asyncio.Event()
        self._head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{more}Transfer-Encoding: chunked\r\n\r\n"

    async def script(self, server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(self._head.encode())
        for n in range(3):
            await self.go_on.wait()
            self.go_on.clear()
            writer.write(b"b\r\ndata: %03d\n\n\r\n" % n)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def app(self, scope: Scope, _receive: Receive, send: Send) -> None:
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for n in range(3):
            await self.go_on.wait()
            self.go_on.clear()
            await send({"type": "http.response.body", "body": b"data: %03d\n\n" % n, "more_body": True})
        await send({"type": "http.response.body"})

    async def read(self, port: int, request: bytes) -> bytes:
        """Let one piece after the other go, each only when the one before has come; return the head."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        self.go_on.set()
        head = await reader.readuntil(b"\r\n\r\n")
        for n in range(3):
            await reader.readuntil(b"data: %03d\n\n" % n)
            self.go_on.set()
        writer.close()
        return head


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/x-ndjson", "audio/wav"])
def test_a_stream_of_a_model(tmp_path: Path, media_type: str) -> None:
    async def conversation() -> None:
        steps = Steps(media_type)
        async with model_server(steps.script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            with nginx(tmp_path, SILENT.format(port=here.port)) as port:
                head = await steps.read(port, post("/v1/chat/completions", CHAT))
        assert b"Cache-Control: no-cache, no-transform\r\n" in head

    play(conversation)


def test_what_the_model_server_says_about_caching_stands() -> None:
    async def conversation() -> None:
        steps = Steps(more="Cache-Control: private\r\nX-Accel-Buffering: yes\r\n")
        async with model_server(steps.script) as server, stage(config(smol={}), StandIn(smol=server.endpoint)) as here:
            head = await steps.read(here.port, post("/v1/chat/completions", CHAT))
        assert head.count(b"Cache-Control") == head.count(b"X-Accel-Buffering") == 1
        assert b"Cache-Control: private\r\nX-Accel-Buffering: yes\r\n" in head

    play(conversation)


def test_a_stream_of_ours(tmp_path: Path) -> None:
    async def conversation() -> None:
        steps = Steps()
        async with stage(config(), StandIn(), app=steps.app) as here:
            with nginx(tmp_path, SILENT.format(port=here.port)) as port:
                head = await steps.read(port, b"GET /logs/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"Cache-Control: no-cache, no-transform\r\n" in head

    play(conversation)


def test_the_head_while_the_model_loads(tmp_path: Path) -> None:
    async def conversation() -> None:
        limits = PortLimits(stream_keep_alive_seconds=0.01)
        done = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 14\r\n\r\ndata: [DONE]\n\n"
        async with model_server(answers(done)) as server:
            supervisor = StandIn(smol=None)
            async with stage(config(smol={}), supervisor, limits=limits) as here:
                with nginx(tmp_path, SILENT.format(port=here.port)) as port:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(post("/v1/chat/completions", CHAT))
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readuntil(b": loading smol\n\n")
                    supervisor.ready("smol", server.endpoint)
                    await reader.readuntil(b"data: [DONE]\n\n")
                    writer.close()
        assert b"Cache-Control: no-cache, no-transform\r\n" in head

    play(conversation)
