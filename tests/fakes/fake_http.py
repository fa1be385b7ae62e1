"""How does the fake model server speak HTTP, and what does it remember? (the script is `fake_server.py`).

One thread a connection; everything a test can wait for is in `State`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import Any

    Orders = dict[str, Any]

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
STDOUT_LOCK = threading.Lock()


def say(text: str) -> None:
    with STDOUT_LOCK, contextlib.suppress(OSError):
        os.write(1, text.encode() + b"\n")


class Left(Exception):
    """The client closed its side before the answer was complete."""


class State:
    """Counters that tests can read and wait for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.changed = threading.Condition()
        names = ("connections", "connections_total", "requests", "active", "held", "aborted", "completed")
        self.counts = dict.fromkeys(names, 0)
        self.releases = 0
        self.ready = not (options.loading or options.ready_file or options.ready_after)
        self.unready = False
        self.started = time.monotonic()

    def add(self, name: str, step: int = 1) -> None:
        with self.changed:
            self.counts[name] += step
            self.changed.notify_all()

    def is_ready(self) -> bool:
        options = self.options
        if options.ready_file and Path(options.ready_file).exists():
            self.ready = True
        if options.ready_after and time.monotonic() - self.started >= options.ready_after:
            self.ready = True
        return self.ready and not self.unready

    def progress(self) -> float:
        wanted = self.options.ready_after
        return min((time.monotonic() - self.started) / wanted, 1.0) if wanted else 0.5

    def release(self, count: int) -> None:
        with self.changed:
            self.releases += count
            self.changed.notify_all()

    def hold(self, connection: socket.socket) -> None:
        """Wait for one release; raise Left when the client goes first."""
        with self.changed:
            self.counts["held"] += 1
            self.changed.notify_all()
            try:
                while not self.releases:
                    self.changed.wait(0.01)
                    if has_left(connection):
                        raise Left
                self.releases -= 1
            finally:
                self.counts["held"] -= 1
                self.changed.notify_all()

    def snapshot(self) -> dict[str, int]:
        return {**self.counts, "pid": os.getpid()}

    def wait(self, key: str, at_least: int | None, at_most: int | None) -> dict[str, int]:
        def holds() -> bool:
            count = self.counts[key]
            return (at_least is None or count >= at_least) and (at_most is None or count <= at_most)

        with self.changed:
            self.changed.wait_for(holds)
            return self.snapshot()


