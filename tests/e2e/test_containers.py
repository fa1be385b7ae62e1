"""Models in containers, with a runtime's command that a test tells what to do (fakes/fake_docker.py)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.instance import Instance, configured, instance, until
from fakes import fake_docker

MODELS = """
models:
  a: {container: {image: "here:latest", args: [-m, /x.gguf]}, env: [HF_TOKEN=secret-value]}
  b: {container: {image: "here:latest"}}
  far: {container: {image: "far:latest"}}
  version: {container: {image: "far:latest"}}
  pull: {container: {image: "far:latest"}}
  run: {container: {image: "far:latest"}}
  p: {container: {image: "here:latest", runtime: podman}}
"""


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Path]:
    """The folder of a fake docker; only it and the system's programs are on PATH."""
    folder = tmp_path / "docker"
    fake_docker.install(folder)
    try:
        yield folder
    finally:
        fake_docker.end_all(folder)


def claracore(docker: Path) -> contextlib.AbstractContextManager[Instance]:
    folder = docker.parent / "claracore"
    folder.mkdir(exist_ok=True)
    # Only the fake is on PATH, so that no real runtime is asked.
    return instance(folder, "--config", str(configured(folder, MODELS)), env={"PATH": str(docker / "bin")})


def test_a_model_is_started_swapped_and_removed_with_its_container(docker: Path) -> None:
    with claracore(docker) as running:
        assert running.chat("a").status == 200
        (name,) = fake_docker.names(docker)
        assert name.startswith("claracore-")
        assert name.endswith("-a")
        assert running.chat("b").status == 200
        assert [each.rpartition("-")[2] for each in fake_docker.names(docker)] == ["b"]
        assert "by the container runtime, docker-proxy" in running.line("model a: port")
        assert running.end() == 0
    assert fake_docker.names(docker) == []
    asked = fake_docker.calls(docker)
    stops = [words for words in asked if words[0] == "stop"]
    assert [words[1:3] for words in stops] == [["-t", "9"], ["-t", "9"]]
    assert not any("secret-value" in word for words in asked for word in words)


def test_a_killed_claracore_leaves_a_container_that_the_next_one_removes(docker: Path) -> None:
    with claracore(docker) as first:
        assert first.chat("a").status == 200
        left = fake_docker.names(docker)
        first.end(signal.SIGKILL)
    assert fake_docker.names(docker) == left
    with claracore(docker) as second:
        assert left[0] in second.line("removed the container")
        assert fake_docker.names(docker) == []
        assert second.chat("a").status == 200
        assert fake_docker.names(docker) != left
        assert second.end() == 0


def test_a_client_that_is_killed_takes_its_container_with_it(docker: Path) -> None:
    with claracore(docker) as running:
        assert running.chat("a").status == 200
        (pid,) = (model["pid"] for model in running.ask("GET", "/api/models").json["models"] if model["id"] == "a")
        os.kill(pid, signal.SIGKILL)
        running.line("model 'a' failed: its server died")
        assert fake_docker.names(docker) == []
        assert running.chat("a").status == 200
        assert running.end() == 0


def test_a_container_whose_port_was_taken_gets_another_one(docker: Path) -> None:
    (docker / "busy").touch()
    with claracore(docker) as running:
        assert running.chat("a").status == 200
        assert running.end() == 0
    first, second = (words[words.index("--publish") + 1] for words in fake_docker.calls(docker) if words[0] == "run")
    assert first != second


FAULTS = {
    "version": (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "Docker's daemon does not run. Start it",
    ),
    "pull": (
        "Error response from daemon: manifest for far:latest not found: manifest unknown: manifest unknown",
        "no registry gives out this image (far:latest). Correct `container.image`",
    ),
    "run": (
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
        "Docker has no way to NVIDIA's devices. Install the NVIDIA Container Toolkit",
    ),
}


def test_faults_are_told_with_their_way_out_and_mended_ones_forgotten(docker: Path) -> None:
    with claracore(docker) as running:
        for command, (printed, meaning) in FAULTS.items():
            fault = docker / f"fault.{command}"
            fault.write_text(printed)
            answer = running.chat(command)
            assert answer.status == 502
            assert meaning in answer.message
            assert printed in answer.message
            fault.unlink()
        assert "there is no podman here. Install Docker" in running.chat("p").message
        assert fake_docker.names(docker) == []
        assert running.chat("far").status == 200
        assert [words for words in fake_docker.calls(docker) if words[0] == "pull"] == [["pull", "far:latest"]] * 2
        assert "far:latest: Pulling from library" in running.ask("GET", "/api/logs?source=run").body.decode()
        assert running.end() == 0


def test_what_runs_answers_while_an_image_is_fetched_and_stays_when_there_is_none(docker: Path) -> None:
    (docker / "fault.pull").write_text("manifest unknown: manifest unknown")
    with claracore(docker) as running:
        assert running.chat("a").status == 200
        assert "no registry gives out this image" in running.chat("far").message
        assert "no registry gives out this image" in running.ask("POST", "/api/models/load/far").message
        (docker / "fault.pull").unlink()
        (docker / "hang.pull").touch()
        with contextlib.closing(running.connect()) as waiting:
            waiting.request("POST", "/api/models/load/pull")
            running.line("model pull: its image far:latest is not here and is fetched")
            preparing = {"cause": "preparing", "models": []}
            until(lambda: bool(running.ask("GET", "/api/models/pull").json["waits_for"] == preparing))
            assert running.chat("a").status == 200
            running.ask("POST", "/api/models/unload/pull")
            answer = waiting.getresponse()
            assert answer.status == 503
            answer.read()
        assert not any("model a: stopping" in line for line in running.lines)
        assert running.end() == 0


def test_a_fetch_that_hangs_ends_with_claracore(docker: Path) -> None:
    (docker / "hang.pull").touch()
    with claracore(docker) as running, contextlib.closing(running.connect()) as waiting:
        waiting.request("GET", "/upstream/far/health")
        running.line("model far: its image far:latest is not here and is fetched")
        assert running.end() == 0


def test_the_listener_of_another_container_is_not_taken_for_the_models(docker: Path) -> None:
    (docker / "elsewhere").touch()
    with claracore(docker) as running:
        answer = running.chat("a")
        assert answer.status == 502
        assert "is answered, but not by the container claracore-" in answer.message
        assert "POST" not in answer.message
        assert running.end() == 0
