"""Ray's token is changed by hand, as docs/machines.md says: the old one opens nothing more. (`make test-cluster`)"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.instance import WAIT_SECONDS, until
from e2e.joined import NONE, X
from e2e.ports import claracore
from e2e.test_ray import APART, RayMachines, ray_of

pytestmark = [pytest.mark.ray, pytest.mark.skipif(os.getuid() != 0, reason="only root has namespaces")]


def nodes_with(token: Path) -> int:
    """Ask Ray with a token how many nodes there are; 0 when it does not answer who has this one."""
    code = (
        "from ray._raylet import GcsClient as C; print(len(C(address='127.0.0.1:20000').get_all_node_info(timeout=5)))"
    )
    env = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
    )
    return int(done.stdout or 0)


def served_by(machines: RayMachines, who: str) -> list[int]:
    return [child.pid for child in machines.running[who].children() if "fake_server.py" in " ".join(child.cmdline())]


def test_the_token_is_changed_by_hand(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machines = RayMachines(tmp_path, stack)
        machines.start("head", ray_of(0) + NONE, run_by=APART)
        for number, who in enumerate(("node", "other"), 1):
            machines.start(who, ray_of(number) + X)
        machines.join_well("node", "desk")
        machines.join_well("other", "lap")
        until(machines.whole)
        kept = {who: tmp_path / who / "state/claracore/ray/token" for who in ("head", "node", "other")}
        stolen = tmp_path / "stolen"
        stolen.write_text(kept["head"].read_text())
        assert nodes_with(stolen) == 3

        # Forgotten while it is away: it has the token still, and so has whoever has copied it.
        machines.running["other"].end()
        said = claracore(machines.head.folder, "nodes", "forget", "lap", "--url", machines.head.url)
        assert "it could not be told" in said.stdout
        assert "Ray's token, which it has had, is still good" in said.stderr
        assert kept["other"].read_text() == stolen.read_text()
        assert nodes_with(stolen) > 0

        head = machines.running["head"]
        head.children()[0].send_signal(signal.SIGINT)
        head.process.wait(WAIT_SECONDS)
        kept["head"].unlink()
        machines.start("head", ray_of(0) + NONE, run_by=APART)
        until(lambda: kept["head"].exists() and nodes_with(kept["head"]) > 0)
        assert nodes_with(stolen) == 0
        # Meanwhile the other nodes are served as ever: Ray is away, and nothing else.
        until(lambda: (machines.node() or {}).get("state") == "up")
        assert machines.head.chat("desk/x").status == 200
        assert (machines.node() or {}).get("witness") != "there"

        servers = served_by(machines, "node")
        assert servers
        answer = machines.join(machines.invite(), name="desk")
        assert answer.status == 200, answer.body
        until(lambda: (machines.node() or {}).get("witness") == "there")
        assert kept["node"].read_text() == kept["head"].read_text() != stolen.read_text()
        assert machines.head.chat("desk/x").status == 200
        assert served_by(machines, "node") == servers
