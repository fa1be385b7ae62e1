"""What clients of LM Studio's own API hear of our models, and what they change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run


def config(smollm2: Path) -> str:
    engine = f"{sys.executable} -m claracore engine --port ${{PORT}} --ctx-size 512 --parallel 1"
    return f"""
startPort: {free_run(8).start}
models:
  smol:
    cmd: '{engine} -m "{smollm2}"'
    name: The small one
    aliases: [short, "gpt-*"]
  org/eyes:
    cmd: '{fake()}'
    description: It sees.
    capabilities: {{in: [text, image], out: [text], tools: true, context: 4096}}
  embedder:
    cmd: '{fake()} --embeddings'
  secret:
    cmd: '{fake()}'
    unlisted: true
selectors:
  either: {{targets: [smol, org/eyes]}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("lm studio")
    configured(folder, config(smollm2))
    with instance(folder) as running:
        yield running


def test_models_are_listed_as_by_its_first_api(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    rows = {row["id"]: row for row in server.ask("GET", "/api/v0/models").json["data"]}
    assert {name: (row["type"], row["state"]) for name, row in rows.items()} == {
        "smol": ("llm", "not-loaded"),
        "org/eyes": ("vlm", "not-loaded"),
        "embedder": ("embeddings", "not-loaded"),
    }
    assert rows["smol"] == {
        "id": "smol",
        "object": "model",
        "type": "llm",
        "publisher": "HuggingFaceTB",
        "arch": "llama",
        "compatibility_type": "gguf",
        "quantization": "Q4_1",
        "state": "not-loaded",
        "max_context_length": 8192,
        "capabilities": [],
    }
    eyes = rows["org/eyes"]
    assert (eyes["publisher"], eyes["max_context_length"], eyes["capabilities"]) == ("org", 4096, ["tool_use"])
    assert server.ask("GET", "/api/v0/models/short").json == rows["smol"]
    assert server.ask("GET", "/api/v0/models/org/eyes").json == eyes
    assert server.ask("GET", "/api/v0/models/secret").json["id"] == "secret"
    assert server.ask("GET", "/api/v0/models/nobody").status == 404


def test_models_are_loaded_and_unloaded(server: Instance) -> None:
    wish = {"model": "short", "context_length": 9999, "echo_load_config": True}
    loaded = server.ask("POST", "/api/v1/models/load", wish).json
    assert loaded.pop("load_time_seconds") >= 0
    assert loaded == {
        "type": "llm",
        "instance_id": "smol",
        "status": "loaded",
        "load_config": {"context_length": 512},
    }
    rows = {row["key"]: row for row in server.ask("GET", "/api/v1/models").json["models"]}
    assert rows["smol"]["loaded_instances"] == [{"id": "smol", "config": {"context_length": 512}}]
    assert (rows["smol"]["display_name"], rows["smol"]["params_string"]) == ("The small one", "134.52M")
    assert (rows["smol"]["format"], rows["smol"]["quantization"]["name"]) == ("gguf", "Q4_1")
    assert rows["org/eyes"]["capabilities"] == {"vision": True, "trained_for_tool_use": True}
    assert (rows["embedder"]["type"], rows["embedder"]["capabilities"]) == ("embedding", None)
    assert server.ask("GET", "/api/v0/models/smol").json["loaded_context_length"] == 512
    assert server.ask("POST", "/api/v1/models/unload", {"instance_id": "smol"}).json == {"instance_id": "smol"}
    assert server.ask("GET", "/api/v0/models/smol").json["state"] == "not-loaded"
    for path, body in (("load", {"model": "nobody"}), ("unload", {"instance_id": "nobody"})):
        assert server.ask("POST", f"/api/v1/models/{path}", body).status == 404
    assert server.ask("POST", "/api/v1/models/load", {}).status == 400


def test_an_answer_says_how_fast_it_was_and_of_which_model(server: Instance) -> None:
    body = {"model": "gpt-5", "max_tokens": 4, "messages": [{"role": "user", "content": "Say hello."}]}
    answer = server.ask("POST", "/api/v0/chat/completions", body).json
    assert answer["stats"]["tokens_per_second"] > 0
    assert answer["stats"]["stop_reason"] == "maxPredictedTokensReached"
    assert answer["model_info"] == {"arch": "llama", "quant": "Q4_1", "format": "gguf", "context_length": 512}
    assert answer["runtime"]["name"] == "llama.cpp"
    streamed = server.ask(
        "POST", "/api/v0/completions", {"model": "smol", "prompt": "a", "max_tokens": 4, "stream": True}
    )
    assert streamed.body.count(b'"stats":{"tokens_per_second":') == 1
    [row] = [row for row in server.ask("GET", "/api/activity").json["data"] if row["path"] == "/api/v0/completions"]
    assert (row["completion_tokens"], row["model"]) == (4, "smol")


def test_a_key_for_inference_lists_and_does_not_load(tmp_path: Path) -> None:
    configured(
        tmp_path, f"startPort: {free_run(2).start}\nmodels: {{a: {{cmd: '{fake()}'}}, b: {{cmd: '{fake()}'}}}}\n"
    )
    text, _key = KeyFile(tmp_path / "state" / "claracore").add("app", [Right.INFERENCE], models=["a"])
    with instance(tmp_path) as running:
        key = {"Authorization": f"Bearer {text}"}
        assert [row["id"] for row in running.ask("GET", "/api/v0/models", headers=key).json["data"]] == ["a"]
        assert [row["key"] for row in running.ask("GET", "/api/v1/models", headers=key).json["models"]] == ["a"]
        assert running.ask("GET", "/api/v0/models/b", headers=key).status == 404
        assert running.ask("POST", "/api/v1/models/load", {"model": "a"}, key).status == 403
        assert running.ask("POST", "/api/v0/embeddings", {"model": "b", "input": "x"}, key).status == 403
        assert running.ask("GET", "/api/v0/models").status == 401
