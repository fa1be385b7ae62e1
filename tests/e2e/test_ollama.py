"""Ollama's own Python package, unmodified, with the real engine and a real model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ollama
import pytest

from e2e.instance import Instance, configured, instance
from fakes.ports import free_run

SAY = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Instance]:
    engine = f"{sys.executable} -m claracore engine --port ${{PORT}} --ctx-size 2048 --parallel 1"
    folder = tmp_path_factory.mktemp("ollama")
    configured(
        folder,
        f"""
startPort: {free_run(4).start}
models:
  smol:
    cmd: '{engine} -m "{smollm2}"'
    ttl: 3600
    filters: {{setParams: {{temperature: 0}}}}
  embedder:
    cmd: '{engine} --embeddings --pooling mean -m "{smollm2}"'
routing:
  router:
    use: group
    settings:
      groups:
        both: {{swap: false, members: [smol, embedder]}}
""",
    )
    with instance(folder) as running:
        yield running


@pytest.fixture
def client(server: Instance) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as client:
        yield client


def test_chat(client: ollama.Client) -> None:
    answer = client.chat("smol", SAY, options={"num_predict": 6})
    assert answer.message.content
    assert (answer.model, answer.done, answer.done_reason, answer.eval_count) == ("smol", True, "length", 6)
    assert answer.created_at is not None
    assert abs(datetime.fromisoformat(answer.created_at) - datetime.now(UTC)) < timedelta(minutes=1)
    for count in (answer.prompt_eval_count, answer.prompt_eval_duration, answer.eval_duration, answer.total_duration):
        assert count is not None
        assert count > 0


def test_a_stream_says_the_same_as_one_answer(client: ollama.Client) -> None:
    options = {"num_predict": 6}
    whole = client.chat("smol:latest", SAY, options=options).message.content
    chunks = list(client.chat("smol:latest", SAY, options=options, stream=True))
    assert "".join(chunk.message.content or "" for chunk in chunks) == whole
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].model == "smol:latest"
    assert chunks[-1].eval_count == 6


def test_generate_with_and_without_a_template(client: ollama.Client) -> None:
    chunks = list(client.generate("smol", "Say hello.", system="Be short.", options={"num_predict": 4}, stream=True))
    assert "".join(chunk.response or "" for chunk in chunks)
    raw = client.generate("smol", "one two three four", raw=True, options={"num_predict": 4, "stop": ["nothing"]})
    assert raw.prompt_eval_count == 4
    assert raw.response


@pytest.mark.parametrize("raw", [False, True])
def test_a_schema_is_kept_to(client: ollama.Client, raw: bool) -> None:  # noqa: FBT001
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    answer = client.generate("smol", "How old are you?", format=schema, raw=raw, options={"num_predict": 60})
    assert list(json.loads(answer.response or "")) == ["age"]


def test_how_likely_tokens_were(client: ollama.Client) -> None:
    answer = client.chat("smol", SAY, logprobs=True, top_logprobs=2, options={"num_predict": 2})
    assert answer.logprobs is not None
    assert [len(each.top_logprobs or ()) for each in answer.logprobs] == [2, 2]
    assert "".join(each.token for each in answer.logprobs) == answer.message.content


def test_vectors(client: ollama.Client) -> None:
    answer = client.embed("embedder", ["a cat", "a dog"])
    assert [len(vector) for vector in answer.embeddings] == [576, 576]
    assert answer.prompt_eval_count == 4
    [short] = client.embed("embedder", "a cat", dimensions=8).embeddings
    assert len(short) == 8
    assert sum(number * number for number in short) == pytest.approx(1)
    assert client.embeddings("embedder", "a cat").embedding == pytest.approx(answer.embeddings[0], abs=1e-3)


def test_a_model_is_loaded_kept_and_unloaded(client: ollama.Client, server: Instance) -> None:
    assert client.generate("smol", keep_alive="10m").done_reason == "load"
    [loaded] = [model for model in client.ps().models if model.model == "smol:latest"]
    assert loaded.expires_at is not None
    assert timedelta(minutes=9) < loaded.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert client.generate("smol", keep_alive=-1).done_reason == "load"
    [loaded] = [model for model in client.ps().models if model.model == "smol:latest"]
    assert loaded.expires_at is not None
    assert loaded.expires_at.year > 2300
    unloaded = client.chat("smol", keep_alive=0)
    assert (unloaded.done_reason, unloaded.message.content) == ("unload", "")
    assert server.ask("GET", "/api/models/smol").json["state"] != "ready"


def test_what_activity_knows(client: ollama.Client, server: Instance) -> None:
    client.generate("smol", "Say hello.", options={"num_predict": 3}, keep_alive=0)
    row = server.ask("GET", "/api/activity?limit=1").json["data"][0]
    assert (row["path"], row["model"], row["status"], row["completion_tokens"]) == ("/api/generate", "smol", 200, 3)
    assert server.ask("GET", "/api/models/smol").json["state"] != "ready"
