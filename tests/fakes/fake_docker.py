"""A `docker` for tests: the command of a runtime whose daemon is a folder, and whose containers are fake servers.

`install(folder)` makes the command; what is in the folder decides what it does:

  images            a line for each image that is here
  fault.COMMAND     what `docker COMMAND` prints to stderr instead of doing it, with exit code 125 (`run`, `pull`, ...)
  hang.COMMAND      `docker COMMAND` never answers
  busy              the next `run` finds its port taken
  elsewhere         `run` publishes nothing; what listens on the port is somebody else's container
  calls             a line for each call: what was asked
  containers/NAME   the pid of what listens for a container, its port and its labels
  listeners         a line for each process that was started to listen: its pid

What listens is called docker-proxy, is no descendant of whoever asked, and outlives its client.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

SCRIPT = Path(__file__).with_name("fake_server.py")


def install(folder: Path) -> Path:
    """Return the folder to put on PATH, in which `docker` is."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    (folder / "containers").mkdir()
    (folder / "images").write_text("here:latest\n")
    (folder / "docker-proxy").symlink_to(sys.executable)
    docker = binaries / "docker"
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} -E -S {Path(__file__).resolve()} {folder} "$@"\n')
    docker.chmod(0o755)
    return binaries


def end_all(folder: Path) -> None:
    """End what still listens, whosever container it is, for the end of a test."""
    for name in names(folder):
        remove(folder, name)
    started = folder / "listeners"
    for pid in started.read_text().split() if started.exists() else ():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if str(folder) in Path("/proc", pid, "cmdline").read_text():  # and not another one by the same number
                os.kill(int(pid), signal.SIGKILL)


def names(folder: Path) -> list[str]:
    """Return the names of the containers that are there."""
    return sorted(path.name for path in (folder / "containers").iterdir())


def calls(folder: Path) -> list[list[str]]:
    """Return the words of each call so far."""
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def remove(folder: Path, name: str) -> bool:
    """End a container and forget it; False when there is none."""
    place = folder / "containers" / name
    try:
        pid = json.loads(place.read_text())["pid"]
        place.unlink()
    except FileNotFoundError:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


def values(words: list[str], option: str) -> list[str]:
    return [following for word, following in pairwise(words) if word == option]


def run(folder: Path, words: list[str]) -> int:
    name = values(words, "--name")[0]
    if (folder / "containers" / name).exists():
        return fail(f'docker: Error response from daemon: Conflict. The container name "/{name}" is already in use')
    port = values(words, "--publish")[0].split(":")[1]
    labels = values(words, "--label")
    with contextlib.ExitStack() as thief:
        with contextlib.suppress(FileNotFoundError):
            (folder / "busy").unlink()
            thief.enter_context(socket.create_server(("127.0.0.1", int(port))))
        return serve(folder, name, port, labels)


def serve(folder: Path, name: str, port: str, labels: list[str]) -> int:
    pid = listen(folder, port)
    if (folder / "elsewhere").exists():
        pid, port = os.getpid(), "1"
    written = {"pid": pid, "port": port, "labels": labels}
    place = folder / "containers" / name
    place.with_name(f".{name}").write_text(json.dumps(written))
    place.with_name(f".{name}").rename(place)
    signal.signal(signal.SIGTERM, lambda *_: remove(folder, name) and None)
    say(f"container {name} runs")
    while place.exists():
        if not runs(pid):
            remove(folder, name)
            taken = f"Bind for 127.0.0.1:{port} failed: port is already allocated."
            return fail(f"docker: Error response from daemon: driver failed on endpoint {name}: {taken}")
        time.sleep(0.02)
    return 137


def runs(pid: int) -> bool:
    """Whether what listens is there: it ends by itself only when its port is somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def listen(folder: Path, port: str) -> int:
    """Start what listens for a container, by a process that ends: it is then nobody's child."""
    words = [str(folder / "docker-proxy"), "-E", "-S", str(SCRIPT), "--port", port]
    starter = (
        "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], env={}, start_new_session=True, "
        "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(p.pid); "
        "p.returncode = 0"
    )
    done = subprocess.run(
        [sys.executable, "-E", "-S", "-c", starter, *words], capture_output=True, text=True, check=True
    )
    with (folder / "listeners").open("a") as listeners:
        listeners.write(done.stdout)
    return int(done.stdout)


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail(text: str, code: int = 125) -> int:
    sys.stderr.write(text + "\n")
    return code


def inspect(folder: Path, words: list[str], name: str) -> int:
    place = folder / "containers" / name
    if not place.exists():
        return fail(f"Error: No such object: {name}", 1)
    written = json.loads(place.read_text())
    published = json.dumps({"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": written["port"]}]})
    say(f"true {published}" if ".Ports" in " ".join(words) else written["pid"])
    return 0


def list_labelled(folder: Path, label: str) -> None:
    for name in names(folder):
        if label in json.loads((folder / "containers" / name).read_text())["labels"]:
            say(name)


def answer(folder: Path, words: list[str]) -> int:
    """Do what is asked, as docker would."""
    command = words[0]
    fault = folder / f"fault.{command}"
    while (folder / f"hang.{command}").exists():
        time.sleep(0.05)
    if fault.exists():
        return fail(fault.read_text())
    match words:
        case ["version", *_]:
            say('{"Client": {"Version": "27.0.1"}, "Server": {"Version": "27.0.1"}}')
        case ["image", "inspect", *_, image]:
            return 0 if image in (folder / "images").read_text().split() else fail(f"No such image: {image}", 1)
        case ["pull", image]:
            say(f"{image}: Pulling from library")
            with (folder / "images").open("a") as images:
                images.write(f"{image}\n")
        case ["run", *_]:
            return run(folder, words)
        case ["inspect", *_, name]:
            return inspect(folder, words, name)
        case ["stop", "-t", _, name] | ["rm", "--force", name]:
            return 0 if remove(folder, name) else fail(f"Error response from daemon: No such container: {name}", 1)
        case ["ps", "--all", "--filter", label, *_]:
            list_labelled(folder, label.removeprefix("label="))
        case _:
            return fail(f"unknown command: {words}")
    return 0


if __name__ == "__main__":
    place, asked = Path(sys.argv[1]), sys.argv[2:]
    with (place / "calls").open("a") as written_calls:
        written_calls.write(json.dumps(asked) + "\n")
    sys.exit(answer(place, asked))
