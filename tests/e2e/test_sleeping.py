"""A model sleeps instead of being stopped, and wakes: stand-in servers with vLLM's requests, on stand-in cards."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from e2e.instance import Instance, configured, instance
from e2e.test_memory import cards, on_cards
from e2e.test_residency import until
from fakes.ports import free_run
from hardware.nvml import Script

__all__ = ["cards"]

SLEEPER = Path(__file__).resolve().parents[1] / "fakes" / "sleeper.py"
SLEEP = "sleep: {enter: POST /sleep?level=1, wake: POST /wake_up}"


def write(folder: Path, *flags: str, ram: str = "64GiB", more: str = "") -> None:
    """Configure two models that each take most of a card of 24 GiB: `a` can sleep."""
    server = f"{sys.executable} -E -S {SLEEPER} --port ${{PORT}} --log"
    configured(
        folder,
        f"""\
startPort: {free_run(3).start}
models:
  a: {{cmd: '{server} {folder}/a.log {" ".join(flags)}', memory: {{gpu: 16GiB}}, {SLEEP}{more}}}
  b: {{cmd: '{server} {folder}/b.log', memory: {{gpu: 14GiB}}}}
routing: {{router: {{use: memory, settings: {{memory: {{reserve: {{ram: 0}}, budget: {{ram: {ram}}}}}}}}}}}
""",
    )


def log(folder: Path, model: str = "a") -> list[str]:
    return (folder / f"{model}.log").read_text(encoding="utf-8").splitlines()


def pid_of(running: Instance, model: str) -> int:
    pid: int = running.ask("GET", f"/api/models/{model}").json["pid"]
    return pid


def fall_asleep(running: Instance) -> int:
    """Have `b` take the place of `a`, which sleeps; returns the pid of `a`."""
    assert running.chat("a").status == 200
    pid = pid_of(running, "a")
    assert running.chat("b").status == 200
    found = running.ask("GET", "/api/models/a").json
    assert (found["state"], found["asleep"], found["pid"]) == ("ready", True, pid)
    return pid


def test_it_sleeps_for_another_and_the_same_process_wakes(tmp_path: Path, cards: Script) -> None:
    write(tmp_path, ram="17GiB")
    with instance(tmp_path, env=on_cards(cards)) as running:
        pid = fall_asleep(running)
        assert log(tmp_path) == ["chat", "sleep level=1"]
        answers = running.ask("GET", "/metrics").status, running.ask("POST", "/api/models/pin/a").status
        assert answers[0] == 200
        assert running.chat("a").status == 200
        assert pid_of(running, "a") == pid
        assert set(running.running()) == {"a"}  # b cannot sleep
        assert log(tmp_path) == ["chat", "sleep level=1", "wake", "chat"]


def test_without_room_in_ram_it_is_stopped(tmp_path: Path, cards: Script) -> None:
    write(tmp_path, ram="15GiB")
    with instance(tmp_path, env=on_cards(cards)) as running:
        for model in ("a", "b"):
            assert running.chat(model).status == 200
        assert set(running.running()) == {"b"}
        assert log(tmp_path) == ["chat"]


@pytest.mark.parametrize("how", ["--refuse", "--die"])
def test_one_that_cannot_sleep_is_stopped(tmp_path: Path, cards: Script, how: str) -> None:
    write(tmp_path, how, "sleep")
    with instance(tmp_path, env=on_cards(cards)) as running:
        for model in ("a", "b"):
            assert running.chat(model).status == 200
        assert set(running.running()) == {"b"}
        assert log(tmp_path) == ["chat", "sleep level=1"]


@pytest.mark.parametrize("how", ["--refuse", "--die"])
def test_one_that_cannot_wake_is_started_anew(tmp_path: Path, cards: Script, how: str) -> None:
    write(tmp_path, how, "wake")
    with instance(tmp_path, env=on_cards(cards)) as running:
        pid = fall_asleep(running)
        assert running.chat("a").status == 200
        assert pid_of(running, "a") != pid
        assert log(tmp_path) == ["chat", "sleep level=1", "wake", "chat"]


def test_one_that_dies_asleep_is_started_anew(tmp_path: Path, cards: Script) -> None:
    write(tmp_path)
    with instance(tmp_path, env=on_cards(cards)) as running:
        os.kill(fall_asleep(running), signal.SIGKILL)
        until(running, "a", "stopped")
        assert running.chat("a").status == 200
        assert log(tmp_path) == ["chat", "sleep level=1", "chat"]


def test_a_person_and_the_end_stop_one_that_sleeps(tmp_path: Path, cards: Script) -> None:
    write(tmp_path)
    with instance(tmp_path, env=on_cards(cards)) as running:
        fall_asleep(running)
        assert running.ask("POST", "/api/models/unload/a").status == 200
        assert set(running.running()) == {"b"}
        running.ask("POST", "/api/models/unload/b")
        fall_asleep(running)
    assert "chat asleep" not in log(tmp_path)


def test_at_its_ttl_it_sleeps_and_after_as_long_it_is_stopped(tmp_path: Path, cards: Script) -> None:
    write(tmp_path, more=", ttl: 1s")
    with instance(tmp_path, env=on_cards(cards)) as running:
        assert running.chat("a").status == 200
        until(running, "a", "stopped")
        assert log(tmp_path) == ["chat", "sleep level=1"]
