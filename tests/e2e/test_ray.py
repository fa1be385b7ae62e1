"""Ray dies, piece by piece, and nobody's answer with it. (`make test-cluster`; Ray must be installed.)

Three raylets at three addresses of this machine, on ports from 20000 on, ended by process group with their instances.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from e2e.instance import WAIT_SECONDS, until
from e2e.joined import NONE, Joined, X
from e2e.streaming import Streaming

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.getuid() != 0, reason="only root has namespaces")]

AWAY_SECONDS = 70.0
"""Longer than Ray itself would have patience: 60 s."""
NODES = {"node": "desk", "other": "lap"}
APART = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""The head in a PID namespace of its own: Ray starts no second head where it sees a raylet that names its address."""
BACK_SECONDS = 60.0
"""Within which Ray must be whole again; it takes 5 to 15 s on a machine that has nothing else to do."""


def ray_of(number: int) -> str:
    first = 20000 + 100 * number
    return f"cluster: {{gcsPort: 20000, nodePorts: {first + 1}, workerPorts: {first + 10}}}\n"


class RayMachines(Joined):
    """A head and two nodes, each with its raylet."""

    def whole(self) -> bool:
        """Whether Ray has all nodes, and their Links hear their ClaraCores."""
        return all((self.node(name) or {}).get("witness") == "there" for name in NODES.values())

    def begin(self) -> None:
        self.start("head", ray_of(0) + NONE, run_by=APART)
        for number, who in enumerate(NODES, 1):
            self.start(who, ray_of(number) + X)
        for who, name in NODES.items():
            self.join_well(who, name)
        until(self.whole)

    def process(self, of: str, what: str) -> psutil.Process:
        found = [child for child in self.running[of].children() if what in " ".join(child.cmdline()[:2])]
        assert found, [child.cmdline()[:2] for child in self.running[of].children()]
        return found[0]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayMachines]:
    with ExitStack() as stack:
        made = RayMachines(tmp_path_factory.mktemp("ray"), stack)
        made.begin()
        yield made


@contextmanager
def asking(machines: RayMachines) -> Iterator[list[int]]:
    """Ask for `x` again and again for the length of a block; gives the statuses."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.05):
            statuses.append(machines.head.chat("x").status)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join(WAIT_SECONDS)


def until_or_say(machines: RayMachines) -> None:
    latest = time.monotonic() + BACK_SECONDS
    until(lambda: machines.whole() or time.monotonic() > latest)
    printed = [line for each in machines.running.values() for line in ("--", *each.lines[-15:])]
    assert machines.whole(), "\n".join(printed)


def nothing_is_lost(machines: RayMachines, kill: Callable[[], psutil.Process], gone_too: float) -> float:
    """Kill a process of Ray while answers are under way; return after how many seconds Ray is whole again."""
    stream = Streaming(machines.head, "desk/x", chunks=6, hold_after=3)
    assert stream.begun.wait(60)
    with asking(machines) as statuses:
        killed = kill()
        killed.kill()
        begun = time.monotonic()
        psutil.wait_procs([killed], timeout=WAIT_SECONDS)
        time_out = begun + gone_too
        until(lambda: not machines.whole() or time.monotonic() > time_out)
        until_or_say(machines)
        took = time.monotonic() - begun
    assert not stream.ended(0), "a stream was cut"
    assert machines.ask("node", "POST", "/upstream/x/control/release").status == 200
    assert stream.ended(60)
    assert "[DONE]" in stream.text
    assert "error" not in stream.text
    assert statuses
    assert set(statuses) == {200}
    assert (machines.node() or {})["state"] == "up"
    return took


def test_its_ports_are_shown_as_rays(machines: RayMachines) -> None:
    found = machines.ask("head", "GET", "/api/ports").json
    rows = {row["port"]: row for row in found["ports"]}
    for port in (20000, 20001, 20002, 20003):
        assert (rows[port]["state"], rows[port]["holder"].startswith("our Ray")) == ("serving", True), rows[port]
    assert "20001" in machines.ask("head", "GET", "/api/ports/20001").json["sentence"]
    assert not [each for each in found["findings"] if "Ray" in each["message"]]


@pytest.mark.parametrize(
    ("of", "what", "gone_too"),
    [("node", "raylet/raylet", 20), ("node", "ray::Link", 8), ("head", "gcs_server", 20)],
)
def test_the_death_of_ray_is_not_ours(machines: RayMachines, of: str, what: str, gone_too: float) -> None:
    took = nothing_is_lost(machines, lambda: machines.process(of, what), gone_too)
    print(f"{what}: whole again after {took:.1f} s")  # noqa: T201 - pytest -s shows it
    assert took < BACK_SECONDS


def test_a_node_whose_program_dies_is_lost_with_its_ray_still_there(machines: RayMachines) -> None:
    """The end of ClaraCore is seen at once, whatever Ray says, and its requests are answered elsewhere."""
    machines.running["other"].process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: bool((machines.node("lap") or {})["state"] == "silent"))
        assert machines.head.chat("x").status == 200
        until(lambda: bool((machines.node("lap") or {})["state"] == "lost"))
    finally:
        machines.running["other"].process.send_signal(signal.SIGCONT)
    until(lambda: bool((machines.node("lap") or {})["state"] == "up"))


def test_the_head_is_away_for_a_minute_and_back(machines: RayMachines) -> None:
    """Nodes serve whoever asks them meanwhile, and what they have loaded is taken over, not loaded again."""
    until(lambda: machines.head.chat("desk/x").status == 200)
    before = {child.pid for child in machines.running["node"].children() if "fake_server" in " ".join(child.cmdline())}
    machines.head.process.kill()
    machines.head.process.wait(WAIT_SECONDS)
    back = time.monotonic() + AWAY_SECONDS
    body = {"model": "x", "messages": [{"role": "user", "content": "Say hello."}]}
    while time.monotonic() < back:
        assert machines.ask("node", "POST", "/v1/chat/completions", body).status == 200
        time.sleep(0.5)
    machines.start("head", ray_of(0) + NONE, run_by=APART)
    begun = time.monotonic()
    until(lambda: (machines.node() or {}).get("loaded") == ["x"])
    assert machines.head.chat("desk/x").status == 200
    print(f"answers through the head again after {time.monotonic() - begun:.1f} s")  # noqa: T201 - as above
    until_or_say(machines)
    print(f"Ray is whole again after {time.monotonic() - begun:.1f} s")  # noqa: T201 - as above
    after = {child.pid for child in machines.running["node"].children() if "fake_server" in " ".join(child.cmdline())}
    assert before == after != set()
