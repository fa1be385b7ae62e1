"""Tokens of texts: counted by the model's own server where it is loaded, and never loaded for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from e2e.instance import Instance, configured, fake, instance, until
from fakes.ports import free_run
from ui.stand import ENGINE, SMOLLM2

CONFIG = f"""
startPort: {free_run(4).start}
models:
  real:
    cmd: |
      {ENGINE}
      --model "{SMOLLM2}" --ctx-size 2048 --threads 1
  parrot:
    cmd: '{fake()}'
  painter:
    cmd: '{fake()}'
    capabilities: {{in: [text, image], out: [image]}}
  reader:
    cmd: '{fake()}'
    capabilities: {{in: [text], out: [audio]}}
"""

pytestmark = pytest.mark.skipif(not SMOLLM2.is_file(), reason="needs the small models: make models")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("tokens")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


def test_a_loaded_model_counts_and_counting_is_no_request(server: Instance) -> None:
    asked = {"model": "real", "texts": ["Hello world", "", "Grüße, 世界 🌍"]}
    refused = server.ask("POST", "/api/tokens", asked)
    assert (refused.status, refused.json["error"]["code"]) == (409, "conflict")
    assert "is not loaded" in refused.message
    assert server.ask("GET", "/api/models/real").json["state"] == "stopped"
    assert server.ask("POST", "/api/models/load/real", {}).status == 200
    found = server.ask("POST", "/api/tokens", asked)
    own = server.ask("POST", "/tokenize", {"model": "real", "content": asked["texts"][2]}).json["tokens"]
    assert found.json == {"model": "real", "tokens": [2, 0, len(own)], "prompt": None}
    assert len(own) > 2
    messages = [{"role": "user", "content": "Say hello."}]
    prompt = server.ask("POST", "/api/tokens", {"model": "real", "texts": [], "messages": messages}).json["prompt"]
    assert prompt == server.chat("real", max_tokens=1).json["usage"]["prompt_tokens"]
    odd = server.ask("POST", "/api/tokens", {"model": "real", "texts": [], "messages": [{"role": 5}]})
    assert (odd.status, odd.json["prompt"]) == (200, None)
    until(lambda: server.ask("GET", "/api/activity").json["total"] > 1)
    assert server.ask("GET", "/api/activity").json["total"] == 2, "only what went through the gateway"


def test_bad_requests_and_other_servers_get_sentences(server: Instance) -> None:
    assert server.ask("POST", "/api/tokens", {"model": "nobody", "texts": []}).status == 404
    assert server.ask("POST", "/api/tokens", {"model": "real"}).status in (400, 422)
    assert server.ask("POST", "/api/tokens", {"model": "real", "texts": ["a"] * 65}).status in (400, 422)
    assert server.chat("parrot").status == 200
    answer = server.ask("POST", "/api/tokens", {"model": "parrot", "texts": ["a"]})
    assert answer.status == 409
    assert "does not count tokens: its answer has no tokens" in answer.message


def test_kinds_follow_what_comes_out(server: Instance) -> None:
    kinds = {model["id"]: model["kind"] for model in server.ask("GET", "/api/models").json["models"]}
    assert (kinds["painter"], kinds["reader"]) == ("image", "audio")


def test_what_is_not_declared_is_read_from_the_command(server: Instance) -> None:
    assert server.ask("POST", "/api/models/load/real", {}).status == 200
    able = server.ask("GET", "/api/models/real").json["capabilities"]
    assert (able["in"], able["context"]) == (["text"], 2048)


def test_a_key_that_reads_may_count_for_its_models_only(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    keys = KeyFile(tmp_path / "state" / "claracore")
    read = keys.add("reader", [Right.READ], models=["parrot"])[0]
    use = keys.add("user", [Right.INFERENCE])[0]
    with instance(tmp_path) as running:
        asked = {"model": "real", "texts": ["a"]}
        assert running.ask("POST", "/api/tokens", asked, {"Authorization": f"Bearer {use}"}).status == 403
        assert running.ask("POST", "/api/tokens", asked, {"Authorization": f"Bearer {read}"}).status == 404
        asked["model"] = "parrot"
        assert running.ask("POST", "/api/tokens", asked, {"Authorization": f"Bearer {read}"}).status == 409
