"""What can a page of somebody else do, in a real browser? It asks in every way that a browser has."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page

from fakes.ports import free_run
from ui.conftest import page_with
from ui.stand import FAKE, Server, config, serving

NAMES = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP pointed.example 127.0.0.1, MAP box.local 127.0.0.1"
"""`box.local` stands for a machine in the network: browsers send no Sec-Fetch-Site to it over plain http."""

EVIL_PAGE = b"""<!doctype html><title>evil</title><body><script>
const gone = (it, set) => new Promise(done => { it.onload = it.onerror = done; set(it); document.body.append(it) })
const ask = {
  img: (url, policy) => gone(new Image(), it => { it.referrerPolicy = policy; it.src = url }),
  script: (url, policy) => gone(document.createElement('script'), it => { it.referrerPolicy = policy; it.src = url }),
  frame: (url, policy) => gone(document.createElement('iframe'), it => { it.referrerPolicy = policy; it.src = url }),
  fetch: (url, policy) => fetch(url, { mode: 'no-cors', referrerPolicy: policy }).catch(() => 0),
  cors: (url, policy) => fetch(url, { referrerPolicy: policy }).catch(() => 0),
  head: (url, policy) => fetch(url, { mode: 'no-cors', method: 'HEAD', referrerPolicy: policy }).catch(() => 0),
  // Only where a socket leads somewhere, and once: after some that failed Chromium makes the next ones wait.
  socket: (url, policy) => url.endsWith('/upstream/smollm2/') && !policy && new Promise(done => {
    new WebSocket(url.replace('http', 'ws')).onclose = done }),
  events: url => new Promise(done => { const it = new EventSource(url); it.onerror = () => { it.close(); done() } }),
  post: (url, policy) => fetch(url, { mode: 'no-cors', method: 'POST', body: '{"model":"smollm2"}',
    referrerPolicy: policy }).catch(() => 0),
  sandbox: url => gone(document.createElement('iframe'), it => { it.sandbox = 'allow-scripts'
    it.srcdoc = `<script>fetch('${url}', {method: 'POST', mode: 'no-cors', body: '{"model":"smollm2"}'})<\\/script>` }),
  form: (url, policy) => gone(document.createElement('iframe'), it => { it.name = 'f' + Math.random()
    const form = document.createElement('form'); form.target = it.name; form.rel = policy && 'noreferrer'
    const [action, query] = url.split('?'); form.action = action
    for (const [name, value] of new URLSearchParams(query)) {
      const field = document.createElement('input'); Object.assign(field, { name, value }); form.append(field) }
    document.body.append(it, form); setTimeout(() => form.submit()) }),
}
</script>"""


class _Evil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(EVIL_PAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def evil() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Evil)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://evil.example:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("ours"), config(start_port=free_run(8).start, engine=FAKE)) as server:
        yield server


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    """A page in a browser for which the strange names mean this machine."""
    with page_with(browser, NAMES) as page:
        yield page


def running(server: Server) -> list[str]:
    with urlopen(f"{server.url}/api/models") as answer:  # noqa: S310 - our own
        models = json.load(answer)["models"]
    return [model["id"] for model in models if model["state"] != "stopped"]


def call(server: Server, method: str, path: str) -> None:
    with urlopen(Request(f"{server.url}{path}", method=method)) as answer:  # noqa: S310 - our own
        answer.read()


def try_all(page: Page, url: str, policy: str = "") -> None:
    page.evaluate("([url, policy]) => Promise.all(Object.values(ask).map(way => way(url, policy)))", [url, policy])


PATHS = ["/upstream/smollm2/", "/upstream/smollm2/v1/models", "/props?model=smollm2", "/v1/chat/completions"]


def test_a_strange_page_starts_no_model_and_stops_none(visitor: Page, evil: str, ours: Server) -> None:
    port = ours.url.rpartition(":")[2]
    visitor.goto(evil)
    for host in ("localhost", "127.0.0.1", "box.local"):
        for path in (*PATHS, "/unload"):
            try_all(visitor, f"http://{host}:{port}{path}")
            if host != "box.local":
                try_all(visitor, f"http://{host}:{port}{path}", "no-referrer")
            assert running(ours) == [], f"{host}{path}"
    call(ours, "POST", "/api/models/load/smollm2")
    for host in ("localhost", "127.0.0.1", "box.local"):
        for policy in ("", "no-referrer"):
            for path in ("/unload", "/api/models/unload"):
                try_all(visitor, f"http://{host}:{port}{path}", policy)
                assert running(ours) == ["smollm2"], f"{host}{path} {policy}"
    call(ours, "POST", "/api/models/unload")


def test_a_name_that_was_pointed_at_us_reads_and_starts_nothing(visitor: Page, ours: Server) -> None:
    port = ours.url.rpartition(":")[2]
    visitor.goto(f"http://pointed.example:{port}/ui/")
    fetched = "path => fetch(path).then(answer => answer.status)"
    for path in ("/api/models", "/v1/models", "/logs", "/unload", *PATHS[:3]):
        assert visitor.evaluate(fetched, path) == 403, path
    posted = "path => fetch(path, {method: 'POST', body: '{\"model\":\"smollm2\"}'}).then(answer => answer.status)"
    for path in ("/v1/chat/completions", "/api/models/unload"):
        assert visitor.evaluate(posted, path) == 403, path
    assert running(ours) == []


def test_a_person_who_types_or_follows_a_link_of_ours_is_served(visitor: Page, ours: Server) -> None:
    port = ours.url.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", "box.local"):
        typed = visitor.goto(f"http://{host}:{port}/upstream/smollm2/health")
        assert typed is not None
        assert typed.status == 200
        assert running(ours) == ["smollm2"]
        followed = visitor.evaluate("fetch('/upstream/smollm2/health').then(answer => answer.status)")
        assert followed == 200
        call(ours, "POST", "/api/models/unload")
    typed = visitor.goto(f"http://localhost:{port}/unload")
    assert typed is not None
    assert typed.status == 200
