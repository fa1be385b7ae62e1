from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.runner import invoke
from fakes.ports import free_port, free_run
from sockets.helpers import stranger

CONFIG = """
startPort: {start}
models:
  qwen:
    cmd: llama-server --port ${{PORT}} -m q.gguf
  phi:
    cmd: llama-server --port ${{PORT}} -m p.gguf
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CLARACORE_URL", raising=False)


@pytest.fixture
def ports() -> range:
    return free_run(6)


@pytest.fixture
def config(tmp_path: Path, ports: range) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(start=ports[0]))
    return path


def run(*words: object) -> tuple[int, str]:
    result = invoke(["ports", *words])
    assert result.exception is None, result.exception
    return result.exit_code, result.output


def test_the_plan_is_shown_without_a_server(config: Path, ports: range) -> None:
    with stranger(ports[1]) as other:
        code, text = run("--config", config, "--listen", free_port())
    assert code == 0
    assert f"{ports[0]}  phi    (default)  free" in text
    assert f"{ports[1]}  qwen   (default)  stranger" in text
    assert f"pid {other.pid}" in text


def test_json_has_the_shape_of_the_api(config: Path, ports: range) -> None:
    code, text = run("--config", config, "--listen", free_port(), "--json")
    found = json.loads(text)
    assert code == 0
    assert found.keys() == {"web", "ranges", "ports", "findings", "ollama"}
    planned = [row["port"] for row in found["ports"] if row["model"]]  # others may listen nearby
    assert planned == [ports[0], ports[1]]


def test_a_plan_with_errors_is_exit_code_1(config: Path) -> None:
    config.write_text(config.read_text() + "groups: {g: {startPort: 9000, endPort: 8000, members: [phi]}}\n")
    code, text = run("--config", config, "--listen", free_port())
    assert code == 1
    assert "endPort 8000 lies before startPort 9000" in text


@pytest.mark.parametrize("text", ["models: [", "models: {m: {cmd: 3, proxy: [}}", None])
def test_a_configuration_that_cannot_be_read_is_exit_code_2(config: Path, text: str | None) -> None:
    if text is None:
        config.unlink()
    else:
        config.write_text(text)
    assert run("--config", config, "--listen", free_port())[0] == 2


def test_a_listen_address_that_is_none_is_exit_code_2(config: Path) -> None:
    assert run("--config", config, "--listen", "nonsense")[0] == 2


def test_why_of_a_free_port_is_exit_code_0(config: Path, ports: range) -> None:
    code, text = run("why", ports[0], "--config", config)
    assert (code, text) == (0, f'port {ports[0]} is free\n  it is planned for model "phi"\n')


def test_why_of_a_taken_port_is_exit_code_1(config: Path, ports: range) -> None:
    with stranger(ports[0]) as other:
        code, text = run("why", ports[0], "--config", config)
    assert code == 1
    assert f"pid {other.pid}" in text
    assert 'planned for model "phi"' in text


def test_why_tells_who_is_at_home_and_what_the_kernel_does() -> None:
    assert "Home Assistant is at home there" in run("why", 8123)[1]
    assert "where the kernel takes ports" in run("why", 60001)[1] or "free" in run("why", 60001)[1]


@contextmanager
def server(answers: dict[str, Any]) -> Iterator[int]:
    """Run a stand-in for a ClaraCore that answers with JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path)).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield httpd.server_address[1]
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


TRUTH: dict[str, Any] = {
    "web": {"hosts": [], "port": 1, "url": "http://x", "state": "serving", "pid": 7, "holder": "ClaraCore (pid 7)"},
    "ranges": [],
    "ports": [],
    "findings": [],
    "ollama": None,
}
IDENTITY = {"name": "claracore", "pid": 7}


def test_a_running_server_is_asked(config: Path) -> None:
    with server({"/api/identity": IDENTITY, "/api/ports": TRUTH}) as port:
        code, text = run("--config", config, "--listen", port, "--json")
    assert (code, json.loads(text)) == (0, TRUTH)


def test_where_nothing_is_said_the_server_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({"/api/identity": IDENTITY, "/api/ports": TRUTH}) as port:
        monkeypatch.setenv("CLARACORE_URL", f"http://127.0.0.1:{port}")
        code, text = run("--json")
    assert (code, json.loads(text)) == (0, TRUTH)


def test_somebody_else_who_answers_is_not_asked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server({"/api/ports": TRUTH}) as port:
        monkeypatch.setenv("CLARACORE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.chdir(config.parent)
        code, text = run()
    assert code == 0
    assert "qwen" in text


@pytest.mark.parametrize("answer", [{}, {"/api/ports": {"web": {}, "ranges": [], "ports": [{}], "findings": []}}])
def test_a_server_that_does_not_tell_leaves_the_plan(config: Path, answer: dict[str, Any]) -> None:
    with server({"/api/identity": IDENTITY, **answer}) as port:
        code, text = run("--config", config, "--listen", port)
    assert code == 0
    assert "qwen" in text


@pytest.mark.parametrize(("state", "code"), [("free", 0), ("time_wait", 0), ("held", 1), ("stranger", 1)])
def test_why_asks_the_running_server_first(config: Path, ports: range, state: str, code: int) -> None:
    view = {"port": ports[0], "state": state, "sentence": "what the server knows", "reasons": ["and why"]}
    with server({"/api/identity": IDENTITY, f"/api/ports/{ports[0]}": view}) as port, stranger(ports[0]):
        found = run("why", ports[0], "--config", config, "--listen", port)
    where = f"(so says the ClaraCore that runs at http://127.0.0.1:{port})"
    assert found == (code, f"what the server knows\n  and why\n  {where}\n")


def test_a_server_that_is_named_is_asked_alone(ports: range) -> None:
    view = {"port": ports[0], "state": "free", "sentence": "what the server knows", "reasons": []}
    with server({f"/api/ports/{ports[0]}": view, "/api/ports": TRUTH}) as port:
        url = f"http://127.0.0.1:{port}"
        assert run("why", ports[0], "--url", url)[1].startswith("what the server knows\n")
        assert json.loads(run("--json", "--url", url)[1]) == TRUTH
    assert invoke(["ports", "why", ports[0], "--url", url]).exit_code == 3
    assert invoke(["ports", "--url", url]).exit_code == 3


@pytest.mark.parametrize("answer", [{}, {"reasons": []}])
def test_a_server_that_tells_nothing_of_a_port_leaves_the_own_search(
    config: Path, ports: range, answer: dict[str, Any]
) -> None:
    answers = {"/api/identity": IDENTITY, **({f"/api/ports/{ports[0]}": answer} if answer else {})}
    with server(answers) as port, stranger(ports[0]) as other:
        code, text = run("why", ports[0], "--config", config, "--listen", port)
    assert code == 1
    assert f"pid {other.pid}" in text
    assert "so says" not in text
