"""The second address, where clients of Ollama look: opened, moved, taken by others, and explained."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from http.client import HTTPConnection
from pathlib import Path

import ollama
import pytest

from cli.runner import invoke
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run
from sockets.helpers import stranger

MODELS = f"startPort: {free_run(4).start}\nmodels:\n  one: {{cmd: '{fake()}'}}\n"


@pytest.fixture
def ports() -> range:
    return free_run(3)


def config(port: int | None) -> str:
    return MODELS if port is None else f"ollama: {{listen: 127.0.0.1:{port}}}\n{MODELS}"


def asked(port: int, path: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def names(port: int) -> list[str | None]:
    with ollama.Client(f"http://127.0.0.1:{port}") as client:
        return [model.model for model in client.list().models]


def is_closed(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def server(tmp_path: Path, ports: range) -> Iterator[Instance]:
    configured(tmp_path, config(ports[0]))
    with instance(tmp_path, "--no-watch-config") as running:
        yield running


def reload(server: Instance, port: int | None) -> None:
    configured(server.folder, config(port))
    answer = server.ask("POST", "/api/config/reload")
    assert answer.status == 200, answer.body


def test_everything_is_served_there_too(server: Instance, ports: range) -> None:
    assert names(ports[0]) == ["one:latest"]
    assert asked(ports[0], "/") == (200, b"Ollama is running")
    assert server.ask("GET", "/").status == 302
    assert asked(ports[0], "/v1/models")[0] == 200
    assert asked(ports[0], "/ui/")[0] in {200, 503}
    assert server.line("clients of Ollama find it on").endswith(f"http://127.0.0.1:{ports[0]}")
    with closing(HTTPConnection("127.0.0.1", ports[0], timeout=60)) as connection:
        body = b'{"model": "one:latest", "messages": [{"role": "user", "content": "x"}]}'
        connection.request("POST", "/v1/chat/completions", body)
        assert connection.getresponse().status == 200


def test_it_follows_the_configuration(server: Instance, ports: range) -> None:
    with closing(HTTPConnection("127.0.0.1", ports[0], timeout=60)) as connection:
        connection.request("GET", "/health")
        connection.getresponse().read()
        reload(server, ports[1])
        assert names(ports[1]) == ["one:latest"]
        assert is_closed(ports[0])
        connection.request("GET", "/health")  # whoever is connected stays
        assert connection.getresponse().status == 200
    reload(server, None)
    assert is_closed(ports[1])
    assert server.ask("GET", "/api/ports").json["ollama"] is None
    assert server.end() == 0


def test_it_is_explained(server: Instance, ports: range) -> None:
    found = server.ask("GET", "/api/ports").json["ollama"]
    assert (found["port"], found["state"], found["pid"]) == (ports[0], "serving", server.process.pid)
    why = server.ask("GET", f"/api/ports/{ports[0]}").json
    assert "taken by ClaraCore" in why["sentence"]
    assert "it is where clients of Ollama look for ClaraCore (--ollama, ollama.listen)" in why["reasons"]
    result = invoke(["ports", "--listen", server.url.removeprefix("http://")])
    assert f"for clients of Ollama  http://127.0.0.1:{ports[0]}  serving  by ClaraCore" in result.output
    explained = invoke(["ports", "why", str(ports[0]), "--listen", server.url.removeprefix("http://")])
    assert (explained.exit_code, "where clients of Ollama look" in explained.output) == (1, True)


def test_somebody_else_is_there(tmp_path: Path, ports: range) -> None:
    configured(tmp_path, config(ports[0]))
    with stranger(ports[0]), instance(tmp_path, "--no-watch-config") as server:
        line = server.line(f"port {ports[0]} for clients of Ollama is taken by")
        assert "pid" in line
        assert server.chat("one").status == 200
        report = server.ask("GET", "/api/ports").json
        assert report["ollama"]["state"] == "stranger"
        [finding] = report["findings"]
        assert (finding["severity"], finding["path"]) == ("warning", "ollama.listen")
        assert "stop that process and reload the configuration" in finding["way_out"]
        assert "find it on" not in " ".join(server.lines)


def test_a_reload_tries_again(tmp_path: Path, ports: range) -> None:
    configured(tmp_path, config(ports[0]))
    with stranger(ports[0]) as other, instance(tmp_path, "--no-watch-config") as server:
        server.line("is taken by")
        other.end()
        reload(server, ports[0])
        assert names(ports[0]) == ["one:latest"]
        assert server.ask("GET", "/api/ports").json["findings"] == []


def test_the_flag_means_where_ollama_listens(tmp_path: Path) -> None:
    configured(tmp_path, config(None))
    if not is_closed(11434):
        pytest.skip("somebody has port 11434 on this machine")
    with instance(tmp_path, "--ollama") as server:
        assert names(11434) == ["one:latest"]
        with ollama.Client() as client:  # which asks there when nothing else is said
            assert client.show("one").capabilities == ["completion"]
        with server_beside(tmp_path) as second:
            line = second.line("port 11434 for clients of Ollama is taken by")
            assert str(server.process.pid) in line


def server_beside(folder: Path) -> AbstractContextManager[Instance]:
    """Run another ClaraCore with a configuration of its own."""
    (folder / "beside").mkdir()
    configured(folder / "beside", config(None))
    return instance(folder / "beside", "--ollama")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_on_loopback_it_is_plain_also_beside_tls(tmp_path: Path, ports: range) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*made, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    configured(tmp_path, config(ports[0]))
    with instance(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        assert server.url.startswith("https://")
        assert names(ports[0]) == ["one:latest"]
