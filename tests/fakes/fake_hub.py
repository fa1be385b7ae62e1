"""A hub of models on this machine, as huggingface.co speaks, that can misbehave on command.

The hub lists repositories page by page and answers `resolve` with a redirect to a second server on another port, the
"CDN", which sends bytes and ranges. `faults` are taken one by one by whoever asks the CDN next; a test that needs a
transfer to stand still holds it with an event and lets it go.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

WAIT_SECONDS = 60


@dataclass
class Fault:
    """What the CDN does instead of sending all it was asked for."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Close the connection after so many bytes."""
    hold_after: int | None = None
    """Stand still after so many bytes until `release`."""
    corrupt: bool = False
    ignore_range: bool = False
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Seen:
    """One request that came."""

    server: str
    path: str
    headers: dict[str, str]


@dataclass
class FakeHub:
    """The two servers, what is on them, and what was asked of them."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Repository -> path -> contents."""
    gated: set[str] = field(default_factory=set)
    """Anybody may see what is in them; the files are for those with the token."""
    hidden: set[str] = field(default_factory=set)
    """There for those with the token only."""
    token: str = "hf_right"
    page_size: int = 1000
    faults: deque[Fault] = field(default_factory=deque)
    listing_faults: deque[Fault] = field(default_factory=deque)
    more_entries: list[dict[str, Any]] = field(default_factory=list)
    """Added to every listing: whatever a bad hub might say."""
    sizes: dict[str, int] = field(default_factory=dict)
    """By path: sizes that the hub tells instead of the true ones."""
    lie_about_sha256: bool = False
    next_link: str | None = None
    """Where a listing claims to go on."""
    redirect_to: str | None = None
    """Where `resolve` leads to instead of the CDN."""
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Repository -> what a search says of it beside its name."""
    search_faults: deque[Fault] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    cdn: str = ""

    def asked(self, server: str) -> list[Seen]:
        return [one for one in self.seen if one.server == server]

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment that leads to it, and to no token of the person who runs the tests."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": "/nowhere", "NO_PROXY": "*", **more}

    def entries(self, repo: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for path, body in self.repos[repo].items():
            whole = sha256(b"something else" if self.lie_about_sha256 else body)
            size = self.sizes.get(path, len(body))
            entry = {"type": "file", "oid": git_blob(body), "size": size, "path": path}
            if path.endswith(".gguf"):
                entry["lfs"] = {"oid": whole, "size": size, "pointerSize": 134}
            found.append(entry)
        folders = {path.rpartition("/")[0] for path in self.repos[repo]} - {""}
        return [*({"type": "directory", "oid": "0" * 40, "size": 0, "path": its} for its in folders), *found]


# A real model is 100 MB, and its entry is asked for several times in a test.
@lru_cache(maxsize=4)
def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@lru_cache(maxsize=4)
def git_blob(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub
    name = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        pass

    def note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.seen.append(Seen(self.name, self.path, headers))

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # who asked has given up
                self.wfile.write(body)


class _HubHandler(_Handler):
    name = "hub"

    def do_GET(self) -> None:
        self.note()
        if self.hub.listing_faults:
            fault = self.hub.listing_faults.popleft()
            self.answer(fault.status or 500, headers=fault.headers)
            return
        parts = urlsplit(self.path)
        steps = [unquote(step) for step in parts.path.split("/")[1:]]
        match steps:
            case ["api", "models"]:
                words = parse_qs(parts.query)["search"][0].lower()
                found = [
                    {"id": repo, **self.hub.about.get(repo, {})} for repo in self.hub.repos if words in repo.lower()
                ]
                self.search(json.dumps(found).encode())
            case ["api", "models", org, name, "tree", revision]:
                if self.admit(f"{org}/{name}", revision):
                    self.list(f"{org}/{name}", parse_qs(parts.query))
            case [org, name, "resolve", revision, *path]:
                if self.admit(f"{org}/{name}", revision):
                    self.resolve(f"{org}/{name}", "/".join(path))
            case _:
                self.answer(404)

    do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

    def search(self, answer: bytes) -> None:
        fault = self.hub.search_faults.popleft() if self.hub.search_faults else Fault()
        if fault.hold_after is not None:
            fault.held.set()
            fault.release.wait(WAIT_SECONDS)
        self.answer(fault.status or 200, answer if fault.status is None else b"", fault.headers)

    def admit(self, repo: str, revision: str) -> bool:
        authorization = self.headers.get("Authorization")
        right = authorization == f"Bearer {self.hub.token}"
        if authorization is not None and not right:
            self.answer(401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo not in self.hub.repos or (repo in self.hub.hidden and not right):
            self.answer(
                404 if right else 401,
                headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
            )
        elif repo in self.hub.gated and not right and "/resolve/" in self.path:
            self.answer(401, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted."})
        elif revision != "main":
            self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        else:
            return True
        return False

    def list(self, repo: str, query: dict[str, list[str]]) -> None:
        entries = [*self.hub.entries(repo), *self.hub.more_entries]
        begin = int(query.get("cursor", ["0"])[0])
        end = begin + self.hub.page_size
        path = urlsplit(self.path).path
        link = {}
        if self.hub.next_link is not None:
            link = {"Link": f'<{self.hub.next_link}>; rel="next"'}
        elif end < len(entries):
            link = {"Link": f'<{self.hub.url}{path}?recursive=true&cursor={end}>; rel="next"'}
        self.answer(200, json.dumps(entries[begin:end]).encode(), link)

    def resolve(self, repo: str, path: str) -> None:
        entry = next((one for one in self.hub.entries(repo) if one["path"] == path), None)
        if entry is None:
            self.answer(404, headers={"X-Error-Code": "EntryNotFound"})
            return
        told = {"X-Linked-Size": str(entry["size"]), "ETag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            told["X-Linked-Etag"] = f'"{entry["lfs"]["oid"]}"'
        location = self.hub.redirect_to or f"{self.hub.cdn}/{repo}/{path}?signature=secret"
        self.answer(302, headers={**told, "Location": location})


class _CdnHandler(_Handler):
    name = "cdn"

    def do_GET(self) -> None:
        self.note()
        fault = self.hub.faults.popleft() if self.hub.faults else Fault()
        if fault.status is not None:
            self.answer(fault.status, headers=fault.headers)
            return
        org, name, path = unquote(urlsplit(self.path).path)[1:].split("/", 2)
        body = self.hub.repos[f"{org}/{name}"][path]
        whole = len(body)
        begin = 0
        if (wanted := self.headers.get("Range")) and not fault.ignore_range:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
        self.send_header("Content-Length", str(whole - begin))
        self.send_header("ETag", '"of-the-cdn"')
        self.end_headers()
        self.send(bytearray(body[begin:]), fault)

    def send(self, body: bytearray, fault: Fault) -> None:
        if fault.corrupt:
            body[-1] ^= 1
        with contextlib.suppress(OSError):
            if fault.cut_after is not None:
                self.wfile.write(body[: fault.cut_after])
                self.close_connection = True
                return
            begun = fault.hold_after if fault.hold_after is not None else 0
            self.wfile.write(body[:begun])
            if fault.hold_after is not None:
                self.wfile.flush()
                fault.held.set()
                fault.release.wait(WAIT_SECONDS)
            self.wfile.write(body[begun:])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def fake_hub(**what: Any) -> Iterator[FakeHub]:
    """Run a hub and its CDN for the length of a block."""
    hub = FakeHub(**what)
    servers = [
        _Server(("127.0.0.1", 0), type(handler.__name__, (handler,), {"hub": hub}))
        for handler in (_HubHandler, _CdnHandler)
    ]
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
