"""What can a page read that may use the models, in a real browser? Also why it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from fakes.ports import free_run
from ui.conftest import page_with
from ui.stand import FAKE, Server, config, serving

KEY = "good-key-0123456789"
NAMES = "--host-resolver-rules=MAP chat.example 127.0.0.1, MAP other.example 127.0.0.1"
ASK = """async ([url, headers, body]) => {
  try {
    const answer = await fetch(url, { headers, ...(body ? { method: 'POST', body } : {}) })
    return [answer.status, (await answer.text()).slice(0, 2000)]
  } catch { return [0, ''] }
}"""


class _Chat(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>chat</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def chat_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Chat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, chat_port: int) -> Iterator[Server]:
    more = f"apiKeys: [{KEY}]\ncors_origins: ['http://chat.example:{chat_port}']\n"
    text = config(start_port=free_run(8).start, engine=FAKE, more=more)
    with serving(tmp_path_factory.mktemp("invited"), text) as server:
        yield server


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    with page_with(browser, NAMES) as page:
        yield page


def test_an_invited_page_reads_answers_and_refusals(visitor: Page, chat_port: int, locked: Server) -> None:
    visitor.goto(f"http://chat.example:{chat_port}/")
    right, wrong = {"Authorization": f"Bearer {KEY}"}, {"Authorization": "Bearer wrong"}
    chat = '{"model":"smollm2","messages":[]}'
    json = {"Content-Type": "application/json"}

    def ask(path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
        status, text = visitor.evaluate(ASK, [locked.url + path, headers, body])
        return status, text

    assert ask("/v1/models", right)[0] == 200
    assert ask("/v1/models/smollm2", right)[0] == 200
    assert ask("/health", {})[0] == 200
    assert ask("/v1/chat/completions", right | json, chat)[0] == 200
    for path, headers, body, status, said in (
        ("/v1/models", wrong, "", 401, "no valid API key"),
        ("/v1/chat/completions", wrong | json, chat, 401, "no valid API key"),
        ("/v1/models/nobody", right, "", 404, "nobody"),
        ("/v1/chat/completion", right | json, chat, 404, "did you mean POST /v1/chat/completions"),
    ):
        found, text = ask(path, headers, body)
        assert (found, said in text) == (status, True), path
    assert ask("/api/models", right)[0] == 0, "the control plane is for its own pages"


def test_a_page_that_was_not_invited_reads_nothing_and_the_log_says_how_to_invite_it(
    visitor: Page, chat_port: int, locked: Server
) -> None:
    visitor.goto(f"http://other.example:{chat_port}/")
    for _ in range(2):
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        said = visitor.evaluate(ASK, [f"{locked.url}/v1/chat/completions", headers, '{"model":"smollm2"}'])
        assert said == [0, ""]
    errors = (locked.folder / "stderr").read_text()
    assert errors.count(f"--cors-origin http://other.example:{chat_port}") == 1
    expect(visitor).to_have_title("chat")
