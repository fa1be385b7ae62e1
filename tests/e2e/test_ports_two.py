"""Two whole instances with one configuration, and an adversary that takes ports that are planned for their models.

`make ports-long` runs the 200 starts each; the normal suite has fewer.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from claracore.host.supervisor.life import BIND_TRIES
from e2e.instance import Instance, configured, fake, instance
from e2e.ports import adversary, sharing_engine
from fakes.ports import free_run

STARTS = int(os.environ.get("PORTS_STARTS", "14"))
"""Of each instance."""

MODELS = 6
WIDTH = 60
WANTED = range(0, 2 * MODELS, 3)
"""Which ports of the range the adversary wants: of those that the two plan, as many as one start may lose and go on."""


def configuration(folder: Path, ports: range, *, sharing: int) -> str:
    """Return models that swap each other out, so that each request to another one is a start."""
    engine = f"{sharing_engine(folder)} --port ${{PORT}}"
    rows = [f"  m{number}: {{cmd: '{engine if number < sharing else fake()}'}}" for number in range(MODELS)]
    names = ", ".join(f"m{number}" for number in range(MODELS))
    group = f"{{startPort: {ports.start}, endPort: {ports.stop - 1}, swap: true, members: [{names}]}}"
    return "\n".join(["unloadTimeout: 2", "models:", *rows, f"groups:\n  all: {group}"])


def served_by_its_own(running: Instance, starts: int) -> list[str]:
    """Ask one model after the other; return what was wrong with any answer."""
    wrong = []
    for turn in range(starts):
        model = f"m{turn % MODELS}"
        answer = running.chat(model)
        if answer.status != 200 or answer.json.get("echo", {}).get("pid") != running.running()[model]["pid"]:
            wrong.append(f"{turn} {model}: {answer.status} {answer.body[:300]!r}")
    return wrong


@pytest.mark.parametrize(
    ("sharing", "pause_seconds"),
    [
        pytest.param(MODELS, 0.001, id="held"),
        pytest.param(MODELS // 2, 0.005, id="half of them released"),
        pytest.param(0, 0.005, id="all released"),
    ],
)
def test_no_request_is_answered_by_a_stranger_and_none_fails_for_a_port(
    tmp_path: Path, sharing: int, pause_seconds: float
) -> None:
    assert len(WANTED) < BIND_TRIES
    ports = free_run(WIDTH)
    config = configured(tmp_path, configuration(tmp_path, ports, sharing=sharing))
    with (
        adversary([ports[each] for each in WANTED], keeps=2, pause_seconds=pause_seconds),
        instance(tmp_path, "--config", str(config)) as one,
        instance(tmp_path, "--config", str(config)) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        wrong = list(pool.map(lambda its: served_by_its_own(its, STARTS), (one, two)))
        assert wrong == [[], []]
