"""What do planning, leasing and verifying of ports cost?

    .venv/bin/python bench/ports.py

Prints the median and the worst of many rounds. Goals: a plan of 1,000 models < 20 ms; verifying an owner < 1 ms with
500 sockets on the machine; looking at a new connection < 50 us; a start costs < 5 ms more with all this than without.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from claracore.core.config.model import Config, ModelConfig
from claracore.core.ports.history import remember
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.host.sockets.hold import hold
from claracore.host.sockets.owner import belongs_to, binds_with, listeners_on, owner_of, verify
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.verified import OwnerCheck
from claracore.types import Endpoint

CHILD = """
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
FIRST = 23000


def measure(title: str, rounds: int, work: Callable[[], object]) -> None:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    print(f"{title:58} {statistics.median(times):9.3f} ms  worst {max(times):9.3f} ms")


def ends_with(step: Coroutine[Any, Any, bool]) -> bool:
    """Run a coroutine that has nothing to wait for."""
    try:
        step.send(None)
    except StopIteration as result:
        return bool(result.value)
    raise AssertionError


def configuration(models: int) -> Config:
    cmd = "llama-server --port ${PORT} -m /models/some/long/path/model.gguf -ngl 99 -c 32768 --jinja --flash-attn on"
    return Config(models={f"m{number:04}": ModelConfig(id=f"m{number:04}", cmd=cmd) for number in range(models)})


def planning() -> None:
    config, listen = configuration(1000), Listen()
    made = plan(config, listen, places={})
    history = remember({}, made)
    measure("plan of 1,000 models", 50, lambda: plan(config, listen, places={}))
    measure("plan of 1,000 models with history", 50, lambda: plan(config, listen, places={}, history=history))


def verifying() -> None:
    crowd = []
    for _ in range(250):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        crowd += [listener, socket.create_connection(listener.getsockname())]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        assert belongs_to(port, child.pid)
        measure("belongs_to: our child, 500 sockets on the machine", 500, lambda: belongs_to(port, child.pid))
        measure("verify: our child", 500, lambda: verify(port, child.pid))
        check = OwnerCheck(
            Endpoint(port=port),
            child.pid,
            look=lambda: verify(port, child.pid),
            seal=lambda _: True,
            take=lambda _: None,
        )
        assert check.verify()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            step = check.reaches(connection)
            assert ends_with(step)
            measure(
                "each new connection: still the verified listener?", 2000, lambda: ends_with(check.reaches(connection))
            )
        measure("belongs_to: not ours", 500, lambda: belongs_to(port, 1))
        measure("binds_with: once for each model", 200, lambda: binds_with(port, child.pid))
        measure("owner_of (diagnostics)", 20, lambda: owner_of(port))
        child.communicate("")
    for sock in crowd:
        sock.close()


def leasing() -> None:
    config = configuration(50)
    made = plan(Config(models=config.models, start_port=FIRST), Listen(), places={})
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        keeper = PortKeeper(made, state_dir=Path(folder), ledger_dir=Path(folder))
        keeper.hold_all()
        print(f"{'PortKeeper and hold_all, 50 models':58} {(time.perf_counter() - began) * 1000:9.3f} ms")

        def start(*, shared: bool) -> None:
            lease = keeper.lease("m0007", can_share=shared)
            keeper.hand_over(lease)
            keeper.ledger.record_child(os.getpid(), "m0007")
            keeper.seal(lease, os.getpid(), listeners_on(lease.port, "127.0.0.1"))
            keeper.ledger.forget_child(os.getpid())
            keeper.give_back(lease)

        measure("all that a start and stop add, shared", 200, lambda: start(shared=True))
        measure("all that a start and stop add, not shared", 200, lambda: start(shared=False))
        keeper.close()
    measure("hold one port", 200, lambda: hold(FIRST + 500).close())


if __name__ == "__main__":
    planning()
    verifying()
    leasing()
