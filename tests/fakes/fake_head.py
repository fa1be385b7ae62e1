"""A head that gives files of shared models, as `http/api/shared.py` does, and can misbehave on command (`Fault`)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from claracore.core.cluster.part import SharedFile
from claracore.core.cluster.wanted import HEADER_BYTES, HeadDoor
from fakes.fake_hub import Fault, Seen, _CdnHandler, _Server

PATH = "/api/shared/"


@dataclass
class FakeHead:
    """One server, its files by name, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    secret: str = "s" * 32
    faults: deque[Fault] = field(default_factory=deque)
    wrong_checksum: bool = False
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def door(self) -> HeadDoor:
        return HeadDoor(self.url, "", self.secret)

    def ranges(self) -> list[str | None]:
        """What was asked for of bytes, in order."""
        return [one.headers.get("range") for one in self.seen if "?" not in one.path]


def shared(name: str, body: bytes, *, sha256: str = "", source: str = "") -> SharedFile:
    """Return a file as a head announces it."""
    return SharedFile(name, len(body), hashlib.sha256(body[:HEADER_BYTES]).hexdigest(), sha256, source)


class _HeadHandler(_CdnHandler):
    name = "head"
    head: FakeHead

    def note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.head.seen.append(Seen(self.name, self.path, headers))

    def do_GET(self) -> None:  # noqa: N802 - the name that the base class looks for
        self.note()
        parts = urlsplit(self.path)
        body = self.head.files.get(unquote(parts.path).removeprefix(PATH))
        fault = self.head.faults.popleft() if self.head.faults and not parts.query else Fault()
        if fault.status is not None:
            self.answer(fault.status, headers=fault.headers)
        elif self.headers.get("Authorization") != f"Bearer {self.head.secret}":
            self.answer(401)
        elif body is None:
            self.answer(404)
        elif parts.query == "sha256":
            right = hashlib.sha256(b"" if self.head.wrong_checksum else body).hexdigest()
            self.answer(200, json.dumps({"sha256": right}).encode())
        else:
            self.send_file(body, fault)

    def send_file(self, body: bytes, fault: Fault) -> None:
        version = hashlib.md5(body, usedforsecurity=False).hexdigest()
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        heeded = wanted is not None and condition in {None, f'"{version}"'}
        begin = int((wanted or "").removeprefix("bytes=").removesuffix("-")) if heeded else 0
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        self.send_header("ETag", f'"{version}"')
        self.end_headers()
        self.send(bytearray(body[begin:]), fault)


@contextlib.contextmanager
def fake_head(files: dict[str, bytes], port: int = 0) -> Iterator[FakeHead]:
    """Run a head for the length of a block."""
    head = FakeHead(dict(files))
    server = _Server(("127.0.0.1", port), type("_HeadHandlerOf", (_HeadHandler,), {"head": head}))
    head.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield head
    finally:
        for fault in head.faults:
            fault.release.set()
        server.shutdown()
        server.server_close()
