"""Finding a model that suits this machine: search, suggestions, and how what the hub has would run here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.test_server import ok
from e2e.instance import Instance, configured, instance
from fakes.fake_hub import FakeHub, Fault, fake_hub
from zoo.synthetic import Shape

REPO = "small/SmolLM2-GGUF"
SUGGESTED = "bartowski/SmolLM2-135M-Instruct-GGUF"


@pytest.fixture(scope="module")
def model() -> bytes:
    image = Shape("llama", 2, 576, 9, 3, 1536, 8192, 2048, "Q4_1", tied=True, template="{{ messages }}").image()
    return image.header.ljust(image.size, b"\0")


@pytest.fixture
def hub(model: bytes) -> Iterator[FakeHub]:
    files = {"SmolLM2-Q4_K_M.gguf": model, "SmolLM2-Q8_0.gguf": model * 2, "mmproj-F16.gguf": b"GGUF"}
    with fake_hub(repos={REPO: files, "small/wrong-GGUF": {"wrong-Q4_0.gguf": b"GGUF, it says"}}) as hub:
        hub.about[REPO] = {"downloads": 12, "gguf": {"total": 135_000_000}, "tags": ["license:mit"]}
        yield hub


@pytest.fixture
def server(hub: FakeHub, tmp_path: Path) -> Iterator[Instance]:
    configured(tmp_path, "startPort: 8100\n")
    with instance(tmp_path, env=hub.environ()) as running:
        yield running


def test_a_search_says_what_the_hub_knows(server: Instance, hub: FakeHub) -> None:
    found = ok(server.ask("GET", "/api/hub/search?words=smol"))
    (row,) = found["repositories"]
    assert (row["repo"], row["downloads"], row["parameters"], row["licence"]) == (REPO, 12, 135_000_000, "mit")
    asked = hub.asked("hub")[-1].path
    assert "filter=gguf" in asked
    assert "expand[]=gguf" in asked
    assert server.ask("GET", "/api/hub/search?words=s").status == 400


def test_a_hub_that_is_not_well_is_told_at_once(server: Instance, hub: FakeHub) -> None:
    hub.search_faults.append(Fault(status=503))
    refused = server.ask("GET", "/api/hub/search?words=smol")
    assert refused.status == 502
    assert "answers 503" in refused.message
    assert len(hub.asked("hub")) == 1


def test_how_a_repository_would_run_here_by_one_header(server: Instance, hub: FakeHub, model: bytes) -> None:
    found = ok(server.ask("GET", f"/api/hub/prospects?ref={REPO}"))["variants"]
    assert [row["path"] for row in found] == ["SmolLM2-Q4_K_M.gguf", "SmolLM2-Q8_0.gguf"]
    assert all(row["fits"] and row["context"] == 2048 for row in found)
    assert found[0]["writing"] > found[1]["writing"] > 0
    assert len(hub.asked("cdn")) == 1
    ok(server.ask("GET", f"/api/hub/prospects?ref={REPO}:q4_k_m"))
    assert len(hub.asked("cdn")) == 1, "a header is read once"
    hub.repos["small/two-GGUF"] = {"two-Q4_0.gguf": model[:500]}
    assert server.ask("GET", "/api/hub/prospects?ref=small/two-GGUF").status == 400
    wrong = server.ask("GET", "/api/hub/prospects?ref=small/wrong-GGUF")
    assert wrong.status == 400
    assert "wrong-Q4_0.gguf" in wrong.message
    assert server.ask("GET", "/api/hub/prospects?ref=small/none-GGUF").status == 404


def test_suggestions_are_there_at_once_and_the_hub_corrects_them(server: Instance, hub: FakeHub, model: bytes) -> None:
    shipped = ok(server.ask("GET", "/api/hub/suggestions"))
    assert len(shipped["suggestions"]) == 6
    assert (shipped["checked"], shipped["unreachable"]) == (False, None)
    assert not hub.seen
    assert shipped["folder"] == str(server.folder / "downloads")
    kept, gated, *gone = shipped["suggestions"]
    for each in (kept, gated):
        hub.repos[each["repo"]] = {f"it-{each['quantization']}.gguf": model}
    hub.gated.add(gated["repo"])
    now = ok(server.ask("GET", "/api/hub/suggestions?check=true"))
    assert [(row["repo"], row["gated"]) for row in now["suggestions"]] == [(kept["repo"], False), (gated["repo"], True)]
    assert now["suggestions"][0]["bytes"] == len(model)
    assert now["checked"]
    assert len(gone) == 4


def test_without_a_network_they_are_there_all_the_same(tmp_path: Path) -> None:
    configured(tmp_path, "startPort: 8100\n")
    with instance(tmp_path, env={"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"}) as server:
        found = ok(server.ask("GET", "/api/hub/suggestions?check=true"))
        assert len(found["suggestions"]) == 6
        assert not found["checked"]
        assert "127.0.0.1:9 cannot be reached" in found["unreachable"]
        refused = server.ask("GET", "/api/hub/search?words=smol")
        assert refused.status == 502
        assert refused.json["error"]["code"] == "hub_unreachable"
