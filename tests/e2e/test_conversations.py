"""Real engines: conversations come back after swaps and restarts, and go on as if nothing had happened.

On the embedded engine; on a llama-server too, where CLARACORE_LLAMA_SERVER names one (`make test-llama-server`).
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claracore.core.fit.flags import SAVED_CHECKPOINTS
from claracore.host.engines.find import abilities_of
from cli.runner import invoke
from e2e.instance import Instance, configured, instance, on_one_processor
from fakes.ports import free_run

LLAMA_SERVER = os.environ.get("CLARACORE_LLAMA_SERVER", "")
EMBEDDED = f"{sys.executable} -m claracore engine"
ENGINES = [EMBEDDED, *([LLAMA_SERVER] if LLAMA_SERVER else [])]
FLAGS = "-c 1024 --parallel 4 --kv-unified --cache-ram 64 --ctx-checkpoints 2"
"""As setup writes them."""


def config(engine: str, smollm2: Path, gemma: Path, *, keep: str = "memory", more: str = "") -> str:
    begin = f"{engine} --port ${{PORT}} {FLAGS} {more} -m"
    return f"""
startPort: {free_run(5).start}
conversations: {{keep: {keep}, min_tokens: 50}}
models:
  one: {{cmd: '{begin} "{smollm2}"'}}
  same: {{cmd: '{begin} "{smollm2}"'}}
  other: {{cmd: '{begin} "{gemma}"', conversations: {{keep: off}}}}
  windows: {{cmd: '{begin} "{gemma}"'}}
"""


class Talk:
    """Conversations with models, by name; each turn goes on with all that was before."""

    def __init__(self, served: Instance) -> None:
        self.served = served
        self.texts: dict[tuple[str, str], str] = {}

    def turn(self, model: str, name: str) -> dict[str, Any]:
        key = model, name
        before = self.texts.get(key, f"{name}: " + ", ".join(f"{name} {number}" for number in range(1, 25)))
        body = {"model": model, "prompt": before, "max_tokens": 6, "temperature": 0, "cache_prompt": True}
        answer = self.served.ask("POST", "/v1/completions", body)
        assert answer.status == 200, answer.body
        text, timings = answer.json["choices"][0]["text"], answer.json["timings"]
        self.texts[key] = f"{before}{text}, {name} again"
        return {"text": text, "cached": timings["cache_n"], "read": timings["prompt_n"]}


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: Path(engine).name)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, smollm2: Path, gemma: Path
) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("conversations")
    configured(folder, config(request.param, smollm2, gemma))
    with instance(folder, run_by=on_one_processor()) as running:
        yield running


def test_two_conversations_go_on_after_each_swap_as_if_there_had_been_none(served: Instance) -> None:
    talk = Talk(served)
    for name in ("apple", "zebra"):
        talk.turn("one", name)
    for _ in range(3):
        talk.turn("other", "music")
        for name in ("apple", "zebra"):
            found = talk.turn("one", name)
            assert found["cached"] > 50, found
            assert found["read"] < 30, found
    # The same turns of the same conversations on a server that never went: token by token the same.
    swapped = {name: talk.texts["one", name] for name in ("apple", "zebra")}
    for name in ("apple", "zebra"):
        talk.turn("same", name)
    for _ in range(3):
        for name in ("apple", "zebra"):
            talk.turn("same", name)
    assert {name: talk.texts["same", name] for name in ("apple", "zebra")} == swapped


def test_what_it_has_brought_is_shown(served: Instance) -> None:
    found = served.ask("GET", "/api/models/one").json["conversation"]
    assert (found["works"], found["restored"], found["saved"]) == ("yes", 6, 2)
    assert found["reused_tokens"] > 300
    assert found["saved_seconds"] > 0
    swaps = [swap for swap in served.ask("GET", "/api/swaps").json["swaps"] if swap["model"] == "one"]
    assert [swap["phases"]["restore_seconds"] > 0 for swap in swaps] == [True, True, True, False]
    shown = invoke(["ps", "-v", "--all", "--url", served.url]).stdout
    assert re.search(r"^one +memory +2 \(", shown, re.MULTILINE)
    assert "it is switched off" in shown
    listed = invoke(["conversations", "list", "--url", served.url]).stdout
    assert len(re.findall(r"^one ", listed, re.MULTILINE)) == 2


def test_dropped_ones_are_read_again(served: Instance) -> None:
    assert invoke(["conversations", "drop", "one", "--url", served.url]).stdout == "2 forgotten\n"
    talk = Talk(served)
    served.ask("POST", "/api/models/unload")
    served.ask("POST", "/api/models/load/one")
    assert talk.turn("one", "apple")["cached"] == 0


def test_agents_that_begin_alike_keep_a_slot_each(served: Instance) -> None:
    talk = Talk(served)
    rules = "You are an agent. " + " ".join(f"Rule {number} is firm." for number in range(8))
    for name in ("apple", "zebra"):
        talk.texts["same", name] = f"{rules} {name}: " + ", ".join(f"{name} {number}" for number in range(1, 25))
        talk.turn("same", name)
    served.ask("POST", "/api/models/unload")
    for name in ("apple", "zebra"):
        found = talk.turn("same", name)
        assert found["cached"] > 120, found
        assert found["read"] < 30, found


def test_sliding_windows_come_back_or_it_is_found_out(served: Instance) -> None:
    embedded = "llama-server" not in served.ask("GET", "/api/models/windows").json["cmd"]
    brings_back = embedded or SAVED_CHECKPOINTS in abilities_of(LLAMA_SERVER).flags
    talk = Talk(served)
    talk.turn("windows", "apple")
    for _ in range(2):
        served.ask("POST", "/api/models/unload")
        assert (talk.turn("windows", "apple")["cached"] > 50) is brings_back
    found = served.ask("GET", "/api/models/windows").json["conversation"]
    assert found["works"] == ("yes" if brings_back else "no")
    assert ("reads everything again; with --swa-full" in found["why"]) is not brings_back


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_on_the_disk_they_outlive_claracore_and_its_death(
    tmp_path: Path, smollm2: Path, gemma: Path, end: signal.Signals
) -> None:
    configured(tmp_path, config(EMBEDDED, smollm2, gemma, keep="disk"))
    with instance(tmp_path, run_by=on_one_processor()) as running:
        talk = Talk(running)
        talk.turn("one", "apple")
        if end is signal.SIGKILL:
            running.ask("POST", "/api/models/unload")
        running.end(end)
    with instance(tmp_path, run_by=on_one_processor()) as running:
        assert len(running.ask("GET", "/api/conversations").json["conversations"]) == 1
        talk.served = running
        assert talk.turn("one", "apple")["cached"] > 50
        running.end()
    configured(tmp_path, config(EMBEDDED, smollm2, gemma, keep="disk", more="--cache-type-k q8_0"))
    with instance(tmp_path, run_by=on_one_processor()) as running:
        talk.served = running
        assert talk.turn("one", "apple")["cached"] == 0, "that is another cache"
