"""GET /api/recipes: lines for other programs, with this server's address and a model in them, and never with a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""
startPort: {free_run(8).start}
models:
  org/chatty:
    cmd: '{fake()}'
    aliases: [chatty]
    capabilities: {{in: [text], out: [text], context: 12345}}
  finder:
    cmd: '{fake()} --embeddings'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("recipes")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


def by_name(server: Instance, query: str = "") -> dict[str, Any]:
    answer = server.ask("GET", f"/api/recipes{query}")
    assert answer.status == 200, answer.body
    return {recipe["name"]: recipe for recipe in answer.json["recipes"]}


def test_without_a_model_all_are_listed_with_the_address_that_was_asked(server: Instance) -> None:
    found = by_name(server)
    assert {"claude-code", "codex", "curl"} <= found.keys()
    assert f"ANTHROPIC_BASE_URL={server.url}\n" in found["claude-code"]["text"]
    assert "${" not in "".join(recipe["text"] for recipe in found.values())


def test_a_model_brings_its_name_and_its_context(server: Instance) -> None:
    found = by_name(server, "?model=org/chatty&address=https://ai.example/llm/")
    text = found["codex"]["text"]
    assert 'model = "org/chatty"' in text
    assert "model_context_window = 12345" in text
    assert 'base_url = "https://ai.example/llm/v1"' in text
    assert 'model = "chatty"' in by_name(server, "?model=chatty")["codex"]["text"]


def test_an_embedder_is_not_offered_to_coding_agents(server: Instance) -> None:
    found = by_name(server, "?model=finder")
    assert "claude-code" not in found
    assert "/v1/embeddings" in found["curl"]["text"]
    assert "/v1/chat/completions" not in found["curl"]["text"]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://a b", "http://x/`id`", "http://x?y", "x"])
def test_an_address_is_one(server: Instance, address: str) -> None:
    answer = server.ask("GET", "/api/recipes?address=" + address.replace(" ", "%20").replace("`", "%60"))
    assert answer.status == 400
    assert answer.json["error"]["param"] == "address"


def test_a_model_is_there(server: Instance) -> None:
    answer = server.ask("GET", "/api/recipes?model=chaty")
    assert answer.status == 404
    assert "chatty" in answer.message


def test_a_key_is_asked_for_and_never_shown(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    secret, _key = KeyFile(tmp_path / "state" / "claracore").add("app", [Right.INFERENCE], models=["finder"])
    with instance(tmp_path) as server:
        headers = {"Authorization": f"Bearer {secret}"}
        answer = server.ask("GET", "/api/recipes?model=finder", headers=headers)
        assert (answer.status, answer.json["key"], answer.json["needs_key"]) == (200, "YOUR_KEY", True)
        assert secret.encode() not in answer.body
        assert b"YOUR_KEY" in answer.body
        assert server.ask("GET", "/api/recipes?model=org/chatty", headers=headers).status == 404
        assert server.ask("GET", "/api/recipes").status == 401


def test_a_path_in_front_is_part_of_the_address(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path, "--base-path", "/llm") as server:
        (curl,) = (
            recipe
            for recipe in server.ask("GET", "/llm/api/recipes?model=finder").json["recipes"]
            if recipe["name"] == "curl"
        )
        address = server.url.removesuffix("/llm") + "/llm"
        assert f"curl {address}/v1/embeddings" in curl["text"]
