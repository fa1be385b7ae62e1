"""A model that does not start, interpreted by a whole ClaraCore, and what is offered for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.runner import invoke
from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.ports import free_run

SMOLLM2 = Path(__file__).resolve().parents[2] / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
ENGINE = f"{sys.executable} -P -m claracore engine --host 127.0.0.1 --port ${{PORT}} --fit off --no-warmup"
CONFIG = f"""\
startPort: {free_run(8).start}
models:
  flag:
    # of mine
    cmd: |
      {ENGINE} --ctx-size 512 --no-such-flag
      -m {SMOLLM2}
  gone:
    cmd: {ENGINE} -m /nowhere/gone.gguf
  late:
    cmd: '{fake("--loading")}'
    healthCheckTimeout: 1
  absent:
    cmd: /nowhere/llama-server --port ${{PORT}}
  huge:
    cmd: {ENGINE} -m {SMOLLM2} --ctx-size 8000000
  odd:
    cmd: |
      {fake("--print")} "what happened is not known" --crash start
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("remedies")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


def ok(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def failure(server: Instance, model: str) -> dict[str, Any]:
    assert server.ask("POST", f"/api/models/load/{model}").status in {502, 503, 504}
    found: dict[str, Any] = ok(server.ask("GET", f"/api/models/{model}"))["failure"]
    return found


def remedies(server: Instance, model: str) -> list[str]:
    return [one["id"] for one in ok(server.ask("GET", f"/api/models/{model}/remedies"))["remedies"]]


@pytest.mark.parametrize(
    "case",
    [
        ("gone", "no_file", "/nowhere/gone.gguf is not there", "error: cannot read model file", []),
        ("late", "time", "it got no further within 1 s", "GET /health on ", ["time"]),
        ("absent", "program", "cannot start '/nowhere/llama-server'", "", []),
        ("huge", "memory", "it could not get 171.7 GiB more, RAM has", "ggml_aligned_malloc: ", ["context"]),
        ("odd", "other", "its server ended before it was ready: exit code 3", "what happened is not known", []),
    ],
    ids=lambda case: case[0],
)
def test_a_failure_has_its_cause_its_evidence_and_what_may_help(
    server: Instance, case: tuple[str, str, str, str, list[str]]
) -> None:
    model, kind, cause, evidence, offered = case
    found = failure(server, model)
    assert found["kind"] == kind
    assert found["cause"].startswith(cause)
    assert found["evidence"].startswith(evidence)
    assert found["way_out"]
    assert remedies(server, model) == offered


def test_a_remedy_is_seen_before_it_is_written_and_can_be_taken_back(server: Instance) -> None:
    assert failure(server, "flag")["cause"] == "the engine does not know the flag --no-such-flag"
    assert remedies(server, "flag") == ["flag"]
    changed = ok(server.ask("POST", "/api/models/flag/remedies", {"id": "flag"}))
    before = ok(server.ask("GET", "/api/config"))
    assert (changed["before"], changed["hash"]) == (before["yaml"], before["hash"]), "nothing is written"
    assert changed["yaml"] == before["yaml"].replace(" --no-such-flag", " ")
    body = {"yaml": changed["yaml"]}
    written = ok(server.ask("PUT", "/api/config", body, {"If-Match": changed["hash"]}))
    assert ok(server.ask("POST", "/api/models/load/flag"))["state"] == "ready"
    assert ok(server.ask("GET", "/api/models/flag"))["failure"] is None
    older = ok(server.ask("GET", f"/api/config/backups/{written['backup']}"))
    assert older["yaml"] == before["yaml"]
    assert server.ask("POST", "/api/models/flag/remedies", {"id": "flag"}).status == 404, "nothing is wrong any more"
    ok(server.ask("PUT", "/api/config", older, {"If-Match": written["hash"]}))


def test_the_terminal_says_the_same(server: Instance) -> None:
    result = invoke(["load", "gone", "--url", server.url])
    assert result.exit_code == 1
    lines = str(result.exception).splitlines()
    assert lines[0] == "gone did not start: /nowhere/gone.gguf is not there"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["it said", "way out", "its log"]
    result = invoke(["load", "late", "--url", server.url])
    assert "  may help:  Give it 2 s (2 s instead of 1 s)" in str(result.exception).splitlines()
    said = invoke(["chat", "gone", "hello", "--url", server.url])
    assert str(said.exception).startswith("gone did not start: ")


def test_a_client_is_told_cause_and_way_out(server: Instance) -> None:
    said = server.ask("POST", "/v1/chat/completions", {"model": "gone", "messages": []}).json["error"]
    first = said["message"].partition("\n")[0]
    assert first.startswith("model 'gone' failed: /nowhere/gone.gguf is not there. Correct the path in the command")