def has_left(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def die(options: argparse.Namespace, code: int | None = None) -> None:
    os._exit(options.exit_code if code is None else code)


class Request:
    def __init__(self, stream: BufferedReader, connection: socket.socket) -> None:
        self.method, self.path, self.version = stream.readline(65_536).decode("latin-1").split()
        self.headers: list[tuple[str, str]] = []
        while (line := stream.readline(65_536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self.headers.append((name, value.strip()))
        if self.header("expect") == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.body = self._read_body(stream)
        self.keep_alive = (self.header("connection") or "").lower() != "close" and self.version == "HTTP/1.1"

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)

    def _read_body(self, stream: BufferedReader) -> bytes:
        if "chunked" in (self.header("transfer-encoding") or ""):
            parts = []
            while size := int(stream.readline().split(b";")[0], 16):
                parts.append(stream.read(size))
                stream.readline()
            while stream.readline() not in (b"\r\n", b""):
                pass
            return b"".join(parts)
        length = int(self.header("content-length") or 0)
        body: bytes = stream.read(length)
        if len(body) < length:
            raise Left
        return body

    def json(self) -> Orders:
        with contextlib.suppress(ValueError):
            value = json.loads(self.body)
            return value if isinstance(value, dict) else {}
        return {}

    def orders(self) -> Orders:
        text = self.header("x-fake")
        orders: Orders = json.loads(text) if text else self.json().get("fake", {})
        return orders

    def echo(self, model: str) -> Orders:
        return {
            "method": self.method,
            "path": self.path,
            "http_version": self.version,
            "headers": self.headers,
            "body_sha256": hashlib.sha256(self.body).hexdigest(),
            "body_bytes": len(self.body),
            "pid": os.getpid(),
            "model": model,
        }


class Connection:
    """Serves one connection, in a thread of its own."""

    def __init__(self, connection: socket.socket, state: State) -> None:
        self.socket = connection
        self.state = state
        self.options = state.options

    def run(self) -> None:
        self.state.add("connections")
        self.state.add("connections_total")
        try:
            with self.socket, self.socket.makefile("rb") as stream:
                while self.serve(stream):
                    pass
        except (OSError, ValueError, Left):
            pass  # the client is gone, or what it sent is not HTTP
        finally:
            self.state.add("connections", -1)

    def serve(self, stream: BufferedReader) -> bool:
        request = Request(stream, self.socket)
        path = urlsplit(request.path).path
        if path.startswith("/control/"):
            query = {key: values[0] for key, values in parse_qs(urlsplit(request.path).query).items()}
            self.answer(request, self.control(path.removeprefix("/control/"), query))
        elif path == "/health":
            self.health(request)
        elif (request.header("upgrade") or "").lower() == "websocket":
            self.websocket(request, stream)
            return False
        else:
            self.counted(request, path)
        return request.keep_alive

    def counted(self, request: Request, path: str) -> None:
        self.state.add("requests")
        self.state.add("active")
        try:
            if self.options.hang == "answer":
                threading.Event().wait()
            self.model_answer(request, path)
        except (OSError, Left):
            self.state.add("aborted")
            raise
        else:
            self.state.add("completed")
        finally:
            self.state.add("active", -1)

    def control(self, order: str, query: dict[str, str]) -> object:
        state = self.state
        if order in ("ready", "unready"):
            state.ready, state.unready = state.ready or order == "ready", order == "unready"
        elif order == "release":
            state.release(int(query.get("count", "1")))
        elif order == "crash":
            die(self.options, int(query["code"]) if "code" in query else None)
        elif order == "print":
            say(query.get("text", ""))
        elif order == "wait":
            at_least, at_most = query.get("at_least"), query.get("at_most")
            return state.wait(query["key"], int(at_least) if at_least else None, int(at_most) if at_most else None)
        return state.snapshot()

    def health(self, request: Request) -> None:
        options = self.options
        if options.hang == "health":
            threading.Event().wait()
        if options.crash == "loading":
            die(options)
        if options.slow_health:
            time.sleep(options.slow_health)
        if not self.state.is_ready():
            error = {"message": "Loading model", "type": "unavailable_error", "code": 503}
            self.answer(request, {"error": {**error, "progress": self.state.progress()}}, status=503)
        else:
            self.answer(request, {"status": "ok"}, status=options.health_status or 200)

    def model_answer(self, request: Request, path: str) -> None:
        orders = request.orders()
        if orders.get("hold_head"):
            self.state.hold(self.socket)
        model, echo = self.options.model, request.echo(self.options.model)
        if path.endswith("completions") and request.json().get("stream") and "status" not in orders:
            self.stream(request, orders, sse_chunks(model, orders))
        elif "bytes" in orders:
            self.stream(
                request, orders, plain_chunks(orders["bytes"]), kind="application/octet-stream", total=orders["bytes"]
            )
        elif path == "/v1/models":
            self.answer(request, {"object": "list", "data": [{"id": model, "object": "model"}]}, orders)
        elif path.endswith("completions") and "status" not in orders:
            message = {"role": "assistant", "content": "hello"}
            usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
            choices = [{"index": 0, "message": message, "text": "hello", "finish_reason": "stop"}]
            self.answer(
                request, {"object": "x", "model": model, "choices": choices, "usage": usage, "echo": echo}, orders
            )
        elif "error" in orders:
            body = {"error": {"code": orders.get("status", 200), "message": orders["error"], "type": "fake_error"}}
            self.answer(request, body, orders)
        else:
            self.answer(request, echo, orders)

    def head(self, request: Request, orders: Orders, *, framing: str, kind: str, status: int, length: int) -> None:
        lines = [f"HTTP/1.1 {orders.get('status', status)} Fake", f"Content-Type: {kind}"]
        lines += [f"{name}: {value}" for name, value in orders.get("headers", [])]
        if framing == "length":
            lines.append(f"Content-Length: {length}")
        if framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if framing == "close" or not request.keep_alive:
            request.keep_alive = False
            lines.append("Connection: close")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def answer(self, request: Request, body: object, orders: Orders | None = None, status: int = 200) -> None:
        orders = orders or {}
        data = json.dumps(body).encode()
        framing = orders.get("framing", "length")
        self.head(request, orders, framing=framing, kind="application/json", status=status, length=len(data))
        if request.method == "HEAD":
            return
        if self.options.crash == "answer" and request.path != "/health" and not request.path.startswith("/control"):
            self.socket.sendall(data[: len(data) // 2])
            die(self.options)
        self.socket.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if framing == "chunked" else data)

    def stream(
        self,
        request: Request,
        orders: Orders,
        chunks: Iterator[bytes],
        *,
        kind: str = "text/event-stream",
        total: int = 0,
    ) -> None:
        framing = orders.get("framing", "chunked" if request.version == "HTTP/1.1" else "close")
        self.head(request, orders, framing=framing, kind=kind, status=200, length=total)
        for number, chunk in enumerate(chunks):
            if orders.get("hold_each") or orders.get("hold_after") == number:
                self.state.hold(self.socket)
            if orders.get("cut_after") == number:
                request.keep_alive = False
                return
            if orders.get("crash_after") == number or (self.options.crash == "answer" and number == 1):
                die(self.options)
            self.socket.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk) if framing == "chunked" else chunk)
        if framing == "chunked":
            self.socket.sendall(b"0\r\n\r\n")

    def websocket(self, request: Request, stream: BufferedReader) -> None:
        key = (request.header("sec-websocket-key") or "") + WEBSOCKET_GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - RFC 6455 says so
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        while data := stream.read1(65_536):
            self.socket.sendall(data)


def sse_chunks(model: str, orders: Orders) -> Iterator[bytes]:
    for number in range(orders.get("chunks", 4)):
        text = "x" * orders["chunk_bytes"] if "chunk_bytes" in orders else f"word{number} "
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        chunk = {"id": "fake", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def plain_chunks(total: int) -> Iterator[bytes]:
    while total > 0:
        yield b"x" * min(total, 65_536)
        total -= 65_536
