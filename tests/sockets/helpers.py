"""Strangers for tests of sockets: processes and sockets of others, on real ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

LISTENER = """
import os, socket, sys
if "nobody" in sys.argv:
    os.setuid(65534)
host, port, *options = sys.argv[1:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
sock = socket.socket(family, socket.SOCK_STREAM)
if "reuseport" in options:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
if "reuseaddr" in options:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == socket.AF_INET6:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int("dual" not in options))
try:
    sock.bind((host, int(port)))
    if "silent" not in options:
        sock.listen()
except OSError as error:
    print(error.errno, flush=True)
    sys.exit(1)
print("ok", flush=True)
if "answer" in options:
    while True:
        peer, _ = sock.accept()
        peer.sendall(b"child")
        peer.close()
sys.stdin.read()
"""


@dataclass
class Stranger:
    """A process that we started, told to bind a port; `answer` is "ok" or the errno it got."""

    process: subprocess.Popen[str]
    answer: str

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            cast("IO[str]", stream).close()


def start(
    argv: Sequence[str],
    env: dict[str, str] | None = None,
    *,
    group: bool = False,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[str]:
    """Start a process with pipes for stdin and stdout, in a process group of its own if `group`."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        process_group=0 if group else None,
        pass_fds=pass_fds,
    )


def readline(process: subprocess.Popen[str]) -> str:
    return cast("IO[str]", process.stdout).readline().strip()


@contextmanager
def stranger(
    port: int, *options: str, host: str = "127.0.0.1", env: dict[str, str] | None = None, group: bool = False
) -> Iterator[Stranger]:
    """Run a process that binds host:port; options: reuseport, reuseaddr, silent, dual, answer, nobody (a user)."""
    process = start([sys.executable, "-I", "-S", "-c", LISTENER, host, str(port), *options], env, group=group)
    other = Stranger(process, readline(process))
    try:
        yield other
    finally:
        other.end()


def listening(port: int, host: str = "127.0.0.1", *options: int) -> socket.socket:
    """Return a socket of this process that listens; `options` are SOL_SOCKET options to set first."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind((host, port))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def leave_in_time_wait(port: int) -> None:
    """Leave a finished connection of a server on the port behind: the side that closes first keeps the port."""
    server = listening(port, "127.0.0.1", socket.SO_REUSEADDR)
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = server.accept()
    accepted.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    client.close()
    assert accepted.recv(1) == b""
    accepted.close()
    server.close()
