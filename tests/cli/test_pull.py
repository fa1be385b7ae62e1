"""`claracore pull` as a person types it, with and without a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.instance import configured, fake, instance
from fakes.fake_hub import FakeHub, Fault, fake_hub
from fakes.ports import free_port

REPO = "org/tiny-GGUF"
BODY = bytes(range(256)) * 8192


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub(repos={REPO: {"tiny-Q4_K_M.gguf": BODY, "tiny-Q8_0.gguf": BODY * 2}}) as hub:
        yield hub


def environ(hub: FakeHub, folder: Path) -> dict[str, str]:
    state = str(folder / "state")
    return {**os.environ, **hub.environ(), "XDG_STATE_HOME": state, "XDG_RUNTIME_DIR": state, "COLUMNS": "200"}


def pull(hub: FakeHub, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "claracore", "pull", *words]
    return subprocess.run(argv, cwd=folder, env=environ(hub, folder), capture_output=True, text=True, check=False)


def test_without_a_server_it_is_fetched_here(hub: FakeHub, tmp_path: Path) -> None:
    done = pull(hub, tmp_path, REPO)
    place = tmp_path / "downloads" / REPO / "tiny-Q4_K_M.gguf"
    assert done.returncode == 0, done.stderr
    assert place.read_bytes() == BODY
    assert f"serve it: claracore --models-folder {tmp_path / 'downloads'}" in done.stdout
    (tmp_path / "config.yaml").write_text("downloadDir: elsewhere\n")
    told = json.loads(pull(hub, tmp_path, f"{REPO}:q8_0", "--json").stdout)
    assert (told["status"], told["folder"]) == ("finished", str(tmp_path / "elsewhere"))


def test_a_dry_run_shows_what_there_is(hub: FakeHub, tmp_path: Path) -> None:
    done = pull(hub, tmp_path, f"llama-server -hf {REPO}", "--dry-run", "--to", "there")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[2:4]] == [["->", "Q4_K_M"], ["Q8_0", "4.2"]]
    assert str(tmp_path / "there" / REPO / "tiny-Q4_K_M.gguf") in done.stdout
    assert json.loads(pull(hub, tmp_path, REPO, "--dry-run", "--json").stdout)["total_bytes"] == len(BODY)
    assert not hub.asked("cdn")
    assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == []


def test_what_is_wrong_is_one_line(hub: FakeHub, tmp_path: Path) -> None:
    for words, said in (("tiny", "ORG/REPO"), ("org/tiny", f"did you mean {REPO}"), (f"{REPO}:F16", "it has Q4_K_M")):
        done = pull(hub, tmp_path, words)
        assert done.returncode == 1
        assert done.stderr.startswith("claracore: ")
        assert done.stderr.count("\n") == 1
        assert said in done.stderr
    hub.faults.append(Fault(corrupt=True))
    done = pull(hub, tmp_path, REPO)
    assert (done.returncode, "failed: " in done.stdout) == (1, True)


def test_an_interrupted_one_goes_on(hub: FakeHub, tmp_path: Path) -> None:
    fault = Fault(hold_after=1_200_000)
    hub.faults.append(fault)
    argv = [sys.executable, "-m", "claracore", "pull", REPO]
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environ(hub, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert fault.held.wait(60)
        process.send_signal(signal.SIGINT)
        _out, errors = process.communicate()
    fault.release.set()
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert pull(hub, tmp_path, REPO).returncode == 0
    assert (tmp_path / "downloads" / REPO / "tiny-Q4_K_M.gguf").read_bytes() == BODY


def test_a_running_server_does_the_work(hub: FakeHub, tmp_path: Path, smollm2: Path) -> None:
    hub.repos[REPO] = {"SmolLM2-135M-Instruct.Q4_1.gguf": smollm2.read_bytes()}
    configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  one:\n    cmd: '{fake()}'\n")
    with instance(tmp_path, env=hub.environ()) as server:
        done = pull(hub, tmp_path, REPO)
        assert done.returncode == 0, done.stderr
        assert "smollm2-135m-instruct-q4_1 can be used now: claracore chat" in done.stdout
        assert len(server.ask("GET", "/api/downloads").json["downloads"]) == 1
