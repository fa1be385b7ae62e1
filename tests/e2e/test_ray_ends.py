"""ClaraCore ends, in whatever way and at whatever moment: its Ray ends with it, all of it, and no other Ray does.

`make test-cluster`; Ray must be installed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from claracore.host.cluster import ray_keeper
from e2e.instance import Instance, until
from e2e.joined import X
from e2e.streaming import Streaming
from e2e.test_ray import RayMachines, ray_of

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.getuid() != 0, reason="as the other tests of Ray")]

ENDS_SECONDS = 20.0
"""The grace is 3 s; a busy machine takes some more to end 400 MB of processes."""
PARTS = {"head": {"ray_keeper", "ray_helper", "gcs_server", "raylet/raylet", "ray::Dash", "ray::Runtime"}}
PARTS["node"] = PARTS["head"] - {"ray_helper", "gcs_server"} | {"ray::Link"}


@dataclass(frozen=True)
class Family:
    """All that comes of one ClaraCore."""

    processes: list[psutil.Process]
    sessions: frozenset[int]
    """Those of its children: what was started after this look is known by them."""

    @classmethod
    def of(cls, running: Instance) -> Family:
        return cls.below(psutil.Process(running.process.pid))

    @classmethod
    def below(cls, parent: psutil.Process) -> Family:
        return cls(parent.children(recursive=True), frozenset(each.pid for each in parent.children()))

    def what(self) -> str:
        """Return the command lines of what runs of it."""
        found = []
        for each in self.processes:
            with suppress(psutil.Error):
                found.append(" ".join(each.cmdline()))
        return "\n".join(found)

    def left(self) -> list[psutil.Process]:
        """Return what still runs of it."""
        found = [each for each in self.processes if each.is_running()]
        for each in psutil.process_iter():
            with suppress(ProcessLookupError):
                if os.getsid(each.pid) in self.sessions and each not in found:
                    found.append(each)
        return found

    def is_gone(self) -> float:
        """Wait until nothing is left of it; return for how many seconds."""
        begun = time.monotonic()
        until(lambda: not self.left() or time.monotonic() - begun > ENDS_SECONDS)
        assert not (left := self.left()), left
        return time.monotonic() - begun


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[RayMachines]:
    with ExitStack() as stack:
        made = RayMachines(tmp_path, stack)
        made.start("head", ray_of(0) + X)
        yield made
        for each in made.running.values():
            if each.process.poll() is None:
                each.end(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_of_it_ends(machines: RayMachines, number: signal.Signals) -> None:
    machines.start("node", ray_of(1) + X)
    machines.join_well("node", "desk")
    until(lambda: (machines.node() or {}).get("witness") == "there")
    assert machines.head.chat("desk/x").status == 200
    families = {who: Family.of(running) for who, running in machines.running.items()}
    for who, family in families.items():
        assert {part for part in PARTS[who] if part in family.what()} == PARTS[who]

    others = [each for each in families["head"].processes if each.is_running()]
    machines.running["node"].end(number)
    print(f"node: nothing is left after {families['node'].is_gone():.1f} s")  # noqa: T201 - pytest -s shows it
    assert all(each.is_running() for each in others), "another Ray of this machine"
    machines.head.end(number)
    print(f"head: nothing is left after {families['head'].is_gone():.1f} s")  # noqa: T201 - as above


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("begun", ["ray.scripts.scripts start", "gcs_server", "raylet/raylet", "ray::Dash"])
def test_it_ends_during_the_start_of_ray(machines: RayMachines, begun: str, number: signal.Signals) -> None:
    machines.invite()
    until(lambda: begun in Family.of(machines.head).what())
    family = Family.of(machines.head)
    machines.head.end(number)
    family.is_gone()


def test_what_is_left_when_its_keeper_is_killed_with_it_ends_at_the_next_start(machines: RayMachines) -> None:
    machines.invite()
    until(lambda: "ray::Dash" in Family.of(machines.head).what())
    family = Family.of(machines.head)
    (keeper,) = (each for each in family.processes if ray_keeper.__file__ in each.cmdline())
    machines.head.process.send_signal(signal.SIGSTOP)  # else it sees the end of the other, and ends the rest
    keeper.kill()
    machines.head.end(signal.SIGKILL)
    assert "raylet" in family.what()
    machines.start("head", ray_of(0) + X)
    family.is_gone()
    until(lambda: "ray::Dash" in Family.of(machines.head).what())


def test_after_an_upgrade_there_is_one_ray(machines: RayMachines) -> None:
    """Also for as long as the former process has answers to give."""
    machines.invite()
    until(lambda: "ray::Dash" in Family.of(machines.head).what())
    former = Family.of(machines.head)
    stream = Streaming(machines.head, "x", chunks=6, hold_after=3)
    assert stream.begun.wait(60)
    answer = machines.head.ask("POST", "/api/upgrade", {})
    assert answer.status == 200, answer.body
    former.is_gone()
    successor = psutil.Process(answer.json["pid"])
    until(lambda: "ray::Dash" in Family.below(successor).what())
    beside = [" ".join(each.cmdline()) for each in psutil.Process(machines.head.process.pid).children()]
    assert sorted("fake_server" in each for each in beside) == [False, True], "the model's server, and the successor"
    assert machines.head.ask("POST", "/upstream/x/control/release").status == 200
    assert stream.ended(60)
    assert "[DONE]" in stream.text
