"""Ollama's registry on this machine: manifests, and blobs that lie on another port, as they do there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 60
KIND = "application/vnd.ollama.image."


@dataclass
class FakeRegistry:
    """What is in it, what was asked of it, and how it is to behave."""

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By `namespace/model:tag`."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    corrupt: bool = False
    cut_after: int | None = None
    """Break the next answer with bytes off there."""
    hold_after: int | None = None
    """Stand still there until `release`."""
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    cdn: str = ""

    def blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def layer(self, kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "digest": self.blob(data), "size": len(data)}

    def add(self, name: str, *, file_type: str = "Q4_1", **layers: bytes) -> None:
        """Add a model of these layers: `model`, `projector`, `template`, `license`, ..."""
        config = json.dumps({"model_format": "gguf", "model_family": "llama", "file_type": file_type}).encode()
        self.manifests[name] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": self.layer("application/vnd.docker.container.image.v1+json", config),
            "layers": [self.layer(KIND + kind, data) for kind, data in layers.items()],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Registry(_Handler):
    def do_GET(self) -> None:
        self.registry.asked.append(self.path)
        match self.path.split("/"):
            case ["", "v2", namespace, model, "manifests", tag]:
                found = self.registry.manifests.get(f"{namespace}/{model}:{tag}")
                if found is None:
                    self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', Content_Type="application/json")
                else:
                    self.answer(200, json.dumps(found).encode(), Content_Type="application/json")
            case ["", "v2", _namespace, _model, "blobs", digest] if digest in self.registry.blobs:
                self.answer(307, Location=f"{self.registry.cdn}/{digest}?signature=secret")
            case _:
                self.answer(404)


class _Blobs(_Handler):
    def do_GET(self) -> None:
        registry = self.registry
        body = registry.blobs[self.path.partition("?")[0][1:]]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        registry.asked.append(f"bytes from {begin}")
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        rest = bytearray(body[begin:])
        if registry.corrupt and len(rest) > 10_000:
            rest[-1] ^= 1
        with contextlib.suppress(OSError):
            self.send(rest)

    def send(self, body: bytearray) -> None:
        registry, large = self.registry, len(body) > 10_000
        if large and registry.cut_after is not None:
            self.wfile.write(body[: registry.cut_after])
            registry.cut_after, self.close_connection = None, True
            return
        begun = registry.hold_after if large and registry.hold_after is not None else 0
        self.wfile.write(body[:begun])
        if begun:
            self.wfile.flush()
            registry.held.set()
            registry.release.wait(WAIT_SECONDS)
        self.wfile.write(body[begun:])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """Run a registry for the length of a block."""
    registry = FakeRegistry()
    servers = [
        _Server(("127.0.0.1", 0), type(handler.__name__, (handler,), {"registry": registry}))
        for handler in (_Registry, _Blobs)
    ]
    registry.url, registry.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield registry
    finally:
        registry.release.set()
        for server in servers:
            server.shutdown()
            server.server_close()
