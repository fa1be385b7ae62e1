"""What editors ask that cannot be run here, call by call, as is known of them.

VS Code Copilot, with a model of Ollama: its version, at least 0.6.4; the list; what each model is, of which it reads
`model_info` with `general.architecture` and `<architecture>.context_length`, and `capabilities`; then chat completions
in a stream, with tools. (microsoft/vscode-copilot-chat, src/extension/byok/vscode-node/ollamaProvider.ts.)

Home Assistant: the list, and chats in a stream by the `ollama` library, with tools, `num_ctx` and `keep_alive`.
(home-assistant/core, homeassistant/components/ollama.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest

from claracore.types import ModelState
from e2e.instance import Instance, configured, instance
from fakes.ports import free_run
from ui.stand import ENGINE

TOOL = {"type": "function", "function": {"name": "HassTurnOn", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("editors")
    able = "{in: [text], out: [text], tools: true, context: 2048}"
    command = f'{ENGINE} --model "{smollm2}" --ctx-size 2048 --threads 1 --jinja'
    text = f"startPort: {free_run(4).start}\nmodels:\n  org/small:\n    cmd: '{command}'\n    capabilities: {able}\n"
    configured(folder, text)
    with instance(folder) as running:
        yield running


def test_copilot_finds_a_model_and_talks_to_it(server: Instance) -> None:
    version = server.ask("GET", "/api/version").json["version"]
    assert tuple(int(part) for part in version.split(".")) >= (0, 6, 4)
    (listed,) = server.ask("GET", "/api/tags").json["models"]
    shown = server.ask("POST", "/api/show", {"model": listed["model"]}).json
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] >= 2048
    assert "tools" in shown["capabilities"]
    body = {
        "model": listed["model"],
        "messages": [{"role": "user", "content": "Say hello."}],
        "tools": [TOOL],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 4,
    }
    answer = server.ask("POST", "/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    events = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["usage"]["completion_tokens"] > 0


def test_home_assistant_lists_and_talks(server: Instance) -> None:
    async def talk() -> list[Any]:
        async with ollama.AsyncClient(host=server.url) as client:
            (listed,) = (await client.list()).models
            assert listed.model is not None
            stream = await client.chat(
                model=listed.model,
                messages=[{"role": "user", "content": "Say hello."}],
                tools=[TOOL],
                stream=True,
                keep_alive=-1,
                options={"num_ctx": 8192, "num_predict": 4},
                think=False,
            )
            return [part async for part in stream]

    parts = asyncio.run(talk())
    assert parts[-1].done
    assert parts[-1].eval_count
    row = next(row for row in server.ask("GET", "/api/models").json["models"] if row["id"] == "org/small")
    assert (row["state"], row["ttl_left_seconds"]) == (ModelState.READY.value, None)
