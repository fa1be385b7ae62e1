"""The front door: taken by ClaraCore, taken by a stranger, `auto`, systemd's sockets, both loopback addresses."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.instance import Instance, configured, fake, instance
from e2e.ports import claracore, environment
from fakes.ports import free_port, free_run
from sockets.helpers import readline, start, stranger

MODEL = f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{fake()}'}}\n"

LAUNCHER = """
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
os.dup2(os.dup(listener.fileno()), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "claracore", *sys.argv[1:]])
"""
"""What systemd does for a socket unit (sd_listen_fds(3))."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front")
    configured(folder, MODEL)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Instance]:
    with instance(folder, "--config", "config.yaml", "--listen", str(free_port())) as running:
        yield running


def status(host: str, port: int) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/api/identity")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_a_bare_port_is_served_on_both_loopback_addresses(served: Instance) -> None:
    port = urlsplit(served.url).port or 0
    assert status("127.0.0.1", port) == 200
    assert status("::1", port) == 200


def test_a_second_start_says_that_and_where_it_runs(served: Instance, folder: Path) -> None:
    port = urlsplit(served.url).port
    second = claracore(folder, "--config", "config.yaml", "--listen", str(port))
    assert second.returncode == 1
    assert f"already running at http://127.0.0.1:{port} (pid {served.process.pid})" in second.stderr
    assert second.stdout == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_stranger_at_the_door_is_named_and_nothing_moves(folder: Path, host: str) -> None:
    port = free_port()
    with stranger(port, host=host) as holder:
        start = claracore(folder, "--config", "config.yaml", "--listen", str(port))
    assert start.returncode == 1
    assert f"port {port} is taken by python" in start.stderr
    assert f"(pid {holder.pid}, user " in start.stderr
    assert f"--listen {port + 1} or --listen auto" in start.stderr


def test_auto_takes_the_next_free_port(folder: Path) -> None:
    with instance(folder, "--config", "config.yaml", "--listen", "auto") as one:
        first = urlsplit(one.url).port or 0
        assert first >= 5800
        with instance(folder, "--config", "config.yaml", "--listen", "auto") as two:
            assert (urlsplit(two.url).port or 0) > first
            assert two.chat("a").status == 200


def test_sockets_from_systemd_are_used_and_not_passed_on(folder: Path) -> None:
    process = start([sys.executable, "-c", LAUNCHER, "--config", f"{folder}/config.yaml"], dict(environment(folder)))
    try:
        port = int(readline(process))
        while "serves" not in readline(process):
            assert process.poll() is None
        assert status("127.0.0.1", port) == 200
        process.terminate()
    except BaseException:
        process.kill()
        raise
    finally:
        process.communicate()
    assert process.returncode == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_an_old_file_works_beside_its_own_web_port_and_migrates(tmp_path: Path) -> None:
    ports = free_run(3)
    text = (
        f"# mine\nstartPort: {ports[0]}  # from long ago\nmodels:\n  a: {{cmd: '{fake()}'}}\n  b: {{cmd: '{fake()}'}}\n"
    )
    config = configured(tmp_path, text)
    listen = ("--listen", f"127.0.0.1:{ports[0]}")
    with instance(tmp_path, "--config", str(config), *listen) as running:
        for model, port in (("a", ports[1]), ("b", ports[2])):
            assert running.chat(model).status == 200
            assert running.running()[model]["port"] == port
    dry = claracore(tmp_path, "config", "migrate", "--config", str(config), *listen, "--dry-run")
    assert "+startPort: 8100  # from long ago" in dry.stdout, dry
    assert config.read_text() == text
    done = claracore(tmp_path, "config", "migrate", "--config", str(config), *listen)
    assert done.returncode == 0, done
    assert config.read_text() == text.replace(f"startPort: {ports[0]}", "startPort: 8100")
    assert [path.read_text() for path in tmp_path.glob("config.yaml*") if path != config] == [text]
