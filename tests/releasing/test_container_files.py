"""The files for containers: what the entry makes of words, and what compose and Kubernetes are told."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from claracore.core.config.load import load

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "deploy" / "container-entry.sh"
SERVES = ["serve", "--listen", ":5800"]


def entered(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the entry with a `claracore` that says its words."""
    program = folder / "claracore"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environ = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CLARACORE_CONFIG": str(folder / "data" / "config.yaml"),
        **env,
    }
    return subprocess.run(
        ["sh", str(ENTRY), *words], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "called"),
    [
        ([], [*SERVES, "--config", "CONFIG", "--models-folder", "/models"]),
        (["serve"], [*SERVES, "--config", "CONFIG", "--models-folder", "/models"]),
        (["--watch-models"], [*SERVES, "--config", "CONFIG", "--models-folder", "/models", "--watch-models"]),
        (["--config", "/etc/c d.yaml"], [*SERVES, "--config", "/etc/c d.yaml"]),
        (["--config-dir=/etc/c"], [*SERVES, "--config-dir=/etc/c"]),
        (["doctor"], ["doctor"]),
        (["keys", "add", "ann"], ["keys", "add", "ann"]),
        (["--help"], ["serve", "--help"]),
    ],
)
def test_words_after_the_image_are_options_or_a_verb(folder: Path, words: list[str], called: list[str]) -> None:
    done = entered(folder, *words)
    assert done.returncode == 0
    config = str(folder / "data" / "config.yaml")
    assert done.stdout.splitlines() == [config if word == "CONFIG" else word for word in called]
    assert not (folder / "data" / "config.yaml").exists()


def test_a_key_in_the_environment_is_in_force_and_in_no_file(folder: Path) -> None:
    assert entered(folder, CLARACORE_API_KEY="secret").returncode == 0
    written = (folder / "data" / "config.yaml").read_text()
    assert "secret" not in written
    config = load(written, file="config.yaml", env={"CLARACORE_API_KEY": "secret"}, strict=True).config
    assert config is not None
    assert config.api_keys == ("secret",)
    again = entered(folder, CLARACORE_API_KEY="other")
    assert (again.returncode, again.stderr) == (0, "")
    assert (folder / "data" / "config.yaml").read_text() == written


def test_a_key_that_is_not_in_force_is_told_of(folder: Path) -> None:
    (folder / "data" / "config.yaml").write_text("models: {}\n")
    done = entered(folder, CLARACORE_API_KEY="secret")
    assert done.returncode == 0
    assert "has no apiKeys: it is not in force" in done.stderr


def test_a_key_that_cannot_be_written_down_ends_the_start(folder: Path) -> None:
    done = entered(folder, CLARACORE_API_KEY="secret", CLARACORE_CONFIG="/proc/1/nothere/config.yaml")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "cannot be written" in done.stderr


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def test_compose_publishes_on_this_machine_alone_and_demands_a_key() -> None:
    (compose,) = documents("compose.yaml")
    services = compose["services"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])
    clara = services["claracore"]
    assert clara["environment"]["CLARACORE_API_KEY"].startswith("${CLARACORE_API_KEY:?")
    assert (clara["read_only"], clara["cap_drop"], clara["stop_grace_period"]) == (True, ["ALL"], "40s")
    assert services["open-webui"]["environment"]["OPENAI_API_BASE_URL"] == "http://claracore:5800/v1"
    assert {entry.partition(":")[0].strip("${") for entry in clara["volumes"]} <= {*compose["volumes"], "MODELS"}


def test_kubernetes_runs_it_without_rights_and_with_a_key() -> None:
    found = {document["kind"]: document for document in documents("examples/kubernetes/claracore.yaml")}
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > 30
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [each["name"] for each in container["env"]] == ["CLARACORE_API_KEY"]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert found["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]


def test_the_image_copies_what_is_there_and_runs_as_nobody_in_particular() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    stages = re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE)
    assert stages == ["build", "cpu", "vulkan"]
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001:10001"
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert (ROOT / source).exists()
    kept = (ROOT / ".containerignore").read_text(encoding="utf-8")
    assert all((ROOT / name).exists() for name in re.findall(r"^!(.+)$", kept, re.MULTILINE))
    uv = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert uv is not None
    assert f"UV_VERSION={uv[1]}" in text
