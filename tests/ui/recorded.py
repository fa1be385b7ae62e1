"""How does the interface look at a moment that has passed? What a real server answered is kept, and answered again.

A `Recording` holds the answers of one server, by path, and when they were given. `record` takes them from the pages of
a browser; `replaying` serves them together with the built interface, so that a page looks the same each time.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import mimetypes
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Route

from ui.stand import STATIC

STREAM = "text/event-stream"
SILENT_SECONDS = 0.7
"""A page that has asked for nothing for so long is complete."""
QUIET_SECONDS = 1.0
"""A stream that has said nothing for so long has told what it knows."""


@dataclass(frozen=True)
class Answer:
    """One answer: its status, content type and text."""

    status: int
    type: str
    text: str


@dataclass
class Recording:
    """What one server answered, by path with query, and when: `at` is in seconds since 1970.

    The path of what was not a GET has its method before it.
    """

    at: float = 0
    answers: dict[str, Answer] = field(default_factory=dict)

    def answer(self, path: str) -> Answer | None:
        """Return what was answered to this path, or else to this path with another query."""
        bare = path.partition("?")[0]
        others = (answer for known, answer in self.answers.items() if known.partition("?")[0] == bare)
        return self.answers.get(path) or next(others, None)

    def write(self, path: Path) -> None:
        """Keep it as a file."""
        path.write_bytes(gzip.compress(json.dumps(asdict(self), sort_keys=True).encode(), mtime=0))

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Return what a file holds."""
        kept = json.loads(gzip.decompress(path.read_bytes()))
        return cls(kept["at"], {path: Answer(**answer) for path, answer in kept["answers"].items()})


def record(context: BrowserContext, url: str, recording: Recording) -> None:
    """Keep what the pages of a browser are answered from now on; streams end for them when they fall silent."""

    def keep(route: Route) -> None:
        asked, path = route.request, route.request.url.removeprefix(url)
        if path.startswith("/ui"):
            route.continue_()
            return
        answer = fetched(url, path, asked.method, asked.post_data)
        recording.answers[_key(asked.method, path)] = answer
        route.fulfill(status=answer.status, content_type=answer.type, body=answer.text)

    context.route("**/*", keep)


def _key(method: str, path: str) -> str:
    return path if method == "GET" else f"{method} {path}"


def fetched(url: str, path: str, method: str, body: str | None) -> Answer:
    """Return what a server answers; of a stream, what it says before it falls silent."""
    at = urlsplit(url)
    connection = HTTPConnection(at.hostname or "", at.port, timeout=60)
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    response = connection.getresponse()
    kind = response.headers.get_content_type()
    text = b""
    if kind == STREAM:
        assert connection.sock is not None
        connection.sock.settimeout(QUIET_SECONDS)
        with contextlib.suppress(TimeoutError):
            while piece := response.read1():
                text += piece
    else:
        text = response.read()
    connection.close()
    return Answer(response.status, kind, text.decode())


@dataclass
class Replay:
    """A server that answers as another did: its address, and what it was asked for without knowing an answer."""

    url: str
    unknown: set[str] = field(default_factory=set)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def heard(self) -> None:
        """Note that somebody asks for something."""
        with self._news:
            self._news.notify_all()

    def fall_silent(self) -> None:
        """Wait until nobody has asked for anything for a while: pages are complete then, and so are their fonts."""
        with self._news:
            while self._news.wait(SILENT_SECONDS):
                pass


@contextlib.contextmanager
def replaying(recording: Recording, said: str = "") -> Iterator[Replay]:
    """Serve the built interface and the answers of a recording; streams stay open. A model says `said`."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            replay.heard()
            file = STATIC.parent / self.path.removeprefix("/ui").partition("?")[0].strip("/")
            if self.path.startswith("/ui"):
                shown = file if file.is_file() else STATIC
                # A font that comes a tenth of a second late is left out by what is built: waited for, here.
                body = shown.read_bytes().replace(b"font-display:optional", b"font-display:block")
                self._send(200, mimetypes.guess_type(shown)[0] or "application/octet-stream", body)
            else:
                self._answer("GET")

        def _answer(self, method: str) -> None:
            key = _key(method, self.path)
            if answer := recording.answer(key):
                self._send(answer.status, answer.type, answer.text.encode())
            else:
                replay.unknown.add(key)
                self._send(404, "application/json", b'{"error": {"message": "not recorded"}}')

        def do_POST(self) -> None:
            replay.heard()
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/chat/completions":
                self._send(200, STREAM, spoken(said).encode(), ends=True)
            else:
                self._answer("POST")

        def _send(self, status: int, kind: str, body: bytes, *, ends: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if kind != STREAM:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if kind == STREAM and not ends:
                self.wfile.flush()
                ended.wait()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # a page asks for many files at once; whoever is turned away comes a second later

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        replay = Replay(f"http://127.0.0.1:{server.server_address[1]}")
        try:
            yield replay
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def spoken(text: str) -> str:
    """Return a chat completion's stream that says a text, with the figures of one that took a second."""
    timings = {"prompt_n": 40, "prompt_ms": 100.0, "predicted_n": 80, "predicted_ms": 1000.0, "cache_n": 0}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "timings": timings}
    usage = {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 80, "total_tokens": 120}}
    first = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]}
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in (first, last, usage)) + "data: [DONE]\n\n"
