"""What Ollama's own Python package, unmodified, and plain calls as its other clients make them, hear of our models.

Which field each client reads is in `http/api/compat/ollama.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ollama
import pytest

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.ports import free_run

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
"""What curl says of `-d '{...}'`."""


def config(smollm2: Path) -> str:
    engine = f"{sys.executable} -m claracore engine --port ${{PORT}} --ctx-size 2048 --parallel 1"
    return f"""
startPort: {free_run(8).start}
models:
  smol:
    cmd: '{engine} -m "{smollm2}"'
    aliases: ["smollm2:135m", short]
    ttl: 600
    filters: {{setParams: {{temperature: 0, max_tokens: 5}}}}
  org/plain:
    cmd: '{fake()}'
    capabilities: {{in: [text, image], out: [text], tools: true, context: 4096}}
  embedder:
    cmd: '{fake()} --embeddings'
  secret:
    cmd: '{fake()}'
    unlisted: true
selectors:
  either: {{targets: [smol, org/plain]}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("ollama")
    configured(folder, config(smollm2))
    with instance(folder) as running:
        yield running


@pytest.fixture
def client(server: Instance) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as client:
        yield client


def ok(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def test_the_list(client: ollama.Client, smollm2: Path) -> None:
    models = {model.model: model for model in client.list().models}
    assert list(models) == ["either:latest", "embedder:latest", "org/plain:latest", "smol:latest", "smollm2:135m"]
    smol = models["smol:latest"]
    assert smol.size == smollm2.stat().st_size
    assert smol.modified_at == datetime.fromtimestamp(int(smollm2.stat().st_mtime), UTC)
    assert smol.digest is not None
    assert len(bytes.fromhex(smol.digest)) == 32
    assert smol.digest == models["smollm2:135m"].digest == models["either:latest"].digest
    details = smol.details
    assert details is not None
    assert (details.format, details.family, details.families) == ("gguf", "llama", ["llama"])
    assert (details.parameter_size, details.quantization_level) == ("134.52M", "Q4_1")
    assert models["org/plain:latest"].size == 0


def test_show(server: Instance, client: ollama.Client) -> None:
    shown = client.show("smol")
    assert shown.modelinfo is not None
    assert shown.template is not None
    assert "<|im_start|>" in shown.template
    assert (shown.license, shown.capabilities) == ("apache-2.0", ["completion"])
    info = shown.modelinfo
    assert (info["general.architecture"], info["general.parameter_count"]) == ("llama", 134515008)
    assert (info["llama.context_length"], info["llama.embedding_length"]) == (2048, 576)
    assert info["tokenizer.ggml.tokens"] is None
    assert "tokenizer.chat_template" not in info
    assert shown.parameters is not None
    rows = [line.split() for line in shown.parameters.splitlines()]
    assert rows == [["num_ctx", "2048"], ["temperature", "0"], ["num_predict", "5"]]
    assert shown.modelfile is not None
    assert "\nFROM /" in shown.modelfile
    for name in ("smol:latest", "smollm2:135m", "short:latest", "either"):
        assert client.show(name).details == shown.details
    verbose = ok(server.ask("POST", "/api/show", {"name": "smol", "verbose": True}))
    assert verbose["model_info"].keys() == info.keys()


def test_what_is_not_known_of_a_model_is_taken_from_the_configuration(client: ollama.Client) -> None:
    shown = client.show("org/plain")
    assert shown.capabilities == ["completion", "vision", "tools"]
    assert shown.modelinfo == {
        "general.architecture": "unknown",
        "general.basename": "org/plain",
        "unknown.context_length": 4096,
    }
    assert client.show("embedder").capabilities == ["embedding"]
    assert client.show("secret").capabilities == ["completion"]


@pytest.mark.parametrize("name", ["smo", "smol:2b", "smollm2", "smollm2:latest"])
def test_names_that_mean_nothing(client: ollama.Client, name: str) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.show(name)
    assert (caught.value.status_code, "'smol" in caught.value.error) == (404, True)


def test_what_is_loaded(server: Instance, client: ollama.Client) -> None:
    assert client.ps().models == []
    assert server.chat("smol:latest", max_tokens=1).status == 200
    [loaded] = client.ps().models
    assert (loaded.model, loaded.name, loaded.context_length) == ("smol:latest", "smol:latest", 2048)
    assert loaded.size is not None
    assert loaded.size > 50_000_000
    assert loaded.size_vram == 0
    assert loaded.expires_at is not None
    assert timedelta(minutes=5) < loaded.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert server.chat("org/plain:latest").status == 200
    [never] = [model.expires_at for model in client.ps().models if model.model == "org/plain:latest"]
    assert never is not None
    assert never.year == 2318
    ok(server.ask("POST", "/api/models/unload"))


def test_the_version_is_that_of_the_api(server: Instance) -> None:
    told = ok(server.ask("GET", "/api/version"))
    assert [int(part) for part in told["version"].split(".")] >= [0, 13, 4]
    assert told["claracore"] == ok(server.ask("GET", "/api/versions"))["claracore"]


def test_the_heartbeat(server: Instance) -> None:
    for method in ("GET", "HEAD"):
        answer = server.ask(method, "/", headers={"User-Agent": "ollama/0.13.5 (amd64 linux) Go/go1.24.1"})
        assert (answer.status, answer.body) == (200, b"Ollama is running" if method == "GET" else b"")
    browser = server.ask("GET", "/", headers={"User-Agent": "Mozilla/5.0"})
    assert (browser.status, browser.headers["Location"]) == (302, "/ui/")


def test_json_needs_no_type(server: Instance) -> None:
    answer = server.ask("POST", "/api/show", b'{"model": "smol"}', FORM)
    assert ok(answer)["details"]["family"] == "llama"
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/api/show", b'{"model": "smol"}')
        assert connection.getresponse().status == 200


@pytest.mark.parametrize("body", [b"", b"model=smol", b"[]", b'{"model": 3}', b'{"model": ""}', b'{"verbose": true}'])
def test_bodies_that_say_nothing(server: Instance, body: bytes) -> None:
    answer = server.ask("POST", "/api/show", body, FORM)
    assert (answer.status, type(answer.json["error"])) == (400, str)


def test_pages_of_other_sites(server: Instance) -> None:
    strange, invited = {"Origin": "http://evil.example"}, {"Origin": "app://obsidian.md"}
    assert server.ask("POST", "/api/show", {"model": "smol"}, strange).status == 403
    assert "Access-Control-Allow-Origin" not in server.ask("GET", "/api/tags", headers=strange).headers
    for method, path, body in (("GET", "/api/tags", None), ("POST", "/api/show", {"model": "smol"})):
        answer = server.ask(method, path, body, invited)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "app://obsidian.md")
        preflight = server.ask("OPTIONS", path, headers={**invited, "Access-Control-Request-Method": method})
        assert preflight.headers["Access-Control-Allow-Origin"] == "app://obsidian.md"


def test_a_key_for_one_model_sees_no_other(tmp_path: Path, smollm2: Path) -> None:
    state = tmp_path / "state" / "claracore"
    state.mkdir(parents=True)
    key, _named = KeyFile(state).add("app", (Right.INFERENCE,), models=("smol",))
    configured(tmp_path, config(smollm2))
    headers = {"Authorization": f"Bearer {key}"}
    with instance(tmp_path) as server, ollama.Client(server.url, headers=headers) as client:
        assert server.ask("GET", "/api/tags").status == 401
        names = [model.model for model in client.list().models]
        assert names == ["either:latest", "smol:latest", "smollm2:135m"]
        assert client.show("smol").details is not None
        with pytest.raises(ollama.ResponseError) as caught:
            client.show("secret")
        assert "org/plain" not in caught.value.error
        assert client.ps().models == []
        for method, path in (("POST", "/api/pull"), ("DELETE", "/api/delete"), ("POST", "/api/copy")):
            assert server.ask(method, path, {"model": "smol"}, headers).status == 403


def test_a_blob_of_ollamas_has_its_own_digest(tmp_path: Path, smollm2: Path) -> None:
    digest = hashlib.sha256(smollm2.read_bytes()).hexdigest()
    (tmp_path / f"sha256-{digest}").symlink_to(smollm2)
    engine = f"{sys.executable} -m claracore engine --port ${{PORT}}"
    configured(tmp_path, f"models:\n  one: {{cmd: '{engine} -m {tmp_path}/sha256-{digest}'}}\n")
    with instance(tmp_path) as server:
        assert ok(server.ask("GET", "/api/tags"))["models"][0]["digest"] == digest
