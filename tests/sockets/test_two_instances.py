"""Two instances with one plan against an adversary that binds random ports in and around the range."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan, Range
from claracore.host.sockets.kernel import sockets_on
from claracore.host.sockets.ports import PortKeeper
from fakes.ports import free_run
from sockets.helpers import readline, start

STARTS = 200
MODELS = 8
WIDTH = 60

INSTANCE = """
import json, os, random, socket, sys
from pathlib import Path
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan, Range
from claracore.host.sockets.owner import listeners_on, verify
from claracore.host.sockets.ports import PortKeeper

folder, first, last, models, starts, seed, hold = sys.argv[1:]
chance = random.Random(int(seed))
names = [f"m{number}" for number in range(int(models))]
plan = PortPlan(
    Listen(),
    (Range("(default)", int(first), int(last), tuple(names), explicit_end=True),),
    {name: int(first) + number for number, name in enumerate(names)},
)
keeper = PortKeeper(plan, state_dir=Path(folder), hold=hold == "hold", ledger_dir=Path(folder))
keeper.hold_all()
print("ready", flush=True)
sys.stdin.readline()
count = dict(served=0, strangers=0, failed=0, moved=0)


def serve(port, shared):
    child = socket.socket()
    child.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
    try:
        child.bind(("127.0.0.1", port))
        child.listen()
    except OSError:
        child.close()
        return None
    return child


def one(name, can_share):
    avoid = frozenset()
    for attempt in range(5):
        lease = keeper.lease(name, can_share=can_share, avoid=avoid)
        keeper.hand_over(lease)
        child = serve(lease.port, lease.shared)
        if child is not None:
            keeper.seal(lease, os.getpid(), listeners_on(lease.port, "127.0.0.1"))
            if verify(lease.port, os.getpid()).ours:
                return lease, child
            child.close()
        keeper.give_back(lease)
        avoid |= {lease.port}
        count["moved"] += 1
    return None, None


running = {}
for _ in range(int(starts)):
    name = chance.choice(names)
    if name in running:
        lease, child = running.pop(name)
        count["served" if verify(lease.port, os.getpid()).ours else "strangers"] += 1
        child.close()
        keeper.give_back(lease)
    lease, child = one(name, can_share=chance.random() < 0.5)
    if lease is None:
        count["failed"] += 1
        continue
    running[name] = lease, child
for lease, child in running.values():
    count["served" if verify(lease.port, os.getpid()).ours else "strangers"] += 1
print(json.dumps(count), flush=True)
sys.stdin.readline()
keeper.close()
"""

ADVERSARY = """
import random, socket, sys
first, last = map(int, sys.argv[1:])
chance = random.Random(7)
kept = []
print("ready", flush=True)
while True:
    sock = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sock.setsockopt(socket.SOL_SOCKET, option, chance.randrange(2))
    try:
        sock.bind((chance.choice(["127.0.0.1", "0.0.0.0", "127.0.0.9"]), chance.randrange(first - 5, last + 6)))
        if chance.random() < 0.7:
            sock.listen()
        kept.append(sock)
    except OSError:
        sock.close()
    if len(kept) > 12:
        kept.pop(chance.randrange(len(kept))).close()
"""


def script_arguments(folder: Path, ports: range, starts: int, seed: int, *, hold: bool = True) -> list[str]:
    numbers = (ports.start, ports.stop - 1, MODELS, starts, seed)
    return [sys.executable, "-c", INSTANCE, str(folder), *map(str, numbers), "hold" if hold else "look"]


@pytest.mark.parametrize("hold", [True, False])
def test_no_start_fails_and_no_stranger_is_served(tmp_path: Path, hold: bool) -> None:  # noqa: FBT001 - a parameter
    ports = free_run(WIDTH)
    adversary = start([sys.executable, "-I", "-S", "-c", ADVERSARY, str(ports.start), str(ports.stop - 1)])
    assert readline(adversary) == "ready"
    instances = [start(script_arguments(tmp_path, ports, STARTS, seed, hold=hold)) for seed in (1, 2)]
    assert [readline(instance) for instance in instances] == ["ready", "ready"]
    for instance in instances:
        assert instance.stdin is not None
        instance.stdin.write("go\n")
        instance.stdin.flush()
    counts = [json.loads(readline(instance)) for instance in instances]
    for process in instances:
        process.communicate("bye\n")
    adversary.kill()
    adversary.communicate()
    for count in counts:
        assert (count["served"], count["strangers"], count["failed"]) == (STARTS, 0, 0), counts
    assert [path.name for path in tmp_path.rglob("*")] == ["mutex"]


def test_kill_9_leaves_nothing_and_the_next_start_gets_the_same_ports(tmp_path: Path) -> None:
    ports = free_run(MODELS + 2)
    names = [f"m{number}" for number in range(MODELS)]
    assignment = dict(zip(names, ports, strict=False))
    victim = start(script_arguments(tmp_path, ports, 0, 1))
    assert readline(victim) == "ready"
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    stretch = Range("(default)", ports.start, ports.stop - 1, tuple(names), explicit_end=True)
    ours = PortKeeper(PortPlan(Listen(), (stretch,), assignment), state_dir=tmp_path, ledger_dir=tmp_path)
    assert ours.ledger.sweep() == ()
    assert ours.hold_all() == ()
    assert ours.leases.given == assignment
    assert not any(sockets_on(port) for port in ports)
    ours.close()
