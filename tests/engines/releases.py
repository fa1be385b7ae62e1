"""A stand-in of GitHub's releases on loopback: pages, redirects, ranges, digests, limits, and all that can go wrong."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "ggml-org/llama.cpp"


@dataclass
class StandRelease:
    """One release; `files` are its assets."""

    tag: str
    files: Mapping[str, bytes]
    prerelease: bool = True
    digests: dict[str, str | None] = field(default_factory=dict)
    """What it says instead of the true digest."""
    sizes: dict[str, int] = field(default_factory=dict)
    """What it says instead of the true size."""


@dataclass
class Stand:
    """The place, and what it does wrong."""

    url: str = ""
    releases: list[StandRelease] = field(default_factory=list)
    """The newest first."""
    latest: str | None = None
    page_size: int = 2
    limited_until: float | None = None
    cut_after: int | None = None
    """Answers with a file end after so many bytes, as long as `cuts` is above 0."""
    cuts: int = 0
    held: threading.Event | None = None
    """Files go on after their first half when this is set."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set when the first half of a file is out."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _headers in self.asked]

    def add(self, tag: str, files: Mapping[str, bytes], **more: Any) -> StandRelease:
        """Publish a release, the newest so far."""
        release = StandRelease(tag, files, **more)
        self.releases.insert(0, release)
        return release

    def view(self, release: StandRelease) -> dict[str, Any]:
        """What GitHub says of a release."""
        return {
            "tag_name": release.tag,
            "prerelease": release.prerelease,
            "draft": False,
            "published_at": "2026-11-28T00:00:00Z",
            "assets": [
                {
                    "name": name,
                    "state": "uploaded",
                    "size": release.sizes.get(name, len(raw)),
                    "digest": release.digests.get(name, f"sha256:{hashlib.sha256(raw).hexdigest()}"),
                    "browser_download_url": f"{self.url}/{REPOSITORY}/releases/download/{release.tag}/{name}",
                }
                for name, raw in release.files.items()
            ],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand: Stand

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        stand, parts = self.stand, urlsplit(self.path)
        stand.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        api, files = f"/repos/{REPOSITORY}/releases", f"/{REPOSITORY}/releases/download/"
        if not self.headers.get("User-Agent"):
            self.answer(403, {"message": "Request forbidden by administrative rules: User-Agent"})
        elif parts.path.startswith("/repos/") and stand.limited_until is not None:
            fields = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(stand.limited_until))}
            self.answer(403, {"message": "API rate limit exceeded"}, fields)
        elif parts.path == api:
            self.page(int(parse_qs(parts.query).get("page", ["1"])[0]))
        elif parts.path.startswith(f"{api}/"):
            self.one(parts.path.removeprefix(f"{api}/"))
        elif parts.path.startswith(files):
            # As GitHub does: to a signed address on another host.
            target = f"http://localhost:{self.server.server_port}/storage/{parts.path.removeprefix(files)}?sig=x"  # type: ignore[attr-defined]
            self.answer(302, None, {"Location": target})
        elif parts.path.startswith("/storage/"):
            self.file(*parts.path.removeprefix("/storage/").split("/", 1))
        else:
            self.answer(404, {"message": "Not Found"})

    def page(self, number: int) -> None:
        stand = self.stand
        first = (number - 1) * stand.page_size
        rows = [stand.view(release) for release in stand.releases[first : first + stand.page_size]]
        fields = {}
        if first + stand.page_size < len(stand.releases):
            fields["Link"] = f'<{stand.url}/repos/{REPOSITORY}/releases?page={number + 1}>; rel="next"'
        self.answer(200, rows, fields)

    def one(self, which: str) -> None:
        tag = self.stand.latest if which == "latest" else which.removeprefix("tags/")
        found = next((release for release in self.stand.releases if release.tag == tag), None)
        if found is None:
            self.answer(404, {"message": "Not Found"})
        else:
            self.answer(200, self.stand.view(found))

    def file(self, tag: str, name: str) -> None:
        stand = self.stand
        raw = next(release for release in stand.releases if release.tag == tag).files[name]
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(raw) - 1}/{len(raw)}")
        self.send_header("Content-Length", str(len(raw) - start))
        self.end_headers()
        body = raw[start:]
        if stand.cuts > 0 and stand.cut_after is not None:
            stand.cuts -= 1
            self.wfile.write(body[: stand.cut_after])
            self.close_connection = True
            self.connection.shutdown(2)
            return
        if stand.held is not None:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            stand.reached.set()
            stand.held.wait(30)
            body = body[len(body) // 2 :]
        self.wfile.write(body)

    def answer(self, status: int, data: object, fields: Mapping[str, str] | None = None) -> None:
        raw = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def stand_in() -> Iterator[Stand]:
    """Serve releases on a free port of loopback."""
    stand = Stand()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand": stand}))
    server.daemon_threads = True
    stand.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stand
    finally:
        if stand.held is not None:
            stand.held.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tar_gz(files: Mapping[str, bytes | str], top: str = "llama-b1") -> bytes:
    """Return an archive as the project makes them: all in one folder, a text is a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}" if top else name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.mode, info.size = 0o755, len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def script(build: int, serve: str = "exit 1") -> bytes:
    """Return a llama-server that is a script: it says its version on stderr, as the real one does."""
    return f"""#!/bin/sh
case "$1" in
--version) echo "version: {build} (abc{build})" >&2; echo "built with a test" >&2; exit 0;;
--help) echo "-m,    --model FNAME   model path"; echo "--port PORT  port"; exit 0;;
esac
{serve}
""".encode()


def build(number: int, serve: str = "exit 1", **more: bytes | str) -> dict[str, bytes]:
    """Return the files of a release that has only a build for processors, for all systems that tests run on."""
    raw = tar_gz({"llama-server": script(number, serve), "libx.so.1": b"x" * 1000, "libx.so": "libx.so.1", **more})
    return {f"llama-b{number}-bin-ubuntu-{processor}.tar.gz": raw for processor in ("x64", "arm64")}
