"""A model that was ready loses its listener, and somebody wants its port: no prompt goes to whom was not verified."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from e2e.instance import WAIT_SECONDS, Answer, Instance, configured, fake, instance
from fakes import command
from fakes.ports import free_port, free_run
from sockets.helpers import readline, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems are not told what listens so cheaply")

NOBODY = "65534"
ROUNDS = 3
REQUESTS = 8


@dataclass
class Thief:
    """What the thief has printed so far."""

    lines: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, line: str, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.lines.count(line) >= count, WAIT_SECONDS), self.lines

    @property
    def prompts(self) -> int:
        return self.lines.count("prompt")


@contextlib.contextmanager
def thief(port: int, *uid: str) -> Iterator[Thief]:
    process = start([sys.executable, "-I", "-S", str(Path(__file__).with_name("thief.py")), str(port), *uid])
    found = Thief()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with found.news:
                found.lines.append(line.strip())
                found.news.notify_all()

    reader = threading.Thread(target=read)
    try:
        assert readline(process) == "ready"
        reader.start()
        yield found
    finally:
        process.kill()
        process.wait()
        if reader.ident is not None:
            reader.join()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def serving(folder: Path, cmd: str, *flags: str, port: int | None = None, more: str = "") -> Iterator[Instance]:
    """Serve one model; end in peace, so that what its script has started goes with it."""
    row = f"  a: {{cmd: '{cmd}', unloadTimeout: 1{more}}}\n"
    config = configured(folder, f"startPort: {port or free_run(20).start}\nmodels:\n{row}")
    with instance(folder, "--config", str(config), *flags) as running:
        try:
            yield running
        finally:
            running.end()
        assert not [line for line in running.lines if "Traceback" in line]


def script(folder: Path, text: str, *flags: str) -> str:
    """Return the `cmd` of a shell script; SERVER in its text is a fake model server on the port it is given."""
    path = folder / "run.sh"
    path.write_text("#!/bin/sh\n" + text.replace("SERVER", " ".join(f"'{word}'" for word in command(*flags, "--port"))))
    path.chmod(0o755)
    return f"{path} ${{PORT}}"


FORKING = """
import os, signal, sys
if os.fork():
    signal.pause()
os.execv(sys.executable, sys.argv[1:])
"""


def loop(folder: Path) -> str:
    return script(folder, "while :; do SERVER $1; sleep 0.3; done\n")


def then_something_else(folder: Path) -> str:
    return script(folder, "SERVER $1\nsleep 1000\n")


def forking(folder: Path) -> str:
    path = folder / "forking.py"
    path.write_text(FORKING)
    return " ".join(f'"{word}"' for word in (sys.executable, "-S", str(path), *command("--port", "${PORT}")))


def chat(running: Instance, _: int = 0) -> Answer:
    """Ask over a connection to the model server that is not used again."""
    return running.chat("a", fake={"framing": "close"})


def by_ours(running: Instance, answer: Answer) -> int:
    """Return who has answered, after making sure that it descends from the instance."""
    assert answer.status == 200, (answer.body, running.lines)
    assert "echo" in answer.json, answer.body
    return int(answer.json["echo"]["pid"])


def told_to_end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def told_to_close(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


ENGINES = {
    "loop": (loop, told_to_end),
    "then-something-else": (then_something_else, told_to_end),
    "forking": (forking, told_to_end),
    "closes-its-listener": (lambda _: fake("--router-child"), told_to_close),
    "shares-by-itself": (lambda _: fake("--router-child", "--reuse-port"), told_to_close),
}


@pytest.mark.parametrize("uid", [(), (NOBODY,)], ids=["same-user", "another-user"])
@pytest.mark.parametrize("engine", ENGINES)
def test_no_prompt_goes_to_who_takes_the_port_of_a_model_that_was_ready(
    tmp_path: Path, engine: str, uid: tuple[str, ...]
) -> None:
    if uid and os.getuid() != 0:
        pytest.skip("only root can be another user")
    command_of, ends = ENGINES[engine]
    with serving(tmp_path, command_of(tmp_path)) as running, ThreadPoolExecutor(REQUESTS) as pool:
        for _ in range(ROUNDS):
            pid = by_ours(running, chat(running))
            port = int(running.running()["a"]["port"])
            with thief(port, *uid) as taker:
                ends(pid)
                answers = pool.map(lambda _: chat(running), range(REQUESTS))
                assert {by_ours(running, answer) for answer in answers}
                assert taker.prompts == 0


@pytest.mark.parametrize("engine", ["loop", "then-something-else", "forking"])
def test_a_model_without_a_listener_is_started_again_when_it_is_asked_for(tmp_path: Path, engine: str) -> None:
    """Nobody is on its port, and the leader of its processes lives on: its state must not stay `ready`."""
    command_of, ends = ENGINES[engine]
    with serving(tmp_path, command_of(tmp_path)) as running:
        for _ in range(ROUNDS):
            ends(by_ours(running, chat(running)))
            by_ours(running, chat(running))


SILENT_THIEF = """
import socket, sys, time
print("ready", flush=True)
while True:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        listener.listen(0)
        break
    except OSError:
        listener.close()
visitors = [socket.socket() for _ in range(3)]
for visitor in visitors:
    visitor.setblocking(False)
    visitor.connect_ex(listener.getsockname())
