"""SIGKILL of ClaraCore at every step of a start: nothing of it is left, the next one has the same ports at once."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pytest

from claracore.host.sockets.kernel import sockets_on
from e2e.instance import WAIT_SECONDS, Instance, configured, fake, gone, instance
from e2e.ports import sharing_engine
from fakes.ports import free_run

Moment = Callable[[Instance, int], None]


def ordered(victim: Instance, _port: int) -> None:
    victim.line("model b: starting")


def spawned(victim: Instance, _port: int) -> None:
    before = {process.pid for process in victim.children()}
    while {process.pid for process in victim.children()} <= before and len(before) < 2:
        pass  # each turn asks the kernel: it ends as soon as there is a second child


def listening(_victim: Instance, port: int) -> None:
    while not sockets_on(port):
        pass  # each turn asks the kernel: it ends as soon as the child listens


def ready(victim: Instance, _port: int) -> None:
    while (victim.running().get("b") or {}).get("state") != "ready":
        pass  # each turn is a request answered by the server


def ours(mark: str) -> list[psutil.Process]:
    """Return the model servers of this test, whoever their parent is."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline():
                found.append(process)
    return found


def nothing_left(mark: str, ports: Iterable[int]) -> bool:
    """Wait until no model server and no socket is left.

    The kernel ends our children a moment after us, and one that has just been forked cannot be told by its command
    line yet, but has our sockets until it becomes another program.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if gone(ours(mark)) and not [port for port in ports if sockets_on(port)]:
            return True
    return False


def ask(running: Instance, model: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        running.chat(model)


@pytest.mark.parametrize("shares", [True, False])
def test_after_sigkill_nothing_is_left_and_the_next_start_works_on_the_same_ports(
    tmp_path: Path,
    shares: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    ports = free_run(4)
    mark = f"mark-of-{tmp_path.name}-{os.getpid()}"
    cmd = f"{sharing_engine(tmp_path)} --port ${{PORT}} -m {mark}" if shares else fake("-m", mark)
    text = f"startPort: {ports.start}\nmodels:\n  a: {{cmd: '{cmd}'}}\n  b: {{cmd: '{cmd}'}}\n"
    text += "groups:\n  both: {swap: false, members: [a, b]}\n"
    config = configured(tmp_path, text)
    moments: list[Moment] = [ordered, spawned, listening, ready]
    for moment in [*moments, None]:
        with instance(tmp_path, "--config", str(config)) as running:
            assert not [line for line in running.lines if "taken" in line or "left behind" in line]
            assert running.chat("a").json["echo"]["pid"] == running.running()["a"]["pid"]
            assert running.running()["a"]["port"] == ports[0]
            if moment is None:
                assert running.chat("b").status == 200
                assert running.running()["b"]["port"] == ports[1]
                break
            asking = threading.Thread(target=ask, args=(running, "b"))
            asking.start()
            moment(running, ports[1])
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
            asking.join()
            assert nothing_left(mark, ports)
    assert nothing_left(mark, ports)
