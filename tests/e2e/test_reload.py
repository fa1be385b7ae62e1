"""The configuration changes while requests run: what did not change does not notice."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.instance import Instance, configured, fake, instance, until
from fakes import command
from fakes.ports import free_run

START = free_run(8).start
TOGETHER = "groups:\n  all: {swap: false, exclusive: false, members: [%s]}\n"


def text(models: dict[str, str]) -> str:
    rows = "".join(f"  {name}: {{{its}}}\n" for name, its in models.items())
    return f"startPort: {START}\nmodels:\n{rows}" + TOGETHER % ", ".join(models)


BEFORE = {"a": f"cmd: '{fake()}'", "b": f"cmd: '{fake()}'", "d": f"cmd: '{fake()}'"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path, "--config", str(configured(tmp_path, text(BEFORE)))) as running:
        for name in BEFORE:
            assert running.chat(name).status == 200
        yield running


def replace(served: Instance, models: dict[str, str], way: str = "in place") -> None:
    path = served.folder / "config.yaml"
    if way == "in place":
        path.write_text(text(models))
    else:
        fresh = served.folder / "fresh"
        fresh.write_text(text(models))
        fresh.replace(path)


def control(served: Instance, model: str, order: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.running()[model]["proxy"]).netloc, timeout=120)
    connection.request("GET" if "wait" in order else "POST", f"/control/{order}")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_stream_of_2000_chunks_survives_a_change_an_addition_and_a_removal(served: Instance) -> None:
    before = served.running()
    connection = served.connect()
    body = {"model": "a", "stream": True, "messages": [], "fake": {"chunks": 2000, "hold_after": 1000}}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    stream = connection.getresponse()
    control(served, "a", "wait?key=held&at_least=1")
    replace(served, {"a": BEFORE["a"], "b": f"cmd: '{fake('--alias', 'new')}'", "c": f"cmd: '{fake()}'"}, "rename")
    served.line("added: c; removed: d; to restart if loaded: b")
    assert served.chat("c").status == 200
    assert served.chat("d").status == 404
    assert served.chat("b").json["echo"]["model"] == "new"
    control(served, "a", "release?count=99")
    received = stream.read()
    connection.close()
    assert received.count(b'"content"') >= 2000
    assert received.rstrip().endswith(b"data: [DONE]")
    after = served.running()
    assert (after["a"]["pid"], after["a"]["port"]) == (before["a"]["pid"], before["a"]["port"])
    assert after["b"]["pid"] != before["b"]["pid"]
    assert after["b"]["port"] == before["b"]["port"]
    assert sorted(after) == ["a", "b", "c"]


def test_a_changed_model_that_is_loaded_is_ready_again_without_a_request(served: Instance) -> None:
    pid = served.running()["b"]["pid"]
    replace(served, {**BEFORE, "b": f"cmd: '{fake('--alias', 'new')}'"})
    served.line("to restart if loaded: b")
    while (served.running().get("b") or {}).get("state") != "ready" or served.running()["b"]["pid"] == pid:
        pass  # each turn is a request answered by the server
    assert served.chat("b").json["echo"]["model"] == "new"


def test_a_bad_file_changes_nothing_and_says_where_it_is_bad(served: Instance) -> None:
    before = served.running()
    (served.folder / "config.yaml").write_text(text(BEFORE) + "startPort: -3\n")
    assert "config.yaml" in served.line("error: ")
    assert served.line("not taken over")
    assert served.running() == before
    assert served.chat("a").status == 200
    replace(served, {"a": BEFORE["a"]})
    served.line("removed: b, d")


def test_an_emptied_file_is_no_order_to_stop_every_model(served: Instance) -> None:
    before = served.running()
    (served.folder / "config.yaml").write_text("")
    assert served.line("the file is empty")
    assert served.running() == before
    (served.folder / "config.yaml").write_text(f"startPort: {START}\nmodels: {{}}\n")
    served.line("removed: a, b, d")


def test_who_waits_for_a_model_that_is_taken_out_hears_of_it_while_others_run(served: Instance) -> None:
    replace(served, {**BEFORE, "slow": f"cmd: '{fake('--loading')}'"})
    until(lambda: served.ask("GET", "/v1/models/slow").status == 200)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(served.chat, "slow") for _ in range(2)]
        until(lambda: 'claracore_requests_waiting{model="slow"} 2' in served.ask("GET", "/metrics").body.decode())
        replace(served, BEFORE)
        answers = [each.result(timeout=60) for each in waiting]
    assert [(answer.status, answer.json["error"]["code"]) for answer in answers] == [(404, "model_not_found")] * 2
    assert served.chat("a").status == 200
    assert not any("Traceback" in line for line in served.lines)


def test_sighup_reloads_and_the_same_configuration_is_no_change(served: Instance) -> None:
    before = served.running()
    served.process.send_signal(signal.SIGHUP)
    replace(served, {**BEFORE, "e": f"cmd: '{fake()}'"})
    served.line("added: e")
    assert served.running() == before


def test_a_burst_of_edits_applies_the_last_one(served: Instance) -> None:
    for number in range(10):
        replace(served, {**BEFORE, f"m{number}": f"cmd: '{fake()}'"}, "rename")
    served.line("added: m9")
    assert sorted(row["id"] for row in served.ask("GET", "/v1/models").json["data"]) == ["a", "b", "d", "m9"]


def test_a_symlink_swap_as_in_kubernetes_is_seen(tmp_path: Path) -> None:
    for name, models in (("one", {"a": BEFORE["a"]}), ("two", BEFORE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text(models))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    with instance(tmp_path, "--config", str(tmp_path / "config.yaml")) as running:
        (tmp_path / "..next").symlink_to("two")
        (tmp_path / "..next").replace(tmp_path / "..data")
        running.line("added: b, d")
        assert running.chat("d").status == 200


def test_a_model_that_appears_in_the_folder_is_served_and_one_that_vanishes_is_unlisted(
    tmp_path: Path, smollm2: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(smollm2, models / "First-135M.Q4_1.gguf")
    with instance(tmp_path, "--models-folder", str(models)) as running:
        (models / "Second-135M.Q4_1.gguf").write_bytes(smollm2.read_bytes() + bytes(32))
        running.line("added: ")
        names = [row["id"] for row in running.ask("GET", "/v1/models").json["data"]]
        assert len(names) == 2
        (models / "Second-135M.Q4_1.gguf").unlink()
        running.line("changed without restart")
        assert len(running.ask("GET", "/v1/models").json["data"]) == 1


def test_another_engine_serves_the_models_that_call_it_by_name(tmp_path: Path) -> None:
    def engine(name: str) -> Path:
        path = tmp_path / name
        server = " ".join(f"'{word}'" for word in command("--alias", name))
        flags = '--version) echo "version: 1 (a)";; --help) echo "-m, --model FNAME  path";; '
        path.write_text(f'#!/bin/sh\ncase $1 in\n{flags}*) exec {server} "$@";;\nesac\n')
        path.chmod(0o755)
        return path

    models = f"startPort: {START}\nmodels: {{a: {{cmd: 'llama-server --port ${{PORT}}'}}}}\n"
    path = configured(tmp_path, f"engine: {engine('one')}\n{models}")
    with instance(tmp_path, "--config", str(path)) as running:
        assert running.chat("a").json["echo"]["model"] == "one"
        path.write_text(f"engine: {engine('two')}\n{models}")
        running.line("to restart if loaded: a")
        assert running.chat("a").json["echo"]["model"] == "two"
