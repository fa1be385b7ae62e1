"""The embedded engine in containers of a real Podman: start, answer, swap, memory, kill -9, stop.

The image is empty; Python, the engine and the models are mounted from this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.instance import Instance, configured, instance, until
from e2e.real_podman import IMAGE, RealPodman, find_podman

ROOT = Path(__file__).resolve().parents[2]
MODELS = {
    "smol": ROOT / ".models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "gemma": ROOT / ".models/gemma/gemma-3-270m-q4_k_m.gguf",
}
MIB = 1 << 20


def mounted() -> list[str]:
    """What the engine needs of this machine."""
    own = {sys.base_prefix, sys.prefix, str(ROOT / "src"), str(ROOT / ".models")}
    own = {place for place in own if not place.startswith("/usr")}
    return [place for place in ("/usr", "/lib", "/lib64", "/bin", *sorted(own)) if Path(place).is_dir()]


@pytest.fixture(scope="module")
def podman() -> Iterator[RealPodman]:
    pytest.importorskip("xllamacpp")
    folder = Path(tempfile.mkdtemp(prefix="claracore-podman-"))
    try:
        found = find_podman(folder, ["/tmp", *mounted()])  # noqa: S108 - inside the image
        if isinstance(found, str):
            pytest.skip(found)
        yield found
        found.ask("rm", "--all", "--force")
        found.ask("rmi", "--all", "--force")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def models() -> str:
    rows = []
    for name, file in MODELS.items():
        args = ["-m", "claracore", "engine", "-m", str(file), "-c", "512", "--host", "0.0.0.0", "--port", "8080"]
        options = ["--entrypoint", sys.executable]
        container = {"image": IMAGE, "runtime": "podman", "mounts": mounted(), "args": args, "options": options}
        rows.append(f"  {name}: {json.dumps({'container': container})}\n")
    return f"models:\n{''.join(rows)}"


def memory_of(running: Instance, model: str) -> int:
    rows = running.ask("GET", "/api/models").json["models"]
    return next(row["memory_bytes"] or 0 for row in rows if row["id"] == model)


@pytest.mark.slow
def test_models_in_real_containers(podman: RealPodman, tmp_path: Path) -> None:
    config = str(configured(tmp_path, models()))
    with instance(tmp_path, "--config", config, env=podman.env) as first:
        assert first.chat("smol", max_tokens=4).json["choices"]
        assert [name.rpartition("-")[2] for name in podman.names()] == ["smol"]
        assert first.chat("gemma", max_tokens=4).json["choices"]
        (left,) = podman.names()
        assert left.endswith("-gemma")
        size = MODELS["gemma"].stat().st_size
        until(lambda: memory_of(first, "gemma") > size)
        first.end(signal.SIGKILL)
        assert podman.names() == [left]
    with instance(tmp_path, "--config", config, env=podman.env) as second:
        assert left in second.line("removed the container")
        assert podman.names() == []
        assert second.chat("smol", max_tokens=4).json["choices"]
        inside = podman.ask("inspect", "--format", "{{.State.Pid}}", podman.names()[0]).stdout.decode().strip()
        os.kill(int(inside), signal.SIGKILL)
        second.line("model 'smol' failed: its server died")
        until(lambda: podman.names() == [])
        assert second.chat("smol", max_tokens=4).status in {200, 502}  # 502: it is not started again at once
        assert second.end() == 0
    assert podman.names() == []
