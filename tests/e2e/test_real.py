"""A person with a folder of real models: start, chat, swap, end."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import psutil
import pytest

from e2e.instance import Instance, configured, gone, instance, on_one_processor
from fakes.ports import free_port


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Path:
    folder = tmp_path_factory.mktemp("real")
    models = folder / "my models"
    models.mkdir()
    shutil.copy(smollm2, models / smollm2.name)
    # Not quite the same: of files with the same contents one is a model, and the other one more name of it.
    (models / "Second-135M-Instruct.Q4_1.gguf").write_bytes(smollm2.read_bytes() + bytes(32))
    (models / "notes.gguf").write_text("this is not a model")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Instance]:
    with instance(folder, "--models-folder", str(folder / "my models"), run_by=on_one_processor()) as running:
        yield running


@pytest.fixture(scope="module")
def names(served: Instance) -> list[str]:
    return [row["id"] for row in served.ask("GET", "/v1/models").json["data"]]


@pytest.fixture
def client(served: Instance) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_both_models_are_found_and_the_printed_line_names_one(served: Instance, names: list[str]) -> None:
    assert len(names) == 2
    assert any(name in served.line("curl") for name in names)


def test_requests_that_alternate_evict_nobody_where_both_fit(served: Instance, names: list[str]) -> None:
    pids = set()
    for name in names * 2:
        answer = served.chat(name, max_tokens=4)
        assert answer.status == 200, answer.body
        assert answer.json["choices"][0]["message"]["content"]
        running = served.running()
        assert running[name]["state"] == "ready"
        pids |= {server["pid"] for server in running.values()}
    assert len(pids) == 2


def test_the_openai_sdk_chats(client: openai.OpenAI, names: list[str]) -> None:
    answer = client.chat.completions.create(
        model=names[0],
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=8,
        extra_body={"ignore_eos": True},
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8


def test_the_openai_sdk_streams(client: openai.OpenAI, names: list[str]) -> None:
    stream = client.chat.completions.create(
        model=names[0],
        messages=[{"role": "user", "content": "Count to ten."}],
        max_tokens=16,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 4


def test_the_openai_sdk_completes_and_lists(client: openai.OpenAI, names: list[str]) -> None:
    assert client.completions.create(model=names[0], prompt="Once upon", max_tokens=4).choices[0].text
    assert [model.id for model in client.models.list().data] == names


def test_other_routes_reach_the_model(served: Instance, names: list[str]) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/v1/messages", {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 4}),
        ("/responses", {"input": "Hi", "max_output_tokens": 4}),
        ("/v1/chat/completions/input_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/apply-template", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/tokenize", {"content": "Hi"}),
        ("/detokenize", {"tokens": [1]}),
        ("/completion", {"prompt": "Hi", "n_predict": 2}),
        ("/infill", {"input_prefix": "def f(", "input_suffix": "return 1", "n_predict": 2}),
    ]
    for path, body in calls:
        answer = served.ask("POST", path, {"model": names[0], **body})
        # SmolLM2 has no infill tokens: the engine's own 501 passes through unchanged.
        assert answer.status in ({200} if path != "/infill" else {200, 501}), (path, answer.body)


def test_input_is_counted_as_the_openai_sdk_asks_for_it(client: openai.OpenAI, names: list[str]) -> None:
    assert client.responses.input_tokens.count(model=names[0], input="Hello there").input_tokens > 2


def test_slots_are_shown_by_model(served: Instance, names: list[str]) -> None:
    assert served.ask("GET", f"/slots?model={names[0]}").json[0]["id"] == 0


def test_the_engine_is_reachable_under_upstream(served: Instance, names: list[str]) -> None:
    assert served.ask("GET", f"/upstream/{names[0]}/props").json["model_path"].endswith(".gguf")
    assert served.ask("POST", f"/upstream/{names[0]}/tokenize", {"content": "hello"}).json["tokens"]


def test_load_and_unload(served: Instance, names: list[str]) -> None:
    assert served.ask("POST", f"/api/models/load/{names[1]}").json["state"] == "ready"
    assert names[1] in served.running()
    assert served.ask("POST", f"/api/models/unload/{names[1]}").body == b"OK"
    assert names[1] not in served.running()
    assert served.ask("POST", "/api/models/unload").json == {"msg": "ok"}
    assert served.running() == {}
    assert served.ask("POST", "/api/models/load/nope").status == 404


def test_a_chat_while_another_streams_harms_neither(served: Instance, names: list[str]) -> None:
    connection = served.connect()
    body = {"model": names[0], "messages": [{"role": "user", "content": "Tell me a long story."}]}
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps({**body, "stream": True, "max_tokens": 40, "ignore_eos": True}),
        {"Content-Type": "application/json"},
    )
    stream = connection.getresponse()
    first = stream.readline()
    assert served.chat(names[1], max_tokens=2).status == 200
    rest = stream.read()
    connection.close()
    assert first.startswith(b"data: ")
    assert rest.rstrip().endswith(b"data: [DONE]")
    assert rest.count(b"data: ") >= 35


def test_embeddings_with_the_sdk(tmp_path: Path, smollm2: Path) -> None:
    engine = f'"{sys.executable}" -m claracore engine'
    cmd = f"{engine} --port ${{PORT}} -m {smollm2} -c 512 --threads 1 --embeddings --pooling mean"
    port = free_port()
    config = configured(tmp_path, f"startPort: {port}\nmodels:\n  embed:\n    cmd: {json.dumps(cmd)}\n")
    with (
        instance(tmp_path, "--config", str(config)) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="none") as client,
    ):
        data = client.embeddings.create(model="embed", input=["hello", "world"]).data
        assert [len(row.embedding) for row in data] == [576, 576]
        assert urlsplit(running.running()["embed"]["proxy"]).port == port


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_its_end_leaves_no_process_behind(folder: Path, number: signal.Signals) -> None:
    with instance(folder, "--models-folder", str(folder / "my models"), run_by=on_one_processor()) as running:
        name = running.ask("GET", "/v1/models").json["data"][0]["id"]
        assert running.chat(name, max_tokens=2).status == 200
        children = running.children()
        assert children
        code = running.end(number)
        assert code == (-9 if number == signal.SIGKILL else 0), running.lines
        assert gone([*children, psutil.Process(children[0].pid)] if psutil.pid_exists(children[0].pid) else children)
    with instance(folder, "--models-folder", str(folder / "my models"), run_by=on_one_processor()) as again:
        assert again.chat(name, max_tokens=2).status == 200
