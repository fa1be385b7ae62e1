"""What do the e2e tests of ports share: an engine that shares its port, strangers that answer, the command line?"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fakes import SCRIPT, command
from sockets.helpers import readline, start

ADVERSARY = """
import random, select, socket, sys
kept_at_most, pause, seed, ports = int(sys.argv[1]), *map(float, sys.argv[2:4]), [int(port) for port in sys.argv[4:]]
chance = random.Random(seed)
kept = []
answer = b'HTTP/1.1 200 OK\\r\\nContent-Length: 21\\r\\n\\r\\n{"answered": "by me"}'
print("ready", flush=True)
while True:
    sock = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sock.setsockopt(socket.SOL_SOCKET, option, chance.randrange(2))
    try:
        sock.bind((chance.choice(["127.0.0.1", "0.0.0.0", "127.0.0.9"]), chance.choice(ports)))
        if chance.random() < 0.7:
            sock.listen()
        sock.setblocking(False)
        kept.append(sock)
    except OSError:
        sock.close()
    if len(kept) > kept_at_most:
        kept.pop(chance.randrange(len(kept))).close()
    # A socket that is bound and does not listen is always readable: waiting for it would be no pause at all.
    listeners = [sock for sock in kept if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    for listener in select.select(listeners, [], [], pause)[0]:
        try:
            connection, _ = listener.accept()
        except OSError:
            continue
        with connection:
            connection.settimeout(0.2)
            try:
                connection.recv(65536)
                connection.sendall(answer)
            except OSError:
                pass
"""
"""Binds random ports of those that are named, keeps some, answers 200 to whoever connects; pauses between two binds."""


@contextlib.contextmanager
def adversary(ports: Sequence[int], *, keeps: int, pause_seconds: float, seed: int = 7) -> Iterator[None]:
    """Run a process of this user that takes these ports at random, with every combination of options, and answers."""
    arguments = (keeps, pause_seconds, seed, *ports)
    process = start([sys.executable, "-I", "-S", "-c", ADVERSARY, *map(str, arguments)])
    try:
        assert readline(process) == "ready"
        yield
    finally:
        process.kill()
        process.communicate()


def sharing_engine(folder: Path) -> Path:
    """Return a `llama-server` that knows `--reuse-port` and is the fake server."""
    path = folder / "llama-server"
    words = " ".join(f"'{word}'" for word in command())
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
    return path


def environment(folder: Path) -> Mapping[str, str]:
    """Return the environment in which `instance.Instance` runs a ClaraCore in this folder."""
    return {**os.environ, "XDG_STATE_HOME": f"{folder}/state", "XDG_RUNTIME_DIR": f"{folder}/state"}


def claracore(folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a `claracore` that ends by itself, with `env` in its environment besides."""
    return subprocess.run(
        [sys.executable, "-m", "claracore", *argv],
        cwd=folder,
        env={**environment(folder), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


DOCKER = """#!/bin/sh
# What `docker run -p PORT:8080` does: it asks a daemon, no child of ours, to listen on PORT, and passes SIGTERM on.
for word; do case $word in *:8080) port=${word%:8080};; esac; done
echo "$port" >REQUESTS
trap 'echo stop >REQUESTS; exit 0' TERM INT
while :; do sleep 0.1; done
"""


@contextlib.contextmanager
def container_runtime(folder: Path) -> Iterator[Path]:
    """Run a container runtime; return its client. What it has started outlives a client that is killed."""
    requests, proxy, client = folder / "requests", folder / "docker-proxy", folder / "docker"
    proxy.symlink_to(sys.executable)
    os.mkfifo(requests)
    client.write_text(DOCKER.replace("REQUESTS", str(requests)))
    client.chmod(0o755)
    running: list[subprocess.Popen[bytes]] = []

    def stop() -> None:
        while running:
            process = running.pop()
            process.kill()
            process.wait()

    def answer() -> None:
        # Opened for writing as well: so there is always somebody at the other end.
        with os.fdopen(os.open(requests, os.O_RDWR), "r") as orders:
            for order in iter(lambda: orders.readline().strip(), "end"):
                if order == "stop":
                    stop()
                else:
                    argv = [str(proxy), "-E", "-S", str(SCRIPT), "--port", order]
                    running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
        stop()

    daemon = threading.Thread(target=answer)
    daemon.start()
    try:
        yield client
    finally:
        with requests.open("w") as orders:
            orders.write("end\n")
        daemon.join()