print("full", flush=True)
time.sleep(1000)
"""


def test_who_waits_for_a_stranger_that_accepts_nobody_is_served_by_the_next_start(tmp_path: Path) -> None:
    """The kernel leaves a connection to a full queue unanswered, for longer than anybody should wait."""
    more = ", timeouts: {connect: 1000}"
    with serving(tmp_path, fake("--router-child"), more=more) as running, ThreadPoolExecutor(REQUESTS) as pool:
        pid = by_ours(running, chat(running))
        port = running.running()["a"]["port"]
        silent = start([sys.executable, "-I", "-S", "-c", SILENT_THIEF, str(port)])
        try:
            assert readline(silent) == "ready"
            told_to_close(pid)
            assert readline(silent) == "full"
            for answer in pool.map(lambda _: chat(running), range(REQUESTS)):
                by_ours(running, answer)
        finally:
            silent.kill()
            silent.communicate()


HELPERS = """
import os, signal, sys
for _ in range(20):
    if not os.fork():
        memory = bytearray(32 << 20)
        memory[::4096] = b"1" * len(memory[::4096])
        signal.pause()
os.execv(sys.executable, sys.argv[1:])
"""


def test_who_asks_while_the_helpers_of_a_dead_engine_end_is_served_by_the_next_one(tmp_path: Path) -> None:
    """The kernel takes a while to give back their memory, and nothing may be started before that."""
    path = tmp_path / "helpers.py"
    path.write_text(HELPERS)
    words = (sys.executable, "-S", str(path), *command("--port", "${PORT}"))
    with serving(tmp_path, " ".join(f'"{word}"' for word in words)) as running, ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            told_to_end(by_ours(running, chat(running)))
            for answer in pool.map(lambda _: chat(running), range(32)):
                by_ours(running, answer)


def test_a_model_whose_listener_has_gone_does_not_stay_ready_though_nobody_asks(tmp_path: Path) -> None:
    with serving(tmp_path, then_something_else(tmp_path)) as running:
        told_to_end(by_ours(running, chat(running)))
        running.line("its server no longer listens on 127.0.0.1:")
        running.line("model a: stopped, since it was lost")
        assert running.running() == {}


def test_a_fixed_port_that_somebody_else_has_taken_meanwhile_gets_no_prompt(tmp_path: Path) -> None:
    """The port cannot be changed: a request is answered by ours or refused with the name of who has it."""
    port = free_port()
    server = " ".join(f'"{word}"' for word in command("--port", str(port), "--router-child"))
    proxy = f", proxy: 'http://127.0.0.1:{port}'"
    with serving(tmp_path, server, "--no-hold-ports", more=proxy) as running:
        pid = by_ours(running, chat(running))
        with thief(port) as taker:
            told_to_close(pid)
            taker.wait_for(f"got {port}", 1)
            answers = [chat(running) for _ in range(REQUESTS)]
            assert taker.prompts == 0
        assert all(answer.status in {200, 502} for answer in answers)
        for answer in answers:
            if answer.status == 200:
                by_ours(running, answer)


def in_the_group(folder: Path) -> str:
    return script(folder, "(SERVER $1 &)\nexec sleep 1000\n", "--reuse-port")


def in_a_session_of_its_own(folder: Path) -> str:
    return script(folder, "(setsid SERVER $1 &)\nexec sleep 1000\n", "--reuse-port")


@pytest.mark.parametrize("sharing", [lambda _: fake("--reuse-port"), in_the_group, in_a_session_of_its_own])
def test_a_server_that_shares_its_port_by_itself_is_joined_by_nobody(
    tmp_path: Path, sharing: Callable[[Path], str]
) -> None:
    """At its first start, for which the port was let go, and at a later one, which joins the hold; a daemon, too."""
    with serving(tmp_path, sharing(tmp_path)) as running, ThreadPoolExecutor(REQUESTS) as pool:
        for _ in range(2):
            by_ours(running, chat(running))
            with thief(int(running.running()["a"]["port"])) as taker:
                for answer in pool.map(lambda _: chat(running), range(48)):
                    by_ours(running, answer)
                assert taker.lines == []
            assert running.ask("POST", "/api/models/unload/a").status == 200


def test_a_server_that_can_be_joined_sends_no_prompt_to_who_joins_it(tmp_path: Path) -> None:
    """On all addresses of both families nobody can be kept out: it is looked who has accepted each connection."""
    cmd = fake("--reuse-port", "--host", "::")
    with serving(tmp_path, cmd) as running, ThreadPoolExecutor(REQUESTS) as pool:
        for _ in range(ROUNDS):
            by_ours(running, chat(running))
            port = int(running.running()["a"]["port"])
            with thief(port) as taker:
                taker.wait_for(f"got {port}", 3)
                for answer in pool.map(lambda _: chat(running), range(48)):
                    by_ours(running, answer)
                assert taker.prompts == 0


def test_a_worker_that_takes_the_place_of_another_is_looked_at_and_served(tmp_path: Path) -> None:
    """Another listener of our own, that is ready: nothing is started again."""
    with serving(tmp_path, script(tmp_path, "while :; do SERVER $1; done\n")) as running:
        first = by_ours(running, chat(running))
        leader = running.running()["a"]["pid"]
        told_to_end(first)
        while not any(its.pid != first and its.net_connections() for its in psutil.Process(leader).children()):
            pass  # each turn asks the kernel: it ends when the next worker listens
        answers = [by_ours(running, chat(running)) for _ in range(REQUESTS)]
        assert first not in answers


def test_a_request_in_the_moment_of_an_idle_engine_s_death_is_served_by_the_next_one(tmp_path: Path) -> None:
    with serving(tmp_path, fake()) as running:
        for _ in range(20):
            pid = by_ours(running, running.chat("a"))
            told_to_end(pid)
            assert by_ours(running, running.chat("a")) != pid
