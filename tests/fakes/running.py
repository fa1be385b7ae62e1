"""How does a test start a child, wait for what it does, and be sure that it is gone afterwards?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import uvloop

from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.child import Child
from claracore.types import Endpoint
from fakes import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    Run = Callable[[Coroutine[Any, Any, None]], None]

LIMIT_SECONDS = 60.0
"""A story that hangs fails after this; none of them takes a tenth of it."""


def on_asyncio(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, LIMIT_SECONDS))


def on_uvloop(story: Coroutine[Any, Any, None]) -> None:
    uvloop.run(asyncio.wait_for(story, LIMIT_SECONDS))


LOOPS = [on_asyncio, on_uvloop]


@contextlib.asynccontextmanager
async def running(
    *argv: str, env: dict[str, str] | None = None, on_stdout: Callable[[str], None] | None = None
) -> AsyncIterator[tuple[Child, OutputRing]]:
    """Start a command; at the end kill what is left of it and wait until it is reaped."""
    output = OutputRing()
    child = await Child.spawn(argv, env={**os.environ, **(env or {})}, on_line=output.append, on_stdout=on_stdout)
    try:
        yield child, output
    finally:
        child.send(signal.SIGKILL)
        await child.exited


def python(code: str) -> tuple[str, ...]:
    """Return the argv of a quick Python child; it prints `up` when it wants to be waited for."""
    return (sys.executable, "-I", "-S", "-u", "-c", code)


async def line_with(output: OutputRing, text: str) -> str:
    """Wait for a line that contains `text`; also finds one that is there already."""
    with output.subscribe(history=10_000, limit=10_000) as lines:
        async for line in lines:
            if text in line:
                return line
    raise AssertionError(text)


@contextlib.asynccontextmanager
async def fake(*flags: str, env: dict[str, str] | None = None) -> AsyncIterator[tuple[Child, OutputRing, Endpoint]]:
    """Start a fake model server on a port of the kernel's choice and wait until it listens."""
    async with running(*command("--port", "0", *flags), env=env) as (child, output):
        line = await line_with(output, "listening on ")
        where = line.removeprefix("listening on ")
        if where.startswith("/"):
            yield child, output, Endpoint(unix_path=where)
        else:
            yield child, output, Endpoint(port=int(where.rpartition(":")[2]))


async def control(endpoint: Endpoint, order: str) -> dict[str, int]:
    """Give a fake an order (`release?count=2`, `wait?key=held&at_least=1`, ...) and return its state."""
    reader, writer = await (
        asyncio.open_unix_connection(endpoint.unix_path)
        if endpoint.unix_path
        else asyncio.open_connection(endpoint.host, endpoint.port)
    )
    writer.write(f"POST /control/{order} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    state: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return state
