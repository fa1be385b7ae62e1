from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from claracore.core.ports.listen import EVERYWHERE, LOOPBACK, Listen, parse_listen
from claracore.errors import PortTaken
from claracore.host.sockets.front import AlreadyRunning, identify, open_listeners, opened
from fakes.ports import free_port, free_run
from sockets.helpers import listening, start, stranger


@contextmanager
def front(listen: Listen, *, avoid: tuple[int, ...] = ()) -> Iterator[list[socket.socket]]:
    listeners = open_listeners(listen, environ={}, avoid=avoid)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def addresses(listeners: list[socket.socket]) -> list[tuple[str, int]]:
    return [listener.getsockname()[:2] for listener in listeners]


def test_loopback_means_both_families() -> None:
    port = free_port()
    with front(Listen(port=port)) as listeners:
        assert addresses(listeners) == [("127.0.0.1", port), ("::1", port)]
        for host in LOOPBACK:
            socket.create_connection((host, port)).close()
        assert all(not listener.getblocking() for listener in listeners)
        assert all(not listener.get_inheritable() for listener in listeners)


def test_all_interfaces_mean_both_families() -> None:
    port = free_port()
    with front(parse_listen(f":{port}")) as listeners:
        assert addresses(listeners) == [(host, port) for host in EVERYWHERE]


@pytest.mark.parametrize("text", ["[::]:0", ":0"])
def test_the_wildcard_of_ipv6_takes_ipv4_too(text: str) -> None:
    with front(parse_listen(text)) as listeners:
        port = listeners[0].getsockname()[1]
        for host in LOOPBACK:
            socket.create_connection((host, port)).close()


def test_one_address_is_one_listener() -> None:
    port = free_port()
    with front(parse_listen(f"127.0.0.2:{port}")) as listeners:
        assert addresses(listeners) == [("127.0.0.2", port)]


def test_port_0_is_one_port_for_all_addresses_and_told() -> None:
    with front(parse_listen("0")) as listeners:
        (first, second) = addresses(listeners)
        assert first[1] == second[1] != 0
        assert opened(Listen(port=0), listeners) == Listen(LOOPBACK, first[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_taken_port_is_an_error_that_names_the_holder(host: str) -> None:
    port = free_port()
    with stranger(port, "answer", host=host) as other:
        with pytest.raises(PortTaken) as caught:
            open_listeners(Listen(port=port), environ={})
        assert f"pid {other.pid}" in caught.value.message
        assert f"--listen {port + 1} or --listen auto" in caught.value.message
    assert not_listening(port)


def not_listening(port: int) -> bool:
    """Whether nothing was left open by the attempt."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_holder_that_never_answers_does_not_hang_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claracore.host.sockets.front.IDENTITY_SECONDS", 0.05)
    port = free_port()
    with listening(port), pytest.raises(PortTaken, match=f"pid {os.getpid()}"):
        open_listeners(Listen(port=port), environ={})


@contextmanager
def answering(port: int, body: str, status: str = "200 OK") -> Iterator[None]:
    """Serve one HTTP answer on the port."""
    server = listening(port)

    def answer() -> None:
        peer, _ = server.accept()
        with closing(peer):
            assert peer.recv(65536).startswith(b"GET /api/identity HTTP/1.1")
            peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        server.close()


def test_another_claracore_is_recognised_by_its_identity() -> None:
    port = free_port()
    with answering(port, '{"name": "claracore", "pid": 4711}'), pytest.raises(AlreadyRunning) as caught:
        open_listeners(Listen(port=port), environ={})
    assert caught.value.message == f"ClaraCore is already running at http://127.0.0.1:{port} (pid 4711)"
    assert (caught.value.url, caught.value.pid) == (f"http://127.0.0.1:{port}", 4711)


@pytest.mark.parametrize(
    ("body", "status"),
    [('{"name": "nginx"}', "200 OK"), ("[1]", "200 OK"), ("no json", "200 OK"), ('{"name": "claracore"}', "404 No")],
)
def test_everything_else_is_no_claracore(body: str, status: str) -> None:
    port = free_port()
    with answering(port, body, status):
        assert identify("127.0.0.1", port) is None


def test_nobody_is_no_claracore() -> None:
    assert identify("127.0.0.1", free_port()) is None


def test_auto_takes_the_next_port_that_is_free_on_all_addresses() -> None:
    ports = free_run(6)
    wanted = Listen(port=ports[0], auto=True)
    with listening(ports[0]), listening(ports[1], "::1"), front(wanted, avoid=(ports[2],)) as listeners:
        assert addresses(listeners) == [("127.0.0.1", ports[3]), ("::1", ports[3])]
        assert opened(wanted, listeners) == Listen(LOOPBACK, ports[3])


def test_an_address_of_another_host_is_an_error() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        open_listeners(parse_listen(f"192.0.2.1:{free_port()}"), environ={})


def test_a_restart_is_not_kept_out_by_finished_connections() -> None:
    port = free_port()
    wanted = parse_listen(f"127.0.0.1:{port}")
    with front(wanted) as (listener,), socket.create_connection(("127.0.0.1", port)):
        listener.setblocking(True)
        peer, _ = listener.accept()
        peer.close()
    with front(wanted):
        pass


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
from claracore.core.ports.listen import Listen
from claracore.host.sockets.front import open_listeners, opened
listeners = open_listeners(Listen())
print(opened(Listen(), listeners), os.environ.get("LISTEN_FDS"), listeners[0].get_inheritable(), flush=True)
"""


def test_sockets_of_systemd_are_taken_over() -> None:
    port = free_port()
    with listening(port) as passed:
        # The child puts the socket at descriptor 3, where sd_listen_fds(3) says it is.
        process = start(
            [sys.executable, "-c", ACTIVATED, str(passed.fileno())], {"LISTEN_FDS": "1"}, pass_fds=(passed.fileno(),)
        )
        out, _ = process.communicate()
    assert out.strip() == f"127.0.0.1:{port} None False"


def test_sockets_meant_for_another_process_are_not_ours() -> None:
    port = free_port()
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    listeners = open_listeners(Listen(port=port), environ=environ)
    assert addresses(listeners)[0] == ("127.0.0.1", port)
    for listener in listeners:
        listener.close()
