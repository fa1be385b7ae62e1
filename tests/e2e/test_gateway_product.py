"""The gateway in a whole ClaraCore: TLS in front, Unix sockets and WebSockets behind."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from e2e.instance import Instance, configured, fake, instance
from fakes import command
from fakes.ports import free_port

UPGRADE = b"GET /upstream/a/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def connected(server: Instance) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=60)


def read_head(stream: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        got = stream.recv(1)
        assert got, head
        head += got
    return head


def echoes(stream: socket.socket) -> None:
    stream.sendall(UPGRADE)
    assert read_head(stream).startswith(b"HTTP/1.1 101 ")
    for word in (b"one", b"two"):
        stream.sendall(word)
        got = b""
        while len(got) < 3:
            got += stream.recv(10)
        assert got == word


def test_a_websocket_through_upstream_loads_the_model(tmp_path: Path) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config)) as server, connected(server) as stream:
        echoes(stream)


def test_a_model_behind_a_unix_socket_streams_and_switches(tmp_path: Path) -> None:
    cmd = " ".join(f'"{word}"' for word in command("--unix", "${SOCKET}"))
    config = configured(tmp_path, f"models:\n  a: {{transport: unix, cmd: '{cmd}'}}\n")
    with instance(tmp_path, "--config", str(config)) as server, connected(server) as stream:
        answer = server.chat("a", stream=True)
        assert answer.status == 200
        assert b"data: [DONE]" in answer.body
        echoes(stream)


def test_tls_in_front(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{fake()}'}}\n")
    flags = ("--config", str(config), "--tls-cert", str(certificate), "--tls-key", str(key))
    with instance(tmp_path, *flags) as server:
        assert server.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with trusting.wrap_socket(connected(server), server_hostname="localhost") as stream:
            echoes(stream)
        with connected(server) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert plain.recv(100) == b"", "no plain answer on a port that speaks TLS"
