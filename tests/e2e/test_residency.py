"""Memory decides who stays: two real models under a budget of RAM, and stand-in cards that give memory back late."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from e2e.instance import Instance, configured, fake, instance
from e2e.test_memory import cards, memory_of, on_cards
from fakes.ports import free_run
from hardware.nvml import MIB, Script

__all__ = ["cards"]

SERVER = "llama-server --host 127.0.0.1 --port ${PORT}"


def until(running: Instance, model: str, state: str) -> dict[str, Any]:
    """Follow the events of a model until it is in a state."""
    with closing(running.connect()) as connection:
        connection.request("GET", "/api/stream?topics=model")
        stream = connection.getresponse()
        found: dict[str, Any] = running.ask("GET", f"/api/models/{model}").json
        while found["state"] != state:
            line = stream.readline()
            assert line, "the stream has ended"
            data = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            found = data if data.get("id") == model else found
    return found


def swaps(running: Instance) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.ask("GET", "/api/swaps").json["swaps"]
    return found


def test_two_real_models_under_a_budget(tmp_path: Path, smollm2: Path, gemma: Path) -> None:
    def write(budget_mib: int) -> None:
        configured(
            tmp_path,
            f"""\
startPort: {ports.start}
models:
  gemma: {{cmd: '{SERVER} -m {gemma} -c 2048', reload: true}}
  smol: {{cmd: '{SERVER} -m {smollm2} -c 2048'}}
routing: {{router: {{use: memory, settings: {{memory: {{reserve: {{ram: 0}}, budget: {{ram: {budget_mib}MiB}}}}}}}}}}
""",
        )

    ports = free_run(4)
    write(4096)
    with instance(tmp_path) as running:
        for model in ("gemma", "smol", "gemma", "smol"):
            assert running.chat(model, max_tokens=2).status == 200
        assert {model: row["state"] for model, row in running.running().items()} == {"gemma": "ready", "smol": "ready"}
        assert [swap["evicted"] for swap in swaps(running)] == [[], []]

        sizes = {model: memory_of(running, model)["devices"]["ram"] // MIB for model in ("gemma", "smol")}
        write(max(sizes.values()) + min(sizes.values()) // 2)
        running.ask("POST", "/api/config/reload")
        assert running.chat("smol", max_tokens=2).status == 200  # a smaller budget ends nobody
        running.ask("POST", "/api/models/unload/smol")
        assert running.ask("GET", "/api/models/smol").json["would_unload"] == ["gemma"]
        assert running.chat("smol", max_tokens=2).status == 200
        assert set(running.running()) == {"smol"}
        swap = max(swaps(running), key=lambda swap: swap["at"])
        assert (swap["model"], swap["evicted"]) == ("smol", ["gemma"])
        assert "smol takes" in swap["because"]
        assert "MiB of ram, where" in swap["because"]
        assert 'claracore_evictions_total{model="gemma",reason="ram"} 1' in running.ask("GET", "/metrics").body.decode()
        running.ask("POST", "/api/models/unload/smol")
        until(running, "gemma", "ready")  # it is a base model, and comes back by itself

        write(min(sizes.values()) // 2)
        running.ask("POST", "/api/config/reload")
        refused = running.chat("smol", max_tokens=2)
        assert (refused.status, refused.json["error"]["code"]) == (503, "insufficient_memory")
        assert refused.headers["x-should-retry"] == "false"
        assert "MiB of ram, where it can have" in refused.message
        assert "granted to models" in refused.message
        assert running.ask("GET", "/api/models/smol").json["would_not_fit"] == refused.message
        assert set(running.running()) == {"gemma"}


def test_a_card_that_gives_memory_back_late(tmp_path: Path, cards: Script) -> None:
    def use(*, other: int, processes: dict[tuple[int, int], int] | None = None) -> None:
        cards.write((24576, other + sum((processes or {}).values())), (12288, 200), processes=processes or {})

    ports = free_run(4)
    text = f"""\
startPort: {ports.start}
models:
  a: {{cmd: '{fake()}', memory: {{gpu: 16GiB}}}}
  b: {{cmd: '{fake()}', memory: {{gpu: 14GiB}}}}
  c: {{cmd: '{fake()}', memory: {{gpu1: 4GiB}}}}
  huge: {{cmd: '{fake()}', memory: {{gpu: 30GiB}}}}
groups:
  all: {{members: [a, b, c, huge]}}
routing: {{router: {{use: memory}}}}
"""
    configured(tmp_path, text)
    with instance(tmp_path, env=on_cards(cards)) as running:
        for model in ("a", "c"):
            assert running.chat(model).status == 200
        pid = running.running()["a"]["pid"]
        use(other=500, processes={(0, pid): 16384})
        refused = running.chat("huge")
        assert (refused.status, refused.headers["x-should-retry"]) == (503, "false")
        assert "takes 30.0 GiB of gpu0" in refused.message
        assert set(running.running()) == {"a", "c"}

        use(other=500 + 16384)  # what the card shows when a is gone: nothing is back
        with closing(running.connect()) as waiting:
            body = json.dumps({"model": "b", "messages": [{"role": "user", "content": "hello"}]})
            waiting.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            until(running, "a", "stopped")
            assert running.ask("GET", "/api/models/b").json["state"] == "stopped"
            use(other=500)
            answer = waiting.getresponse()
            assert answer.status == 200
            answer.read()
        assert set(running.running()) == {"b", "c"}
        waited = next(swap for swap in swaps(running) if swap["model"] == "b")
        assert (waited["evicted"], waited["because"]) == (["a"], "b takes 14.0 GiB of gpu0, where 7.0 GiB were free")


def test_who_has_more_of_a_card_than_was_told_goes_for_whom_that_is_too_little(tmp_path: Path, cards: Script) -> None:
    text = f"""\
startPort: {free_run(3).start}
models:
  a: {{cmd: '{fake()}', memory: {{gpu: 2GiB}}}}
  b: {{cmd: '{fake()}', memory: {{gpu: 20GiB}}}}
  c: {{cmd: '{fake()}', memory: {{gpu1: 1GiB}}}}
routing: {{router: {{use: memory}}}}
"""
    configured(tmp_path, text)
    with instance(tmp_path, env=on_cards(cards)) as running:
        for model in ("c", "a"):
            assert running.chat(model).status == 200
        pid = running.running()["a"]["pid"]
        cards.write((24576, 500 + 10240), (12288, 200), processes={(0, pid): 10240})
        gpu = running.ask("GET", "/api/memory").json["devices"][1]
        assert gpu["free_bytes"] == (24576 - 10240 - 500 - 500) * MIB
        assert gpu["models"] == [{"model": "a", "bytes": 10240 * MIB, "source": "declared"}]
        running.ask("POST", "/api/models/unload/c")
        until(running, "c", "stopped")  # so that what was seen a moment ago does not count
        with closing(running.connect()) as waiting:
            body = json.dumps({"model": "b", "messages": [{"role": "user", "content": "hello"}]})
            waiting.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            until(running, "a", "stopped")
            cards.write((24576, 500), (12288, 200))
            answer = waiting.getresponse()
            assert answer.status == 200
            answer.read()
        assert set(running.running()) == {"b"}
