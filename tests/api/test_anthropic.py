"""What Anthropic's own Python package, unmodified, gets from a real engine and hears of errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from claracore.errors import BadRequest
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from claracore.http.api.compat.anthropic import UNKNOWN, page_of
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run


def config(smollm2: Path) -> str:
    engine = f"{sys.executable} -m claracore engine --port ${{PORT}} --ctx-size 1024 --parallel 1"
    return f"""
startPort: {free_run(4).start}
models:
  smol:
    cmd: '{engine} -m "{smollm2}"'
    name: The small one
    aliases: [claude-small]
    filters: {{setParams: {{temperature: 0}}}}
  org/broken:
    cmd: '{fake("--crash", "start")}'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("anthropic")
    configured(folder, config(smollm2))
    with instance(folder) as running:
        yield running


@pytest.fixture
def client(server: Instance) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def test_models_are_listed_page_by_page(client: anthropic.Anthropic, server: Instance) -> None:
    assert server.ask("GET", "/api/tags").status == 200  # the files have been read then
    listed = client.models.list()
    assert [(model.id, model.display_name) for model in listed] == [
        ("org/broken", "org/broken"),
        ("smol", "The small one"),
    ]
    assert (listed.first_id, listed.last_id, listed.has_more) == ("org/broken", "smol", False)
    assert [model.id for model in client.models.list(limit=1)] == ["org/broken", "smol"]
    assert client.models.retrieve("claude-small").type == "model"
    assert client.models.retrieve("smol").max_input_tokens == 1024


def test_it_answers_whole_and_in_a_stream(client: anthropic.Anthropic) -> None:
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Say hello."}]
    answer = client.messages.create(model="claude-small", max_tokens=8, messages=messages)
    assert answer.content
    assert answer.usage.output_tokens == 8
    assert client.messages.count_tokens(model="smol", messages=messages).input_tokens > 0
    with client.messages.stream(model="smol", max_tokens=8, messages=messages) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens == 8


def test_a_stream_whose_first_token_is_part_of_a_character_is_whole(client: anthropic.Anthropic) -> None:
    """llama-server sends no `message_start` then, and the SDK refuses what comes."""
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "🦙🦙🦙🦙🦙🦙"}]
    with client.messages.stream(model="smol", max_tokens=6, messages=messages) as stream:
        assert "".join(stream.text_stream).startswith("🦙")
        assert stream.get_final_message().model == "smol"


def test_errors_are_of_its_classes(client: anthropic.Anthropic) -> None:
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Hi " * 3000}]
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(model="smoll", max_tokens=8, messages=messages)
    assert unknown.value.type == "not_found_error"
    assert "did you mean 'smol'?" in str(unknown.value)
    with pytest.raises(anthropic.BadRequestError) as long:
        client.messages.create(model="smol", max_tokens=8, messages=messages)
    assert long.value.type == "invalid_request_error"
    assert "context" in str(long.value)
    with pytest.raises(anthropic.InternalServerError) as broken:
        client.messages.create(model="org/broken", max_tokens=8, messages=messages[:1])
    assert broken.value.type == "api_error"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")
    with pytest.raises(anthropic.BadRequestError):
        client.models.list(limit=5000)
    with pytest.raises(anthropic.BadRequestError):
        client.models.list(extra_query={"limit": f"00001{'0' * 5000}"})
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.list()


def test_a_key_that_does_not_count_is_an_authentication_error(tmp_path: Path) -> None:
    configured(tmp_path, f"startPort: {free_run(1).start}\nmodels: {{m: {{cmd: '{fake()}'}}}}\n")
    keys = KeyFile(tmp_path / "state" / "claracore")
    good, _ = keys.add("good", [Right.INFERENCE])
    narrow, _ = keys.add("narrow", [Right.INFERENCE], models=["other"])
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Hi"}]
    with instance(tmp_path) as server:
        for key, error in ((narrow, anthropic.PermissionDeniedError), ("wrong", anthropic.AuthenticationError)):
            with anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0) as client:
                with pytest.raises(error):
                    client.messages.create(model="m", max_tokens=1, messages=messages)
                if key == "wrong":
                    with pytest.raises(error):
                        client.models.list()
        with anthropic.Anthropic(base_url=server.url, api_key=good, max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["m"]


def test_pages() -> None:
    rows = [{"id": id_} for id_ in "abcd"]

    def page(**query: str) -> tuple[list[str], bool]:
        found = page_of(rows, query)
        assert found["first_id"] == (found["data"][0]["id"] if found["data"] else None)
        return [row["id"] for row in found["data"]], found["has_more"]

    assert page() == (["a", "b", "c", "d"], False)
    assert page(limit="2") == (["a", "b"], True)
    assert page(limit="2", after_id="b") == (["c", "d"], False)
    assert page(limit="2", before_id="d") == (["b", "c"], True)
    assert page(after_id="d") == ([], False)
    assert page_of(rows, {})["data"][0]["created_at"] == UNKNOWN
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"limit": "²"}, {"limit": "99999999"}, {"after_id": "x"}):
        with pytest.raises(BadRequest):
            page_of(rows, wrong)
