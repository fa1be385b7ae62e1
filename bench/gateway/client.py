"""Load for a proxy: one request after another, many streams at once, or large bodies; prints what it saw as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import cast

import uvloop

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    "Authorization: Bearer secret\r\nContent-Length: {length}\r\n{more}\r\n"
)
SMALL = b'{"model":"smol","messages":[{"role":"user","content":"%b"}],"stream":%b}'

LINE = (
    b'{"model":"smol","created_at":"2026-11-28T08:24:05.795818Z","message":{"role":"assistant","content":"word "},'
    b'"done":false}\n'
)
CHUNK_BYTES = {"/v1/chat/completions": 221, "/api/chat": len(b"%x\r\n%b\r\n" % (len(LINE), LINE))}
"""Of a chunk of the model server in upstream.py, and of the line for Ollama's clients that it becomes, with framing."""


def request(body: bytes, more: str = "", path: str = "/v1/chat/completions") -> bytes:
    return HEAD.format(path=path, length=len(body), more=more).encode() + body


class Client(asyncio.Protocol):
    """One connection that sends one request and waits until the answer's last bytes have come."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.end = b""
        self.tail = b""
        self.first: float | None = None
        self.pieces = 0
        self.bytes = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed before the end"))

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-700:]
        self.pieces += 1
        self.bytes += len(data)
        if self.first is None and (b"\r\n\r\n" in self.tail and not self.tail.endswith(b"\r\n\r\n")):
            self.first = time.perf_counter()
        if self.tail.endswith(self.end):
            self.done.set_result(None)

    async def ask(self, data: bytes, end: bytes) -> None:
        self.end, self.tail, self.first = end, b"", None
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        await self.done


async def connect(port: int) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


async def one_by_one(port: int, count: int) -> dict[str, float]:
    client = await connect(port)
    times, firsts = [], []
    for number in range(count):
        body = SMALL % (b"x" * (100 + number % 50), b"false")
        start = time.perf_counter()
        await client.ask(request(body), b"}")
        times.append(time.perf_counter() - start)
    for _ in range(count // 4):
        start = time.perf_counter()
        await client.ask(request(SMALL % (b"x", b"true"), "X-Chunks: 2\r\nX-Interval-Ms: 1\r\n"), b"\r\n0\r\n\r\n")
        firsts.append((client.first or 0) - start)
    return {"p50_us": statistics.median(times) * 1e6, "first_chunk_p50_us": statistics.median(firsts) * 1e6}


async def streams(port: int, count: int, chunks: int, interval_ms: int, path: str) -> dict[str, float]:
    """Says "begun" when every stream runs and "ending" before the first one ends: in between there are only chunks."""
    clients = [await connect(port) for _ in range(count)]
    ask = request(SMALL % (b"x", b"true"), f"X-Chunks: {chunks}\r\nX-Interval-Ms: {interval_ms}\r\n", path)

    async def one(number: int, client: Client) -> None:
        await asyncio.sleep(number / count * interval_ms / 1000)
        await client.ask(ask, b"\r\n0\r\n\r\n")

    running = asyncio.gather(*(one(number, client) for number, client in enumerate(clients)))
    while not all(client.pieces for client in clients) and not running.done():  # noqa: ASYNC110 - counters, not events
        await asyncio.sleep(0.01)
    print("begun", flush=True)
    # Bytes, not pieces: a busy machine joins chunks, whoever passes them on.
    before = sum(client.bytes for client in clients)
    end = asyncio.get_running_loop().time() + (chunks - 4) * interval_ms / 1000
    while not running.done() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - same
        await asyncio.sleep(0.01)
    seen = (sum(client.bytes for client in clients) - before) / CHUNK_BYTES[path]
    print("ending", flush=True)
    await running
    return {"chunks": seen}


async def large(port: int, count: int, megabytes: int) -> dict[str, float]:
    client = await connect(port)
    image = b"A" * (megabytes << 20)
    times = {}
    for name, body in (
        ("early", b'{"model":"smol","image":"' + image + b'"}'),
        ("late", b'{"image":"' + image + b'","model":"smol"}'),
    ):
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            await client.ask(request(body), b"}")
            taken.append(time.perf_counter() - start)
        times[f"model_{name}_ms"] = statistics.median(taken) * 1e3
    return times


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["one-by-one", "streams", "large"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--interval-ms", type=int, default=100)
    parser.add_argument("--path", choices=CHUNK_BYTES, default="/v1/chat/completions")
    parser.add_argument("--megabytes", type=int, default=20)
    given = parser.parse_args()
    if given.what == "one-by-one":
        seen = await one_by_one(given.port, given.count)
    elif given.what == "streams":
        seen = await streams(given.port, given.count, given.chunks, given.interval_ms, given.path)
    else:
        seen = await large(given.port, given.count, given.megabytes)
    print(json.dumps(seen))


if __name__ == "__main__":
    uvloop.run(main())
