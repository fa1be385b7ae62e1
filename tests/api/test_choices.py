"""The ways to run a model, over HTTP: shown, taken, and kept by the next setup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.engine_with_cards import engine_with_cards
from fakes.ports import free_run
from fit.llama_cpp import sparse_file

QWEN, BGE = "qwen3-32b-q4_k_m", "bge-m3-567m-q8_0"
OWN = "{path} -m {file} -c 4096 -ngl 99 --port ${{PORT}} --temp 0.3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choices")
    (folder / "models").mkdir()
    for shape in ("qwen3-32b-Q4_K_M", "bge-m3-Q8_0"):
        sparse_file(shape, folder / "models" / f"{shape}.gguf")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Instance]:
    engine = engine_with_cards(folder)
    file = folder / "models/qwen3-32b-Q4_K_M.gguf"
    text = f"""\
engine: {engine}
startPort: {free_run(10).start}
models:
  mine:
    cmd: {OWN.format(path=engine, file=file)} # as I like it
    capabilities: {{in: [text], out: [text], context: 4096}}
  by-tensor:
    cmd: {OWN.format(path=engine, file=file)} -ot exps=CPU
  hidden:
    cmd: sh -c 'exec {OWN.format(path=engine, file=file)}'
  other:
    cmd: '{fake()}'
  away:
    proxy: http://127.0.0.1:9
"""
    configured(folder, text)
    with instance(folder, "--config", str(folder / "config.yaml")) as running:
        yield running


def ok(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def test_a_model_that_setup_has_found_is_placed_otherwise(server: Instance, folder: Path) -> None:
    wish = {"folders": [str(folder / "models")]}
    scan = ok(server.ask("POST", "/api/setup/scan", wish))
    ids = {model["id"] for model in scan["models"]}
    assert BGE in ids
    (qwen,) = ids - {BGE}
    found = ok(server.ask("POST", "/api/setup/choices", {**wish, "model": BGE}))
    where = [choice["title"].partition(" ")[2] for choice in found["choices"]]
    assert where == ["on one card", "on the processor (10.0x slower)"]
    assert found["current"] == 0
    slow = found["choices"][1]
    assert slow["flags"][slow["flags"].index("--device") :][:2] == ["--device", "none"]
    picked = {**wish, "models": [BGE, qwen], "choices": {BGE: slow["settings"]}}
    shown = ok(server.ask("POST", "/api/setup/scan", picked))
    assert "+      --device none" in shown["diff"]
    assert server.ask("POST", "/api/setup/choices", {**wish, "model": "nix"}).status == 404
    odd = {BGE: {**slow["settings"], "context": 77}}
    assert server.ask("POST", "/api/setup/apply", {**picked, "choices": odd}).status == 409
    ok(server.ask("POST", "/api/setup/apply", {**picked, "hash": shown["hash"]}))
    text = (folder / "config.yaml").read_text()
    assert "choice=" in text
    kept = ok(server.ask("POST", "/api/setup/scan", wish))
    assert "--device none" not in kept["diff"], "the next setup leaves it as it is"
    assert ok(server.ask("POST", "/api/setup/choices", {**wish, "model": BGE}))["current"] == 1
    mine = ok(server.ask("GET", f"/api/models/{BGE}/choices"))
    assert (mine["current"], mine["why_none"]) == (1, None)
    written = ok(server.ask("POST", f"/api/models/{BGE}/choices", {"choice": 0}))
    assert written["changes"]["restart"] == [BGE]
    assert "choice=" not in (folder / "config.yaml").read_text()


def test_a_command_of_a_persons_own_keeps_what_they_wrote(server: Instance, folder: Path) -> None:
    before = ok(server.ask("GET", "/api/models/mine/choices"))
    assert before["current"] is None
    assert before["now"]["title"].startswith("4k on both cards")
    titles = [choice["title"] for choice in before["choices"]]
    assert titles[-1].startswith("40k on both cards")
    chosen = before["choices"][0]
    assert [share["device"] for share in chosen["devices"]] == ["gpu0", "gpu1", "ram"]
    assert all(share["bytes"] <= share["of_bytes"] for share in chosen["devices"])
    done = ok(server.ask("POST", "/api/models/mine/choices", {"settings": chosen["settings"]}))
    assert done["changes"]["restart"] == ["mine"]
    line = next(line for line in (folder / "config.yaml").read_text().splitlines() if "# as I like it" in line)
    assert " ".join(chosen["flags"]) in line
    assert "--temp 0.3" in line
    assert "-c 4096" not in line
    after = ok(server.ask("GET", "/api/models/mine/choices"))
    assert after["current"] == 0
    assert after["now"]["devices"] == after["choices"][0]["devices"]
    shown = ok(server.ask("GET", "/api/models/mine"))
    assert shown["capabilities"]["context"] == chosen["context"]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("by-tensor", "--override-tensor"),
        ("hidden", "no plain command line"),
        ("other", "none of a llama-server"),
        ("away", "no command here"),
    ],
)
def test_where_there_is_nothing_to_choose_the_reason_is_told(server: Instance, model: str, why: str) -> None:
    found = ok(server.ask("GET", f"/api/models/{model}/choices"))
    assert found["choices"] == []
    assert why in found["why_none"]
    refused = server.ask("POST", f"/api/models/{model}/choices", {"choice": 0})
    assert refused.status == 409
    assert why in refused.message


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"choice": 99}, 400), ({"choice": -1}, 400), ({"choice": "x"}, 400), ({"settings": {}}, 400)],
)
def test_what_is_no_choice_is_refused(server: Instance, body: dict[str, object], status: int) -> None:
    assert server.ask("POST", "/api/models/mine/choices", body).status == status
    assert server.ask("GET", "/api/models/nix/choices").status == 404


def test_flags_in_a_macro_win_over_a_choice_and_that_is_told(folder: Path, tmp_path: Path) -> None:
    engine = engine_with_cards(tmp_path)
    text = f"""\
engine: {engine}
startPort: {free_run(4).start}
macros:
  device: "--device CUDA1"
models:
  mine:
    cmd: {engine} -m {folder}/models/qwen3-32b-Q4_K_M.gguf --port ${{PORT}} ${{device}}
"""
    configured(tmp_path, text)
    with instance(tmp_path, "--config", str(tmp_path / "config.yaml")) as server:
        refused = server.ask("POST", "/api/models/mine/choices", {"choice": 2})
        assert refused.status == 409
        assert "also said elsewhere" in refused.message
        assert (tmp_path / "config.yaml").read_text() == text
