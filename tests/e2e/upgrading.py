"""Requests that come and are answered while another process takes over: streams that last, and clients that insist."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

STREAM = {"stream": True, "messages": [], "fake": {"chunks": 4, "hold_after": 2}}
END = b"data: [DONE]\n\n"


@dataclass
class Load:
    """What came of it."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0
    stopping: bool = False

    def took(self, seconds: float) -> None:
        self.answered += 1
        self.longest_seconds = max(self.longest_seconds, seconds)


class Client:
    """One connection, which is opened anew only after an answer that says so, or for each request."""

    def __init__(self, host: str, port: int, *, keep: bool = True) -> None:
        self.host, self.port, self.keep = host, port, keep
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def begin(self, path: str, body: dict[str, Any]) -> tuple[int, bool]:
        """Send a request; return the status, and whether the connection closes after the answer."""
        if self._pair is None:
            self._pair = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._pair
        raw = json.dumps(body).encode()
        close = "" if self.keep else "Connection: close\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}{close}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        answer = await reader.readuntil(b"\r\n\r\n")
        self.lines = answer.decode().lower().split("\r\n")
        return int(answer.split()[1]), "connection: close" in self.lines

    async def rest(self) -> bytes:
        """Return the body."""
        assert self._pair is not None
        reader, _ = self._pair
        for line in self.lines:
            if line.startswith("content-length:"):
                return await reader.readexactly(int(line.split(":")[1]))
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def close(self) -> None:
        pair, self._pair = self._pair, None
        if pair is not None:
            pair[1].close()
            with contextlib.suppress(OSError):
                await pair[1].wait_closed()


async def insist(load: Load, host: str, port: int, model: str, *, keep: bool) -> None:
    """Ask again and again until the load is to stop; each answer must be 200 and whole."""
    client = Client(host, port, keep=keep)
    while not load.stopping:
        begun = time.monotonic()
        try:
            status, closes = await client.begin("/v1/chat/completions", {"model": model, "messages": []})
            body = await client.rest()
            if status != 200 or not json.loads(body)["choices"]:
                load.failed.append(f"{status} {body[:200]!r}")
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            load.failed.append(f"{type(error).__name__}: {error}")
            closes = True
        load.took(time.monotonic() - begun)
        if closes:
            await client.close()
    await client.close()


async def stream(load: Load, host: str, port: int, model: str, begun: asyncio.Semaphore) -> None:
    """Have a stream that lasts until its model lets it go on; it must come to its end."""
    client = Client(host, port)
    try:
        status, _ = await client.begin("/v1/chat/completions", {**STREAM, "model": model})
        begun.release()
        body = await client.rest()
        if status != 200 or not body.endswith(END) or body.count(b'"content"') < 4:
            load.failed.append(f"stream: {status} {body[-200:]!r}")
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        begun.release()
        load.failed.append(f"stream: {type(error).__name__}: {error}")
    load.answered += 1
    await client.close()


async def post(host: str, port: int, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Ask once."""
    client = Client(host, port, keep=False)
    status, _ = await client.begin(path, body or {})
    raw = await client.rest()
    await client.close()
    return status, json.loads(raw)
