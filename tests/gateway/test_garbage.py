"""Is what a conversation took gone with it, without a garbage collection? There may not be one for an hour."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from claracore.http.gateway.bridge import BridgedCall
from claracore.http.gateway.connection import Connection
from claracore.http.gateway.exchange import Exchange
from claracore.http.gateway.upstream import UpstreamConnection
from claracore.types import Endpoint
from fakes.ports import free_port
from gateway.stand import ModelServer, Stage, StandIn, config, model_server, play, post, stage

OURS = (Connection, Exchange, BridgedCall, UpstreamConnection)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
SWITCH = (
    b"GET /upstream/m/ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
BODY = b'{"model":"m"}'
ASK = post("/v1/chat/completions", BODY)
CHUNKED = b"POST /v1/completions HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


def alive() -> dict[str, int]:
    there = [type(it) for it in gc.get_objects()]
    return {kind.__name__: there.count(kind) for kind in OURS if kind in there}


async def serve_anything(server: ModelServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a stream that never ends for `stream`, else with one that does, and close."""
    body = await server.read_request(reader)
    if b"websocket" in server.seen[-1]:
        writer.write(SWITCHED)
        await reader.read()
    elif b"stream" in body:
        writer.write(STREAM)
        await reader.read()
    else:
        writer.write(STREAM + b"0\r\n\r\n")
        await writer.drain()


def said(request: bytes) -> Callable[[Stage], Awaitable[None]]:
    async def conversation(here: Stage) -> None:
        assert await here.say(request)

    return conversation


def left_after(request: bytes, heard: bytes = b"") -> Callable[[Stage], Awaitable[None]]:
    async def conversation(here: Stage) -> None:
        reader, writer = await here.connect()
        writer.write(request)
        if heard:
            await reader.readuntil(heard)
        writer.close()
        await writer.wait_closed()

    return conversation


CONVERSATIONS = {
    "answered": said(ASK),
    "in chunks": said(CHUNKED.replace(b"here", b"here\r\nConnection: close") + b"d\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "left in the middle of the answer": left_after(
        post("/v1/completions", b'{"model":"m","stream":true}', connection="keep-alive"), b"hello"
    ),
    "left in the middle of the upload": left_after(CHUNKED + b"d\r\n" + BODY[:5]),
    "left between requests": left_after(ASK.replace(b"close", b"keep-alive"), b"hello"),
    "left without a word": left_after(b""),
    "tunnelled": left_after(SWITCH, b"\r\n\r\n"),
    "no such model": said(post("/v1/completions", b'{"model":"x"}')),
    "no server": said(post("/v1/completions", b'{"model":"gone"}')),
    "malformed": said(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    "a page": said(b"GET /page HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"),
    "a page that nobody waits for": left_after(b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"),
}


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_nothing_is_left_for_the_garbage_collector(conversation: Callable[[Stage], Awaitable[None]]) -> None:
    async def story() -> None:
        async with model_server(serve_anything) as server:
            supervisor = StandIn(m=server.endpoint, gone=Endpoint("127.0.0.1", free_port()))
            async with stage(config(m={}, gone={}), supervisor) as here:
                gc.collect()
                gc.disable()
                try:
                    for _ in range(5):
                        await conversation(here)
                    while here.gateway.clients.connections or here.gateway.relay.pool.connections:  # noqa: ASYNC110 - the kernel tells
                        await asyncio.sleep(0)
                    await asyncio.sleep(0)  # a transport lets go of its protocol in the next turn of the loop
                    assert alive() == {}
                finally:
                    gc.enable()

    play(story)
