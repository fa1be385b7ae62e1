"""Machines are reserved for a model by a placement group of Ray, and nothing of it depends on Ray's life.

`make test-cluster`; Ray must be installed. A head, two nodes that have joined, and a second driver of the same Ray.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from e2e.instance import WAIT_SECONDS, until
from e2e.test_ranks import SCRIPT, ranked, words
from e2e.test_ray import NODES, RayMachines, ray_of

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.getuid() != 0, reason="only root has namespaces")]

Z = "models:\n  z: {cmd: 'none ${PORT}'}\n"


class RankedMachines(RayMachines):
    """A head with a model for all three machines."""

    def begin(self) -> None:
        self.start("head", ray_of(0) + "models:\n" + ranked(nodes=3))
        for number, who in enumerate(NODES, 1):
            self.start(who, ray_of(number) + Z)
        for who, name in NODES.items():
            self.join_well(who, name)
        until(self.whole)

    def ranks(self) -> list[int]:
        return [
            child.pid
            for each in self.running.values()
            for child in each.children()
            if str(SCRIPT) in " ".join(child.cmdline())
        ]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RankedMachines]:
    with ExitStack() as stack:
        made = RankedMachines(tmp_path_factory.mktemp("ray"), stack)
        made.begin()
        yield made


class Driver:
    """Another head's helper, on the same Ray."""

    def __init__(self, helper: psutil.Process) -> None:
        self._process = subprocess.Popen(
            helper.cmdline(), env=helper.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, wish: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()

    def reserve(self, *nodes: str) -> list[str] | None:
        self.tell({"reserve": "other", "nodes": list(nodes), "count": len(nodes)})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"start"'):  # Ray prints lines of its own
                reserved: list[str] | None = json.loads(line)["reserved"]
                return reserved
        raise AssertionError("it has ended")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=WAIT_SECONDS)


def helper_of(machines: RankedMachines) -> psutil.Process:
    found = [child for child in machines.head.children() if "claracore.host.cluster.ray_helper" in child.cmdline()]
    assert found
    return found[0]


@pytest.fixture
def driver(machines: RankedMachines) -> Iterator[Driver]:
    made = Driver(helper_of(machines))
    yield made
    made.end()


def test_a_placement_group_keeps_two_drivers_apart(machines: RankedMachines, driver: Driver) -> None:
    assert machines.head.chat("big").status == 200
    ranks = machines.ranks()
    assert len(ranks) == 3
    assert driver.reserve("desk") is None
    # The death of the helper, and with it of the group, is nobody's but its own; it is made anew.
    helper = helper_of(machines)
    helper.kill()
    psutil.wait_procs([helper], timeout=WAIT_SECONDS)
    until(lambda: not machines.whole())
    until(machines.whole)
    assert machines.ranks() == ranks
    until(lambda: driver.reserve("lap") is None)
    assert machines.head.chat("big").status == 200

    assert machines.head.ask("POST", "/api/models/unload/big").status == 200
    assert not machines.ranks()
    assert set(driver.reserve("desk", "lap") or ()) == {"desk", "lap"}
    refused = machines.head.chat("big")
    assert refused.status == 503
    assert "'desk': Ray has reserved it for another start" in words(refused)
    assert not machines.ranks(), "all or nothing"
    driver.tell({"release": "other"})
    latest = time.monotonic() + WAIT_SECONDS
    while machines.head.ask("POST", "/api/models/load/big").status != 200:
        assert time.monotonic() < latest
    assert len(machines.ranks()) == 3


def test_a_raylet_that_dies_takes_no_rank_with_it(machines: RankedMachines) -> None:
    assert machines.head.chat("big").status == 200
    ranks = machines.ranks()
    raylet = machines.process("node", "raylet/raylet")
    raylet.kill()
    psutil.wait_procs([raylet], timeout=WAIT_SECONDS)
    until(lambda: not machines.whole())
    assert machines.head.chat("big").status == 200
    until(machines.whole)
    assert machines.ranks() == ranks
    assert machines.head.ask("POST", "/api/models/unload/big").status == 200
    until(lambda: machines.head.ask("POST", "/api/models/load/big").status == 200)
