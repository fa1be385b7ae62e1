"""What does it cost to be a node: processor and memory while nothing is asked, without Ray and with it?

python bench/nodes.py, by a Python that has Ray (`.ray/bin/python`), as root: a head and two nodes at three addresses of
this machine, on ports from 20000 on. Memory is PSS: what processes share counts once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from e2e.instance import Instance, until
from e2e.joined import NONE, X
from e2e.test_ray import APART, NODES, RayMachines, ray_of

SECONDS = 30
MOST_MB, MOST_PERCENT = 350, 2.0
"""What Ray may add to a node."""


def own(running: Instance) -> list[psutil.Process]:
    """Return ClaraCore's own process, and all that came of it."""
    return [psutil.Process(running.process.pid), *running.children()]


def cost(running: Instance) -> tuple[float, float, float]:
    """Return percent of one processor, RSS and PSS in MB, of an instance with all that came of it."""
    processes = own(running)
    before = sum(sum(each.cpu_times()[:2]) for each in processes)
    begun = time.monotonic()
    time.sleep(SECONDS)
    used = sum(sum(each.cpu_times()[:2]) for each in processes) - before
    memory = [each.memory_full_info() for each in processes]
    rss, pss = sum(each.rss for each in memory), sum(each.pss for each in memory)
    return used / (time.monotonic() - begun) * 100, rss / 1e6, pss / 1e6


def measured(folder: Path, *, has_ray: bool) -> dict[str, tuple[float, float, float]]:
    """Return the cost of the head and of a node that has joined it."""
    folder.mkdir()
    with ExitStack() as stack:
        machines = RayMachines(folder, stack)
        text = "" if has_ray else "cluster: {ray: false}\n"
        machines.start("head", (text or ray_of(0)) + NONE, run_by=APART)
        for number, (who, name) in enumerate(NODES.items(), 1):
            machines.start(who, (text or ray_of(number)) + X)
            machines.join_well(who, name)
        until(machines.whole if has_ray else lambda: (machines.node() or {}).get("state") == "up")
        time.sleep(10)
        return {who: cost(machines.running[who]) for who in ("head", "node")}


def main() -> None:
    """Measure, and fail where it is too much."""
    with tempfile.TemporaryDirectory() as folder:
        found = {has_ray: measured(Path(folder) / str(has_ray), has_ray=has_ray) for has_ray in (False, True)}
    for has_ray, costs in found.items():
        for who, (percent, rss, pss) in costs.items():
            print(f"{who}, {'with' if has_ray else 'without'} Ray: {percent:.2f} %, RSS {rss:.0f} MB, PSS {pss:.0f} MB")
    added = [with_ray - without for with_ray, without in zip(found[True]["node"], found[False]["node"], strict=True)]
    assert added[0] <= MOST_PERCENT, added
    assert added[2] <= MOST_MB, added


if __name__ == "__main__":
    main()
