"""A model server that costs little: fixed answers, or streams of chunks at a given rate."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from typing import cast

import uvloop

BODY = json.dumps(
    {
        "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "word " * 70}}],
        "created": 1_764_000_000,
        "id": "chatcmpl-0123456789",
        "model": "smol",
        "object": "chat.completion",
        "usage": {"completion_tokens": 70, "prompt_tokens": 20, "total_tokens": 90},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
# As llama-server writes one, 215 bytes long.
EVENT = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"word "}}],"created":1764000000,'
    b'"id":"chatcmpl-RnkX3bZ3LC01CKUC","model":"smol-135m","system_fingerprint":"b0","object":"chat.completion.chunk"}'
    b"\n\n"
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class Model(asyncio.Protocol):
    """One connection; `x-chunks` and `x-interval-ms` in the head ask for a stream."""

    def __init__(self) -> None:
        self.buffer = b""
        self.left = 0
        self.transport: asyncio.Transport
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.left -= len(data)
            if self.left == 0:
                self.transport.write(ANSWER)
            return
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            rest = self.buffer[end + 4 :]
            length = int(number(head, b"content-length:"))
            self.buffer = rest[length:]
            if length > len(rest):
                self.left = length - len(rest)
                return
            chunks = int(number(head, b"x-chunks:"))
            if chunks:
                self.transport.write(STREAM)
                self.stream(chunks, number(head, b"x-interval-ms:") / 1000)
            else:
                self.transport.write(ANSWER)

    def stream(self, left: int, interval: float) -> None:
        self.transport.write(CHUNK)
        if left > 1:
            self.timer = asyncio.get_running_loop().call_later(interval, self.stream, left - 1, interval)
        else:
            self.transport.write(b"0\r\n\r\n")


def number(head: bytes, name: bytes) -> float:
    start = head.find(b"\r\n" + name)
    return float(head[start + 2 + len(name) :].split(b"\r\n", 1)[0]) if start >= 0 else 0


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", given.port), backlog=2048)
    server = await asyncio.get_running_loop().create_server(Model, sock=listener, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
