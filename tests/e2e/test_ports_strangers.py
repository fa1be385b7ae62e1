"""Strangers on the ports of models, in the whole product: on every address, in every gap, and what people are told."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from claracore.host.sockets.kernel import sockets_on
from e2e.instance import Answer, Instance, configured, fake, instance
from e2e.ports import container_runtime, sharing_engine
from fakes.ports import free_port, free_run
from sockets.helpers import leave_in_time_wait, listening, stranger

REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"answered": "by me"}'


@contextlib.contextmanager
def answering(port: int, *options: int) -> Iterator[list[bytes]]:
    """Answer 200 to whoever connects to the port, as long as the block runs; the list has what was received."""
    heard: list[bytes] = []
    listener = listening(port, "127.0.0.1", *options)

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    heard.append(connection.recv(65536))
                    connection.sendall(REPLY)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def ours(running: Instance, model: str, answer: Answer) -> int:
    """Return the port of the model after making sure that its own server has answered."""
    assert answer.status == 200, (answer.body, running.lines)
    now = running.running()[model]
    assert answer.json["echo"]["pid"] == now["pid"]
    return int(now["port"])


ADDRESSES = {
    "a-loopback": ("127.0.0.1", ()),
    "b-everywhere": ("0.0.0.0", ()),
    "c-silent": ("127.0.0.1", ("silent",)),
    "d-dual": ("::", ("dual",)),
    "e-another": ("127.0.0.9", ()),
    "f-ipv6": ("::1", ()),
    "g-ipv6-everywhere": ("::", ()),
}
TAKEN = [name for name in ADDRESSES if not name.startswith(("f", "g"))]
"""Those that keep an IPv4 server from binding."""


@pytest.mark.parametrize("option", ["--hold-ports", "--no-hold-ports"])
def test_strangers_on_every_address_are_left_alone_and_named(tmp_path: Path, option: str) -> None:
    ports = free_run(20)
    planned = dict(zip(ADDRESSES, ports, strict=False))
    rows = "".join(f"  {name}: {{cmd: '{fake()}'}}\n" for name in ADDRESSES)
    config = configured(tmp_path, f"startPort: {ports.start}\nmodels:\n{rows}")
    with contextlib.ExitStack() as stack:
        pids = {
            name: stack.enter_context(stranger(planned[name], *options, host=host)).pid
            for name, (host, options) in ADDRESSES.items()
        }
        running = stack.enter_context(instance(tmp_path, "--config", str(config), option))
        for name in ADDRESSES:
            port = ours(running, name, running.chat(name))
            assert (port != planned[name]) == (name in TAKEN)
        for name in TAKEN:
            assert f"(pid {pids[name]}, user " in running.line(f"port {planned[name]} is taken by ")
        rows_now = {row["port"]: row for row in running.ask("GET", "/api/ports").json["ports"]}
        for name in TAKEN:
            assert rows_now[planned[name]]["state"] == "stranger"
            why = running.ask("GET", f"/api/ports/{planned[name]}").json
            assert f"(pid {pids[name]}, user " in why["sentence"]


def test_remains_of_connections_do_not_matter(tmp_path: Path) -> None:
    port = free_port()
    leave_in_time_wait(port)
    engine = sharing_engine(tmp_path)
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  a: {{cmd: '{engine} --port ${{PORT}}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        assert ours(running, "a", running.chat("a")) == port


def test_a_server_that_shares_its_port_and_has_no_check_is_not_shut_out_of_it(tmp_path: Path) -> None:
    """Its port is shut when it listens, and not at the first look, which comes before it does."""
    port = free_port()
    cmd = f"{sharing_engine(tmp_path)} --port ${{PORT}} --listen-file {tmp_path / 'go'}"
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  a: {{cmd: '{cmd}', checkEndpoint: none}}\n")
    with instance(tmp_path, "--config", str(config)) as running, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.chat, "a")
        running.line("model a: starting")
        while not running.children():
            pass  # each turn asks the kernel: it ends when the child is there
        (tmp_path / "go").touch()
        assert ours(running, "a", answer.result()) == port


@pytest.mark.parametrize("check", ["/health", "none"])
@pytest.mark.parametrize("hold", ["--hold-ports", "--no-hold-ports"])
def test_who_slips_into_the_gap_gets_no_request_and_the_model_the_next_port(
    tmp_path: Path, hold: str, check: str
) -> None:
    """A server without --reuse-port is given the port before it binds, which it does when `go` exists (P8, P9)."""
    ports = free_run(4)
    go = tmp_path / "go"
    row = f"  a: {{cmd: '{fake('--listen-file', str(go))}', checkEndpoint: {check}}}\n"
    config = configured(tmp_path, f"startPort: {ports.start}\nmodels:\n{row}")
    with instance(tmp_path, "--config", str(config), hold) as running, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.chat, "a")
        running.line("model a: starting")
        while not running.children():
            pass  # each turn asks the kernel: it ends when the child is there, and the port let go
        with answering(ports[0]) as heard:
            told = running.line(f"model a could not bind port {ports[0]}, trying the next")
            go.touch()
            assert ours(running, "a", answer.result()) == ports[1]
        assert "answered by" in told
        assert not any(b"/v1/" in request for request in heard)
        assert not [line for line in running.lines if "ERROR" in line]
        findings = running.ask("GET", "/api/ports").json["findings"]
        assert [finding for finding in findings if f'model "a" was given {ports[1]} instead' in finding["message"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how another process's socket was bound")
def test_there_is_no_gap_any_more_when_a_server_was_seen_to_bind(tmp_path: Path) -> None:
    """A server without --reuse-port that sets SO_REUSEADDR, as nearly all do, joins the hold at its second start."""
    port = free_port()
    go = tmp_path / "go"
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  a: {{cmd: '{fake('--listen-file', str(go))}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running, ThreadPoolExecutor(1) as pool:
        go.touch()
        assert ours(running, "a", running.chat("a")) == port
        assert running.ask("POST", "/api/models/unload/a").status == 200
        go.unlink()
        answer = pool.submit(running.chat, "a")
        while not running.children():
            pass  # each turn asks the kernel: it ends when the child is there
        for options in (), (socket.SO_REUSEPORT,):
            with pytest.raises(OSError, match="in use"):
                listening(port, "127.0.0.1", *options)
        go.touch()
        assert ours(running, "a", answer.result()) == port


def test_a_process_of_the_same_user_that_joins_a_shared_port_gets_no_request(tmp_path: Path) -> None:
    ports = free_run(4)
    go = tmp_path / "go"
    cmd = f"{sharing_engine(tmp_path)} --port ${{PORT}} --listen-file {go}"
    config = configured(tmp_path, f"startPort: {ports.start}\nmodels:\n  a: {{cmd: '{cmd}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running, ThreadPoolExecutor(1) as pool:
        with pytest.raises(OSError, match="in use"):
            listening(ports[0], "127.0.0.1", socket.SO_REUSEPORT)
        answer = pool.submit(running.chat, "a")
        running.line("model a: starting")
        while not running.children():
            pass  # as above
        with pytest.raises(OSError, match="in use"):
            listening(ports[0])
        with answering(ports[0], socket.SO_REUSEPORT) as heard:
            running.line(f"model a could not bind port {ports[0]}, trying the next")
            go.touch()
            port = ours(running, "a", answer.result())
            assert port == ports[1]
            with pytest.raises(OSError, match="in use"):
                listening(port, "127.0.0.1", socket.SO_REUSEPORT)
        assert not any(b"/v1/" in request for request in heard)


def test_a_server_without_a_check_is_asked_when_it_listens_and_one_on_ipv6_is_found(tmp_path: Path) -> None:
    port = free_port()
    slow = fake("--listen-file", str(tmp_path / "go"))
    rows = f"  a: {{cmd: '{slow}', checkEndpoint: none}}\n"
    rows += f"  b: {{cmd: '{fake('--host', '::1')}', proxy: 'http://[::1]:${{PORT}}'}}\n"
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n{rows}")
    with instance(tmp_path, "--config", str(config)) as running, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.chat, "a")
        running.line("model a: starting")
        while not running.children():
            pass  # as above
        (tmp_path / "go").touch()
        assert ours(running, "a", answer.result()) == port
        assert ours(running, "b", running.chat("b")) == port + 1


def test_a_container_is_served_by_its_runtime_and_the_log_says_so(tmp_path: Path) -> None:
    port = free_port()
    with container_runtime(tmp_path) as docker:
        row = f"  a: {{cmd: '{docker} run --rm -p ${{PORT}}:8080 image', cmdStop: 'kill ${{PID}}'}}\n"
        config = configured(tmp_path, f"startPort: {port}\nmodels:\n{row}")
        with instance(tmp_path, "--config", str(config)) as running:
            answer = running.chat("a")
            assert answer.status == 200, answer.body
            assert "answered by the container runtime, docker-proxy" in running.line(f"port {port} is answered")
            assert running.ask("POST", "/api/models/unload/a").status == 200
            while sockets_on(port):
                pass  # each turn asks the kernel: it ends when the container's proxy has
