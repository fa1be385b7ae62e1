"""What models take of memory: measured on the real engine, on stand-in cards, remembered over restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run
from hardware.nvml import MIB, Script, build

SERVER = "llama-server --host 127.0.0.1 --port ${PORT}"


def memory_of(running: Instance, model: str) -> dict[str, Any]:
    found: dict[str, Any] = running.ask("GET", f"/api/models/{model}").json["memory"]
    return found


def devices(running: Instance) -> dict[str, dict[str, Any]]:
    return {device["id"]: device for device in running.ask("GET", "/api/memory").json["devices"]}


def until_measured(running: Instance, model: str, *, more_than: int = 0) -> dict[str, int]:
    """Follow the events of a model until what it takes was measured."""
    connection = running.connect()
    connection.request("GET", "/api/stream?topics=model")
    stream = connection.getresponse()
    try:
        found = memory_of(running, model)
        while found["source"] != "measured" or sum(found["devices"].values()) <= more_than:
            line = stream.readline()
            assert line, "the stream has ended"
            data = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            found = data["memory"] if data.get("id") == model else found
    finally:
        connection.close()
    sizes: dict[str, int] = found["devices"]
    return sizes


def test_real_models_are_measured_and_remembered(tmp_path: Path, smollm2: Path, gemma: Path) -> None:
    text = f"""\
startPort: {free_run(4).start}
models:
  gemma: {{cmd: '{SERVER} -m {gemma} -c 4096 --verbosity 4'}}
  smol: {{cmd: '{SERVER} -m {smollm2} -c 2048', memory: {{ram: 1GiB}}}}
groups:
  all: {{swap: false, members: [gemma, smol]}}
"""
    configured(tmp_path, text)
    with instance(tmp_path) as running:
        before = devices(running)["ram"]
        assert before["models"] == []
        assert before["total_bytes"] == before["budget_bytes"] > before["free_bytes"] > 0
        first = memory_of(running, "gemma")
        assert first["source"] == "estimated"
        running.ask("POST", "/api/models/load/gemma")
        taken = until_measured(running, "gemma")["ram"]
        assert taken == pytest.approx(first["expected"]["ram"], rel=0.15)
        process = psutil.Process(running.running()["gemma"]["pid"])
        assert taken == pytest.approx(process.memory_info().rss, rel=0.1)
        running.chat("gemma", max_tokens=2)
        assert until_measured(running, "gemma")["ram"] >= taken
        running.ask("POST", "/api/models/load/smol")
        now = devices(running)["ram"]
        assert {row["model"]: row["source"] for row in now["models"]} == {"gemma": "measured", "smol": "declared"}
        assert now["other_bytes"] < before["other_bytes"] + 200 * MIB
        metrics = running.ask("GET", "/metrics").body.decode()
        assert 'claracore_model_footprint_bytes{model="smol",device="ram",source="declared"} 1073741824' in metrics
    configured(tmp_path, text.replace("--verbosity 4", "--alias x --metrics"))
    with instance(tmp_path) as again:
        devices(again)
        remembered = memory_of(again, "gemma")
        assert remembered["source"] == "measured"
        assert remembered["devices"]["ram"] >= taken
        configured(tmp_path, text.replace("-c 4096", "-c 8192"))
        again.ask("POST", "/api/config/reload")
        devices(again)
        other = memory_of(again, "gemma")
        assert other["source"] == "estimated"
        assert other["expected"]["ram"] > remembered["expected"]["ram"]


@pytest.fixture
def cards(tmp_path: Path) -> Script:
    folder = tmp_path / "driver"
    folder.mkdir()
    script = build(folder)
    script.write((24576, 500), (12288, 200))
    return script


def on_cards(cards: Script) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(cards.library.parent)}


def test_memory_of_cards_is_counted_by_process(tmp_path: Path, cards: Script) -> None:
    ready = tmp_path / "ready"
    configured(tmp_path, f"models: {{one: {{cmd: '{fake('--ready-file', str(ready))}'}}}}")
    with instance(tmp_path, env=on_cards(cards)) as running:
        found = devices(running)
        assert list(found) == ["ram", "gpu0", "gpu1"]
        assert (found["gpu0"]["name"], found["gpu0"]["other_bytes"]) == ("NVIDIA card 0", 500 * MIB)
        assert found["gpu1"]["free_bytes"] == (12288 - 200 - 500) * MIB
        assert memory_of(running, "one")["source"] == "unknown"
        pid = starting(running, "one")
        cards.write((24576, 9500), (12288, 200), processes={(0, pid): 8000, (0, 1): 1500})
        ready.touch()
        taken = until_measured(running, "one")
        assert taken["gpu0"] == 8000 * MIB
        assert "gpu1" not in taken
        now = devices(running)["gpu0"]
        assert now["other_bytes"] == 1500 * MIB
        assert now["free_bytes"] == (24576 - 1500 - 8000 - 500) * MIB
        assert now["models"] == [{"model": "one", "bytes": 8000 * MIB, "source": "measured"}]
        cards.write((24576, 12500), (12288, 200), processes={(0, pid): 11000, (0, 1): 1500})
        running.chat("one")
        assert until_measured(running, "one", more_than=11000 * MIB)["gpu0"] == 11000 * MIB
    with instance(tmp_path, env=on_cards(cards)) as again:
        devices(again)
        assert memory_of(again, "one")["devices"]["gpu0"] == 11000 * MIB
        other = devices(again)["gpu0"]["other_bytes"]
        assert other == 12500 * MIB


def test_cards_that_do_not_tell_by_process(tmp_path: Path, cards: Script) -> None:
    ready = tmp_path / "ready"
    configured(tmp_path, f"models: {{one: {{cmd: '{fake('--ready-file', str(ready))}'}}}}")
    cards.write((24576, 500), (12288, 200), silent=(0, 1))
    with instance(tmp_path, env=on_cards(cards)) as running:
        devices(running)
        starting(running, "one")
        cards.write((24576, 6500), (12288, 210), silent=(0, 1))
        ready.touch()
        taken = until_measured(running, "one")
        assert taken["gpu0"] == 6000 * MIB
        assert "gpu1" not in taken
        assert devices(running)["gpu0"]["other_bytes"] == 500 * MIB


def starting(running: Instance, model: str) -> int:
    """Begin to load a model; return the pid of its server, which is not ready yet."""
    connection = running.connect()
    connection.request("GET", "/api/stream?topics=model")
    stream = connection.getresponse()
    running.ask("POST", "/models/load", {"model": model})
    try:
        while True:
            line = stream.readline()
            assert line, "the stream has ended"
            data = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if data.get("id") == model and data.get("pid") is not None:
                pid: int = data["pid"]
                return pid
    finally:
        connection.close()
