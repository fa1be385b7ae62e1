"""A model tuned through a server that runs: what the stream tells, what is written, and who leaves early."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import WAIT_SECONDS, Instance, instance
from fakes.ports import free_run

SCRIPT = Path(__file__).parents[1] / "tune" / "scripted.py"


@pytest.fixture
def served(tmp_path: Path, smollm2: Path) -> Iterator[Instance]:
    """A ClaraCore with one model, whose server is scripted: twice as fast with two threads, faster without -fa."""
    program = tmp_path / "llama-server"
    program.write_text(f"#!{sys.executable} -ES\n" + SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "config.yaml").write_text(
        f"startPort: {free_run(4).start}\nmodels:\n  small:\n    aliases: [s]\n    # mine\n    cmd: |\n"
        f'      {program} --port ${{PORT}} -m "{smollm2}" -c 4096\n      # as many as I like\n      -t 1\n',
        encoding="utf-8",
    )
    with instance(tmp_path, "--config", "config.yaml") as running:
        yield running


def claracore(served: Instance, *words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "CLARACORE_URL": served.url}
    return subprocess.Popen(
        [sys.executable, "-m", "claracore", *words],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lines_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_best_is_found_and_written(served: Instance) -> None:
    with claracore(served, "tune", "s", "--seconds", "600", "--write", "--json") as tuning:
        output = tuning.communicate(timeout=WAIT_SECONDS)[0]
    assert tuning.returncode == 0, output
    *_, result, written = lines_of(output)
    assert result["settings"]["flash_attention"] is False
    assert result["after"]["writing"] > result["before"]["writing"] == 10
    assert (written["what"], bool(written["backup"])) == ("written", True)
    text = (served.folder / "config.yaml").read_text(encoding="utf-8")
    assert "    # mine\n" in text
    assert "      # as many as I like\n" in text
    assert "# tuned: reads " in text
    assert "--flash-attn off\n" in text
    assert served.running() == {}
    assert served.chat("small").status == 200
    assert served.running()["small"]["cmd"].endswith("--flash-attn off\n")


def test_whoever_leaves_ends_it(served: Instance) -> None:
    with contextlib.closing(served.connect()) as connection:
        connection.request("POST", "/api/models/tune/small", "{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        first = json.loads(answer.readline())
        if first["what"] == "note":  # on a busy machine
            first = json.loads(answer.readline())
        assert first["what"] == "trying"
        assert served.ask("POST", "/api/models/tune/s", {}).status == 409
        assert json.loads(answer.readline())["what"] == "trial"
    while served.running():
        pass
    assert served.ask("GET", "/api/models/small").json["state"] == "stopped"


def test_a_model_that_ran_runs_again_as_configured(served: Instance) -> None:
    assert served.chat("small").status == 200
    before = served.running()["small"]
    stream = served.ask("POST", "/api/models/tune/small", {"seconds": 600})
    assert lines_of(stream.body.decode())[-1]["what"] == "result"
    assert served.chat("small").status == 200
    after = served.running()["small"]
    assert (after["cmd"], after["port"]) == (before["cmd"], before["port"])
    assert after["pid"] != before["pid"]


def test_ctrl_c_tells_the_best_so_far(served: Instance) -> None:
    (served.folder / "slow").touch()
    with claracore(served, "tune", "s", "--seconds", "600") as tuning:
        assert tuning.stdout is not None
        next(line for line in tuning.stdout if line.startswith("  2  "))
        tuning.send_signal(signal.SIGINT)
        assert "so far" in tuning.stdout.read()
    assert tuning.returncode == 0
    while served.running():
        pass


def test_ctrl_c_before_anything_was_measured_says_so(served: Instance) -> None:
    (served.folder / "slow").touch()
    before = (served.folder / "config.yaml").read_text(encoding="utf-8")
    with claracore(served, "tune", "s", "--seconds", "600") as tuning:
        served.line("model small: ready")
        tuning.send_signal(signal.SIGINT)
        output = tuning.communicate(timeout=WAIT_SECONDS)[0]
    assert tuning.returncode == 130
    assert output.endswith("ended before anything was measured: nothing was written\n")
    assert (served.folder / "config.yaml").read_text(encoding="utf-8") == before
    while served.running():
        pass


def test_a_server_that_stops_ends_it(served: Instance) -> None:
    with claracore(served, "tune", "s", "--seconds", "600") as tuning:
        served.line("model small: ready")
        served.process.send_signal(signal.SIGTERM)
    assert tuning.returncode == 1
    assert served.process.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/models/tune/other", {}, 404),
        ("POST", "/api/models/tune/small", {"seconds": 0}, 400),
        ("PUT", "/api/models/tuned/other", {"settings": {"threads": 2}}, 404),
        ("PUT", "/api/models/tuned/small", {"settings": {"threads": 0}}, 400),
        ("PUT", "/api/models/tuned/small", {"settings": {"threads": 2}, "note": "a\nb"}, 400),
        ("PUT", "/api/models/tuned/small", {"settings": {"nothing": 2}}, 400),
    ],
)
def test_what_cannot_be(served: Instance, method: str, path: str, body: object, status: int) -> None:
    before = (served.folder / "config.yaml").read_text(encoding="utf-8")
    assert served.ask(method, path, body).status == status
    assert (served.folder / "config.yaml").read_text(encoding="utf-8") == before
