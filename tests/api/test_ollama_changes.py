"""Ollama's own Python package fetches, names and deletes models: from a registry as Ollama's, and from a hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ollama
import pytest

from api.test_server import events, streaming, until
from e2e.instance import Instance, configured, fake, instance
from fakes.fake_hub import FakeHub, fake_hub
from fakes.fake_registry import FakeRegistry, fake_registry
from fakes.ports import free_run
from zoo.synthetic import Shape

REPO = "small/SmolLM2-GGUF"
CONFIG = f"""\
# a comment that stays
startPort: {free_run(8).start}
models:
  one:
    cmd: '{fake()}'
    aliases: [eins]
  two:
    cmd: '{fake()}'
peers:
  far: {{proxy: "http://127.0.0.1:9", models: [large]}}
"""


@pytest.fixture(scope="module")
def model() -> bytes:
    """A model of a few megabytes that can be listed and planned, but has no weights."""
    image = Shape("llama", 2, 576, 9, 3, 1536, 8192, 2048, "Q4_1", tied=True, template="{{ messages }}").image()
    return image.header.ljust(image.size, b"\0")


@pytest.fixture
def registry(model: bytes) -> Iterator[FakeRegistry]:
    with fake_registry() as registry:
        registry.add("library/tiny:latest", model=model, template=b"{{ .Prompt }}", params=b"{}", license=b"MIT")
        yield registry


@pytest.fixture
def hub(model: bytes) -> Iterator[FakeHub]:
    with fake_hub(repos={REPO: {"SmolLM2-135M-Instruct.Q4_1.gguf": model}}) as hub:
        yield hub


@pytest.fixture
def server(registry: FakeRegistry, hub: FakeHub, tmp_path: Path) -> Iterator[Instance]:
    configured(tmp_path, CONFIG)
    with instance(tmp_path, env=hub.environ(CLARACORE_OLLAMA_REGISTRY=registry.url)) as running:
        yield running


@pytest.fixture
def client(server: Instance) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as client:
        yield client


def listed(client: ollama.Client) -> set[str | None]:
    return {model.model for model in client.list().models}


def failure(call: Any) -> tuple[int, str]:
    with pytest.raises(ollama.ResponseError) as caught:
        call()
    return caught.value.status_code, caught.value.error


OURS = {"one:latest", "two:latest", "far/large:latest"}


def test_a_model_of_ollamas_library_comes_and_goes(
    server: Instance, client: ollama.Client, registry: FakeRegistry, model: bytes
) -> None:
    lines = list(client.pull("tiny", stream=True))
    assert [line.status for line in lines[:1] + lines[-3:]] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    digest = registry.manifests["library/tiny:latest"]["layers"][0]["digest"]
    whole = [line for line in lines if line.digest == digest][-1]
    assert whole.status == f"pulling {digest[7:19]}"
    assert (whole.total, whole.completed) == (len(model), len(model))
    assert len({line.digest for line in lines if line.digest}) == 4

    folder = server.folder / "downloads" / "ollama" / "tiny"
    names = {"tiny.gguf", "template.txt", "params.json", "LICENSE.txt"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "tiny.gguf").read_bytes() == model
    [new] = listed(client) - OURS - {"tiny:latest"}
    shown = {found.model: found for found in client.list().models}
    assert shown["tiny:latest"].digest == shown[new].digest == digest.removeprefix("sha256:")
    assert client.show("tiny").details == client.show("tiny:latest").details
    assert "# a comment that stays" in (server.folder / "config.yaml").read_text()

    asked = len(registry.asked)
    assert client.pull("tiny:latest").status == "success"  # what is there is not asked for again
    assert len(registry.asked) == asked

    assert client.delete("tiny").status == "success"
    assert listed(client) == OURS
    assert not folder.exists()
    assert server.ask("GET", "/api/downloads").json["downloads"] == []
    assert failure(lambda: client.delete("tiny"))[0] == 404


def test_a_model_of_the_hub(server: Instance, client: ollama.Client, hub: FakeHub) -> None:
    name = f"hf.co/{REPO}:Q4_1"
    assert client.pull(name).status == "success"
    assert name in listed(client)
    assert client.show(name).details is not None
    place = server.folder / "downloads" / REPO / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert place.exists()
    assert client.delete(name).status == "success"
    assert not place.exists()
    assert listed(client) == OURS
    assert failure(lambda: client.pull("hf.co/small/nothing"))[1].startswith("there is no such repository")
    assert hub.asked("hub")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "there is no model nothing:latest in Ollama's library"),
        ("small/SmolLM2-GGUF", "a repository of the hub is hf.co/small/SmolLM2-GGUF"),
        ("example.com/library/tiny", "example.com is not Ollama's registry"),
        ("../../etc:passwd", "names no model"),
        ("a/b/c/d", "names no model"),
        ("cloud", "it runs in Ollama's cloud"),
        ("mlx", "MLX engine"),
        ("lora", "it is an adapter"),
        ("damaged", "the manifest of damaged:latest is damaged"),
        ("odd", "does not answer as a registry"),
    ],
)
def test_what_cannot_be_pulled(
    client: ollama.Client, registry: FakeRegistry, server: Instance, name: str, says: str
) -> None:
    registry.add("library/cloud:latest", license=b"MIT")
    registry.add("library/mlx:latest", tensor=b"x")
    registry.add("library/lora:latest", model=b"GGUF", adapter=b"GGUF")
    registry.add("library/damaged:latest", model=b"GGUF")
    registry.manifests["library/damaged:latest"]["layers"][0]["digest"] = "sha256:../../etc"
    registry.manifests["library/odd:latest"] = {"layers": "none"}
    status, error = failure(lambda: client.pull(name))
    assert says in error
    assert status in {400, 404, 502}
    *_first, last = client.pull("tiny", stream=True)  # it goes on
    assert last.status == "success"
    *_lines, line = server.ask("POST", "/api/pull", {"model": name}).body.decode().splitlines()
    assert says in json.loads(line)["error"]


def test_a_file_that_is_no_model_is_not_served(client: ollama.Client, registry: FakeRegistry) -> None:
    registry.add("library/junk:1b", model=b"no model at all")
    status, error = failure(lambda: client.pull("junk:1b"))
    assert (status, "cannot be served" in error) == (502, True)
    assert listed(client) == OURS


def test_what_breaks_off_goes_on_and_what_is_wrong_is_thrown_away(
    client: ollama.Client, registry: FakeRegistry, server: Instance
) -> None:
    registry.corrupt = True
    status, error = failure(lambda: client.pull("tiny"))
    assert (status, "not those that were announced" in error) == (502, True)
    assert not (server.folder / "downloads" / "ollama" / "tiny" / "tiny.gguf").exists()
    registry.corrupt, registry.cut_after = False, 300_000
    registry.asked.clear()
    assert client.pull("tiny").status == "success"
    begins = [int(entry.rsplit(" ", 1)[-1]) for entry in registry.asked if entry.startswith("bytes")]
    assert any(begin > 0 for begin in begins)


def test_a_client_that_leaves_stops_what_it_began(
    server: Instance, client: ollama.Client, registry: FakeRegistry
) -> None:
    registry.hold_after = 300_000
    with streaming(server, "/api/stream?topics=download") as stream:
        news = events(stream)
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        connection.request("POST", "/api/pull", b'{"model": "tiny"}')
        answer = connection.getresponse()
        assert json.loads(answer.readline()) == {"status": "pulling manifest"}
        assert registry.held.wait(60)
        answer.close()
        connection.close()
        until(news, lambda type_, data: type_ == "download" and data["status"] == "paused")
    registry.hold_after = None
    registry.release.set()
    assert client.pull("tiny").status == "success"
    assert "tiny:latest" in listed(client)


def test_another_name(server: Instance, client: ollama.Client) -> None:
    assert client.copy("one", "my/model").status == "success"
    assert client.copy("eins:latest", "uno:1b").status == "success"
    assert client.copy("one", "eins").status == "success"  # which it is called already
    text = (server.folder / "config.yaml").read_text()
    assert "aliases: [eins, my/model:latest, uno:1b]" in text
    assert "# a comment that stays" in text
    assert listed(client) == {*OURS, "my/model:latest", "uno:1b"}
    assert server.chat("my/model").status == 200
    assert server.chat("uno:1b").status == 200
    assert failure(lambda: client.copy("one", "two"))[0] == 409
    assert failure(lambda: client.copy("nothing", "x"))[0] == 404
    assert failure(lambda: client.copy("one", "no name"))[0] == 400
    assert failure(lambda: client.copy("one", ""))[0] == 400
    assert failure(lambda: client.copy("far/large", "large2")) == (
        409,
        "the names of model 'far/large' cannot be changed here: it is served by far",
    )
    assert client.delete("uno:1b").status == "success"
    assert client.delete("eins").status == "success"
    assert "aliases: [my/model:latest]" in (server.folder / "config.yaml").read_text()
    assert server.chat("one").status == 200


def test_what_was_not_fetched_here_stays(server: Instance, client: ollama.Client) -> None:
    before = (server.folder / "config.yaml").read_text()
    status, error = failure(lambda: client.delete("one"))
    assert (status, "ClaraCore has not fetched its file" in error) == (409, True)
    assert "it is served by far" in failure(lambda: client.delete("far/large"))[1]
    assert (server.folder / "config.yaml").read_text() == before


def test_a_file_of_two_models_stays(server: Instance, client: ollama.Client) -> None:
    client.pull("tiny")
    [new] = listed(client) - OURS - {"tiny:latest"}
    path = server.folder / "config.yaml"
    command = f"llama-server --port ${{PORT}} -m {server.folder}/downloads/ollama/tiny/tiny.gguf"
    path.write_text(path.read_text().replace("  two:\n", f"  other:\n    cmd: '{command}'\n  two:\n"))
    assert server.ask("POST", "/api/config/reload").status == 200
    status, error = failure(lambda: client.delete("tiny"))
    assert (status, "its file is also that of other" in error, new in listed(client)) == (409, True, True)


@pytest.mark.parametrize("path", ["/api/create", "/api/push", "/api/blobs/sha256:0"])
def test_what_is_not_offered(server: Instance, path: str) -> None:
    answer = server.ask("POST", path, {"model": "x"})
    assert (answer.status, type(answer.json["error"])) == (501, str)
    assert server.ask("HEAD", "/api/blobs/sha256:0").status == 501


def test_a_followed_folder(registry: FakeRegistry, hub: FakeHub, model: bytes, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    env = hub.environ(CLARACORE_OLLAMA_REGISTRY=registry.url)
    with instance(tmp_path, "--models-folder", "models", env=env) as server, ollama.Client(server.url) as client:
        assert client.pull("tiny").status == "success"
        assert "tiny:latest" in listed(client)
        registry.add(
            "library/next:1b", model=model + bytes(32)
        )  # another file: what the watcher writes keeps the names
        assert client.pull("next:1b").status == "success"
        assert {"tiny:latest", "next:1b"} <= listed(client)
        with streaming(server, "/api/stream?topics=models") as stream:
            news = events(stream)
            assert next(news)[0] == "hello"
            assert client.delete("tiny").status == "success"
            assert client.delete("next:1b").status == "success"
            assert not list((tmp_path / "models").iterdir())
            while listed(client):  # what the watcher had seen before it may still write
                next(news)


def test_from_the_library_to_a_conversation(client: ollama.Client, registry: FakeRegistry, smollm2: Path) -> None:
    """All that `ollama run` does: the name that was pulled is listed, loaded, talked to and deleted."""
    registry.add("library/smollm2:135m", model=smollm2.read_bytes())
    assert [line.status for line in client.pull("smollm2:135m", stream=True)][-1] == "success"
    assert "smollm2:135m" in listed(client)
    shown = client.show("smollm2:135m")
    assert shown.capabilities == ["completion"]
    messages = [{"role": "user", "content": "Say hello."}]
    answer = client.chat("smollm2:135m", messages, options={"num_predict": 4, "temperature": 0})
    assert answer.done_reason in {"stop", "length"}
    assert answer.message.content
    [loaded] = client.ps().models
    assert (loaded.digest, loaded.size_vram is not None) == (shown_digest(client, "smollm2:135m"), True)
    client.copy("smollm2:135m", "mine")
    assert client.generate("mine", "One, two,", options={"num_predict": 4}).response
    [model_id] = listed(client) - OURS - {"smollm2:135m", "mine:latest"}
    client.delete("smollm2:135m")
    assert listed(client) == {*OURS, model_id, "mine:latest"}  # a copy outlives the name that it was made of
    assert client.generate("mine", "One, two,", options={"num_predict": 4}).response
    assert client.pull("smollm2:135m").status == "success"  # without another byte: the file is there
    assert "smollm2:135m" in listed(client)
    client.delete("mine")
    client.delete("smollm2:135m")
    assert listed(client) == OURS
    assert client.ps().models == []


def shown_digest(client: ollama.Client, name: str) -> str | None:
    return next(model.digest for model in client.list().models if model.model == name)
