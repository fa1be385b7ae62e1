"""The control plane of a whole ClaraCore with fake models, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import psutil
import pytest

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Grant, Right
from claracore.http.api.compat.llama_swap import histogram
from claracore.http.api.events.open_streams import OpenStreams
from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.ports import free_run
from sockets.helpers import stranger

DOCS = Path(__file__).resolve().parents[2] / "docs"
MODELS = Path(__file__).resolve().parents[2] / ".models"
CONFIG = f"""
# a comment that stays
includeAliasesInList: true
startPort: {free_run(8).start}
models:
  one:
    cmd: '{fake()}'
    name: The first
    aliases: [eins]
    ttl: 300
    capabilities: {{in: [text, image], out: [text], tools: true, context: 4096}}
  org/two:
    cmd: '{fake()}'
  secret:
    cmd: '{fake("--api-key", "sk-very-secret-1")}'
    unlisted: true
  broken:
    cmd: '{fake("--crash", "start")}'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("api")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


@contextlib.contextmanager
def streaming(server: Instance, path: str) -> Iterator[HTTPResponse]:
    connection = server.connect()
    with contextlib.closing(connection):
        connection.request("GET", path)
        yield connection.getresponse()


def events(answer: HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Give the events of a stream as they come."""
    type_ = ""
    while raw := answer.readline():
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            type_ = line[7:]
        elif line.startswith("data: "):
            yield type_, json.loads(line[6:])


def until(stream: Iterator[tuple[str, Any]], wanted: Callable[[str, Any], bool]) -> list[tuple[str, Any]]:
    found = []
    for type_, data in stream:
        found.append((type_, data))
        if wanted(type_, data):
            return found
    raise AssertionError(found)


def release(port: int) -> None:
    """Have a fake model server go on with what it holds."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as control:
        control.request("POST", "/control/release")
        with contextlib.suppress(ConnectionError):  # it may be stopped for another model before it has answered this
            control.getresponse().read()


def ok(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def test_models_are_listed_with_everything_about_them(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    models = {model["id"]: model for model in ok(server.ask("GET", "/api/models"))["models"]}
    assert list(models) == ["broken", "one", "org/two", "secret"]
    one = models["one"]
    assert one["state"] == "stopped"
    assert (one["name"], one["aliases"], one["group"], one["kind"]) == ("The first", ["eins"], "(default)", "vision")
    assert one["capabilities"] == {
        "in": ["text", "image"],
        "out": ["text"],
        "tools": True,
        "reranker": False,
        "context": 4096,
    }
    assert (one["pid"], one["port"], one["error"], one["would_unload"], one["progress"]) == (None, None, None, [], None)
    assert ok(server.ask("GET", "/api/models/org/two"))["id"] == "org/two"
    assert ok(server.ask("GET", "/api/models/eins"))["id"] == "one"
    assert server.ask("GET", "/api/models/nope").status == 404


def test_a_swap_from_load_to_unload(server: Instance) -> None:
    loaded = ok(server.ask("POST", "/api/models/load/eins"))
    assert (loaded["model"], loaded["state"]) == ("one", "ready")
    one = ok(server.ask("GET", "/api/models/one"))
    assert (one["port"], one["endpoint"]) == (loaded["port"], f"127.0.0.1:{loaded['port']}")
    assert one["memory_bytes"] > 1_000_000
    assert one["load_seconds"] > 0
    assert 0 < one["ttl_left_seconds"] <= 300
    two = ok(server.ask("GET", "/api/models/org/two"))
    assert two["would_unload"] == ["one"]
    server.chat("org/two")
    one = ok(server.ask("GET", "/api/models/one"))
    assert one["state"] == "stopped"
    assert 0 < one["expected_seconds"] <= one["load_seconds"] + 0.1
    swap = ok(server.ask("GET", "/api/swaps"))["swaps"][0]
    assert (swap["model"], swap["evicted"], swap["error"]) == ("org/two", ["one"], None)
    phases = swap["phases"]
    assert phases["first_token_seconds"] is not None
    assert sum(phases.values()) == pytest.approx(swap["total_seconds"], abs=0.2)
    assert server.ask("POST", "/api/models/unload/org/two").body == b"OK"
    assert ok(server.ask("POST", "/api/models/unload")) == {"msg": "ok"}


def test_what_several_models_would_do_to_each_other_is_told_and_not_done(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    both = ok(server.ask("GET", "/api/together?model=org/two&model=eins&model=one"))
    assert [(step["model"], step["loaded"], step["unloads"]) for step in both["steps"]] == [
        ("org/two", False, []),
        ("one", False, ["org/two"]),
    ]
    assert both["together"] is False
    server.ask("POST", "/api/models/load/one")
    both = ok(server.ask("GET", "/api/together?model=org/two&model=one"))
    assert [(step["model"], step["loaded"], step["unloads"]) for step in both["steps"]] == [
        ("one", True, []),
        ("org/two", False, ["one"]),
    ]
    assert both["steps"][0]["seconds"] is None
    assert not any(step["loading"] for step in both["steps"])
    assert ok(server.ask("GET", "/api/together?model=one"))["together"] is True
    assert server.ask("GET", "/api/together?model=nope").status == 404
    assert server.ask("GET", "/api/together").status == 400
    assert server.ask("GET", "/api/together?" + "&".join(["model=one"] * 17)).status == 400
    assert ok(server.ask("GET", "/api/models/one"))["state"] == "ready"


def test_a_failure_tells_why_and_is_a_swap_without_an_end(server: Instance) -> None:
    answer = server.ask("POST", "/api/models/load/broken")
    assert answer.status == 502
    broken = ok(server.ask("GET", "/api/models/broken"))
    assert "exit code 3" in broken["error"]
    assert ok(server.ask("GET", "/api/swaps"))["swaps"][0]["error"]
    assert any("broken" in check["message"] for check in ok(server.ask("GET", "/api/doctor"))["checks"])


def test_pinned(server: Instance) -> None:
    pinned = ok(server.ask("PUT", "/api/models/pin/one", {"pinned": True}))
    assert pinned["pinned"] is True
    server.ask("POST", "/api/models/load/one")
    two = ok(server.ask("GET", "/api/models/org/two"))
    assert (two["would_unload"], two["in_the_way"]) == ([], ["one"])
    refused = server.ask("POST", "/api/models/load/org/two")
    assert refused.status == 409
    assert refused.json["error"]["message"] == two["would_not_fit"]
    assert server.chat("org/two").status == 409
    ok(server.ask("PUT", "/api/models/pin/one", {"pinned": False}))
    two = ok(server.ask("GET", "/api/models/org/two"))
    assert (two["would_unload"], two["in_the_way"], two["would_not_fit"]) == (["one"], [], None)
    assert server.chat("org/two").status == 200


def test_secrets_are_shown_nowhere(server: Instance) -> None:
    server.ask("POST", "/api/models/load/secret")
    for path in ("/api/models", "/running", "/api/models/secret", "/api/ports", "/info", "/v1/models"):
        answer = server.ask("GET", path)
        assert b"sk-very-secret" not in answer.body, path
    assert b'--api-key\\" ***' in server.ask("GET", "/running").body
    assert b'"secret"' not in server.ask("GET", "/v1/models").body


def test_a_command_is_shown_with_its_port_while_it_runs(server: Instance) -> None:
    server.ask("POST", "/api/models/load/one")
    row = next(row for row in ok(server.ask("GET", "/running"))["running"] if row["model"] == "one")
    assert f'--port" "{row["port"]}' in row["cmd"] or f"--port {row['port']}" in row["cmd"]
    assert "${PORT}" not in ok(server.ask("GET", "/api/models/one"))["cmd"]
    server.ask("POST", "/api/models/unload/one")
    assert "${PORT}" in ok(server.ask("GET", "/api/models/one"))["cmd"]


def test_requests_in_flight_can_be_seen_and_ended(server: Instance) -> None:
    server.ask("POST", "/api/models/load/one")
    answers: list[Answer] = []
    with streaming(server, "/api/stream?topics=request") as answer:
        stream = events(answer)
        hanging = {"model": "eins", "stream": True, "messages": [], "fake": {"hold_after": 1, "chunks": 3}}
        worker = threading.Thread(
            target=lambda: answers.append(server.ask("POST", "/v1/chat/completions", hanging)), daemon=True
        )
        worker.start()
        seen = until(stream, lambda type_, data: type_ == "request" and data["state"] == "streaming")[-1][1]
        assert (seen["model"], seen["requested"], seen["position"]) == ("one", "eins", None)
        assert seen["first_byte_at"] >= seen["served_at"] >= seen["arrived_at"]
        listed = ok(server.ask("GET", "/api/requests"))["requests"]
        assert [row["id"] for row in listed] == [seen["id"]]
        assert (listed[0]["tokens"], listed[0]["tokens_per_second"]) == (1, None)
        assert ok(server.ask("POST", f"/api/requests/{seen['id']}/cancel")) == {"cancelled": True}
        worker.join(20)
        until(stream, lambda type_, data: type_ == "request" and data["state"] == "finished")
    assert b"cancelled" in answers[0].body
    row = ok(server.ask("GET", "/api/activity?limit=1"))["data"][0]
    assert (row["completion_tokens"], row["tokens_counted"]) == (1, True)  # of what came before it was ended
    assert server.ask("POST", f"/api/inflight/{seen['id']}/cancel").status == 404


def test_who_waits_is_told_for_whom(server: Instance) -> None:
    server.ask("POST", "/api/models/load/one")
    usual = {"swap": True, "exclusive": True, "persistent": False}
    assert ok(server.ask("GET", "/api/models"))["groups"] == {"(default)": usual}
    with streaming(server, "/api/stream?topics=model,request") as answer:
        stream = events(answer)
        hanging = {"model": "one", "stream": True, "messages": [], "fake": {"hold_after": 1, "chunks": 3}}
        with contextlib.closing(server.connect()) as first:
            first.request("POST", "/v1/chat/completions", json.dumps(hanging))
            until(stream, lambda type_, data: type_ == "request" and data["state"] == "streaming")
            with contextlib.closing(server.connect()) as second:
                second.request("POST", "/v1/chat/completions", json.dumps({"model": "org/two", "messages": []}))
                heard = until(stream, lambda type_, data: type_ == "model" and data["waits_for"] is not None)
                assert (heard[-1][1]["id"], heard[-1][1]["state"]) == ("org/two", "stopped")
                assert heard[-1][1]["waits_for"] == {"cause": "answers", "models": ["one"]}
                first.close()
                assert second.getresponse().status == 200
        until(stream, lambda type_, data: type_ == "model" and data["id"] == "org/two" and not data["waits_for"])


def test_versions_are_told(server: Instance) -> None:
    told = ok(server.ask("GET", "/api/versions"))
    assert told["claracore"] == ok(server.ask("GET", "/api/identity"))["version"]
    assert all(told[what] for what in ("python", "system", "engine", "engine_command"))


def test_waiting_for_an_answer_under_way_is_draining(server: Instance) -> None:
    port = ok(server.ask("POST", "/api/models/load/one"))["port"]
    with streaming(server, "/api/stream?topics=request,swap") as answer:
        stream = events(answer)
        long = {"model": "one", "stream": True, "messages": [], "fake": {"hold_after": 1, "chunks": 2}}
        asking = [
            threading.Thread(target=server.ask, args=("POST", "/v1/chat/completions", long), daemon=True),
            threading.Thread(target=server.chat, args=("org/two",), daemon=True),
        ]
        asking[0].start()
        until(stream, lambda type_, data: type_ == "request" and data["state"] == "streaming")
        asking[1].start()
        waited = until(stream, lambda type_, data: type_ == "request" and data["model"] == "org/two")[-1][1]
        assert waited["state"] == "waiting"
        release(port)
        swap = until(stream, lambda type_, data: type_ == "swap" and data["model"] == "org/two")[-1][1]
        for each in asking:
            each.join(60)
    assert swap["phases"]["drain_seconds"] > 0
    assert swap["phases"]["queued_seconds"] == 0


def test_a_head_without_a_body_is_no_answer_yet(server: Instance) -> None:
    """llama-server sends its head at once, then reads the prompt."""
    server.ask("POST", "/api/models/load/one")
    with streaming(server, "/api/stream?topics=request,activity") as answer:
        stream = events(answer)
        slow = {"model": "one", "stream": True, "messages": [], "fake": {"hold_after": 0, "chunks": 2}}
        worker = threading.Thread(target=lambda: server.ask("POST", "/v1/chat/completions", slow), daemon=True)
        worker.start()
        seen = until(stream, lambda type_, data: type_ == "request" and data["state"] == "serving")[-1][1]
        assert seen["first_byte_at"] is None
        [flight] = ok(server.ask("GET", "/api/requests"))["requests"]
        assert flight["request_id"] == seen["request_id"] != ""
        released = time.time()
        port = ok(server.ask("GET", "/api/models/one"))["port"]
        release(port)
        row = until(stream, lambda type_, _: type_ == "activity")[-1][1]
        worker.join(60)
    assert row["request_id"] == flight["request_id"]
    assert row["at"] + row["first_token_seconds"] >= released - 0.1


def test_events_tell_a_whole_swap(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    with streaming(server, "/api/stream") as answer:
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        stream = events(answer)
        assert next(stream)[0] == "hello"
        server.chat("one", stream=True)
        told = until(stream, lambda type_, data: type_ == "activity" and data["model"] == "one")
    states = [data["state"] for type_, data in told if type_ == "model" and data["id"] == "one"]
    assert "starting" in states, "before it, what the unload has left"
    assert states[-1] == "ready"
    assert any(type_ == "swap" for type_, _ in told)
    assert any(type_ == "ports" for type_, _ in told)
    assert ("log", "model one: starting") in [(type_, data.get("text")) for type_, data in told if type_ == "log"]
    assert any(type_ == "log" and data["source"] == "one" for type_, data in told)


FOLLOWED = (
    *("/api/requests", "/api/ports", "/api/activity", "/api/swaps", "/api/models/one", "/api/memory"),
    *("/api/downloads", "/api/performance", "/api/logs", "/api/logs?source=one", "/api/pace", "/api/speeds"),
)
"""What events change, beside the list of models."""


def test_an_answer_names_the_last_event_that_it_knows(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    with streaming(server, "/api/stream?topics=model,hello") as answer:
        next(events(answer))
        before = int(server.ask("GET", "/api/models").headers["Last-Event-Id"])
        server.chat("one")
        shown = server.ask("GET", "/api/models")
        known = int(shown.headers["Last-Event-Id"])
        (model,) = (each for each in ok(shown)["models"] if each["id"] == "one")
        number = before
        # What happened just before this stream was opened may be told on it as well: up to `before`.
        while (line := answer.readline().decode()) and not (number > before and '"state":"ready"' in line):
            number = int(line[4:]) if line.startswith("id: ") else number
    assert model["state"] == "ready"
    assert before < number <= known, "what is told up to there is in the answer"
    for path in FOLLOWED:
        assert int(server.ask("GET", path).headers["Last-Event-Id"]) >= known


def test_activity_says_what_happened(server: Instance) -> None:
    def rows(query: str = "") -> Any:
        return ok(server.ask("GET", f"/api/activity?model=one{query}"))["data"]

    with streaming(server, "/api/stream?topics=activity") as answer:
        stream = events(answer)
        next(stream)
        server.chat("eins", max_tokens=17)
        until(stream, lambda _, data: data["requested"] == "eins")
        server.chat("one", stream=True)
        server.ask("POST", "/v1/chat/completions", {"model": "one", "fake": {"status": 500, "error": "no such luck"}})
        server.chat("one")
        server.chat("one")
        newest = [next(stream)[1]["id"] for _ in range(4)][-1]
    while not any(row["id"] == newest for row in rows()):
        pass
    last, before, failed, streamed, alias = rows()[:5]
    assert (last["status"], last["stream"], last["client"], last["key"]) == (200, False, "127.0.0.1", None)
    assert (alias["requested"], alias["model"]) == ("eins", "one")
    assert streamed["stream"] is True
    assert streamed["first_token_seconds"] <= streamed["total_seconds"]
    assert (failed["status"], failed["error"]) == (500, "no such luck")
    assert before["queue_seconds"] < 5
    assert failed["id"] in [row["id"] for row in rows("&status=error")]
    assert rows("&status=error&q=completions&limit=1")
    page = ok(server.ask("GET", "/api/activity?limit=1&page=2"))
    assert page["total_pages"] == page["total"]
    assert page["captures"] is False
    assert server.ask("GET", "/api/activity?limit=0").status == 400
    assert server.ask("GET", "/api/activity?start=yesterday").status == 400
    stats = ok(server.ask("GET", "/api/stats"))
    assert stats["models"]["one"]["errors"] >= 1
    assert stats["models"]["one"]["loads"] >= 1


def test_the_pace_of_answers_is_told(server: Instance) -> None:
    server.chat("one", max_tokens=40)
    paced = ok(server.ask("GET", "/api/pace?seconds=60&steps=6"))
    assert len(paced["tokens_per_second"]) == len(paced["serving"]) == len(paced["waiting"]) == 6
    assert sum(paced["tokens_per_second"]) > 0
    assert sum(paced["serving"]) > 0
    assert all(len(speeds) <= 24 for speeds in ok(server.ask("GET", "/api/speeds"))["models"].values())
    assert server.ask("GET", "/api/pace?steps=0").status == 400


def test_logs_of_both_kinds(server: Instance) -> None:
    server.ask("POST", "/api/models/load/one")
    own = ok(server.ask("GET", "/api/logs?lines=5"))
    assert own["source"] == "proxy"
    assert all(line["at"] and line["level"] for line in own["lines"])
    its = ok(server.ask("GET", "/api/logs?source=eins"))
    assert its["source"] == "one"
    assert any("listening on" in line["text"] for line in its["lines"])
    assert server.ask("GET", "/api/logs?source=nope").status == 404
    assert "model one: starting" in server.ask("GET", "/logs").body.decode()
    assert server.ask("GET", "/logs", headers={"Accept": "text/html"}).status == 302


@pytest.mark.parametrize("source", ["", "/proxy", "/upstream", "/one", "/org/two"])
def test_logs_can_be_followed(server: Instance, source: str) -> None:
    with streaming(server, f"/logs/stream{source}") as answer:
        server.ask("POST", "/api/models/unload")
        server.ask("POST", "/api/models/load/org/two" if "two" in source else "/api/models/load/one")
        wanted = b"listening on" if source in ("/upstream", "/one", "/org/two") else b"model one: starting"
        while wanted not in answer.readline():
            pass


def test_a_log_that_is_none(server: Instance) -> None:
    assert server.ask("GET", "/logs/stream/nope").status == 400
    assert server.ask("GET", "/logs/stream/../../etc/passwd").status == 400


def test_the_configuration_is_edited_and_guarded(server: Instance) -> None:
    before = ok(server.ask("GET", "/api/config"))
    assert before["yaml"] == CONFIG
    changed = server.ask("PATCH", "/api/config/models/eins", {"ttl": 60, "name": None})
    assert ok(changed)["changes"]["soft"] == ["one"]
    now = ok(server.ask("GET", "/api/config"))
    assert "# a comment that stays" in now["yaml"]
    assert "ttl: 60" in now["yaml"]
    assert "The first" not in now["yaml"]
    stale = server.ask("PUT", "/api/config", {"yaml": CONFIG}, {"If-Match": before["hash"]})
    assert stale.status == 412
    assert server.ask("PUT", "/api/config", {"yaml": CONFIG}).status == 400
    bad = server.ask("PUT", "/api/config", {"yaml": "models:\n  a: {ttl: x}\n"}, {"If-Match": "*"})
    assert bad.status == 422
    assert bad.json["error"]["findings"][0]["line"] == 2
    assert ok(server.ask("GET", "/api/config"))["hash"] == now["hash"]
    names = [backup["name"] for backup in ok(server.ask("GET", "/api/config/backups"))["backups"]]
    assert ok(server.ask("GET", f"/api/config/backups/{names[0]}"))["yaml"] == CONFIG
    for name in ("..%2f..%2fetc%2fpasswd", "config.yaml", "..", names[0] + "x"):
        assert server.ask("GET", f"/api/config/backups/{name}").status in (404, 400), name
    back = server.ask("PUT", "/api/config", {"yaml": CONFIG}, {"If-Match": f'"{now["hash"]}"'})
    assert ok(back)["backup"]


def test_a_text_is_checked_without_being_used(server: Instance) -> None:
    good = ok(server.ask("POST", "/api/config/check", {"yaml": CONFIG.replace("ttl: 300", "ttl: 5")}))
    assert good["ok"]
    assert good["changes"]["soft"] == ["one"]
    slower = ok(server.ask("POST", "/api/config/check", {"yaml": f"healthCheckTimeout: 333\n{CONFIG}"}))
    assert slower["changes"]["settings"] == ["healthCheckTimeout"], "as in the file, and not as our programs call it"
    bad = ok(server.ask("POST", "/api/config/check", {"yaml": "modles: {}"}))
    assert bad["changes"] is None or bad["findings"]
    assert ok(server.ask("GET", "/api/config/schema"))["title"] == "ClaraCore configuration"


def test_a_model_is_added_and_taken_out_again(server: Instance) -> None:
    with streaming(server, "/api/stream?topics=models,config") as answer:
        stream = events(answer)
        added = ok(server.ask("PATCH", "/api/config/models/new", {"cmd": fake()}))
        assert added["changes"]["added"] == ["new"]
        until(stream, lambda type_, _: type_ == "models")
    assert server.chat("new").status == 200
    removed = ok(server.ask("DELETE", "/api/config/models/new"))
    assert removed["changes"]["removed"] == ["new"]
    assert server.ask("DELETE", "/api/config/models/new").status == 404
    assert ok(server.ask("GET", "/api/config"))["yaml"] == CONFIG


def test_ports_tell_who_has_them(server: Instance) -> None:
    loaded = ok(server.ask("POST", "/api/models/load/one"))
    report = ok(server.ask("GET", "/api/ports"))
    mine = next(row for row in report["ports"] if row["port"] == loaded["port"])
    assert (mine["model"], mine["state"]) == ("one", "serving")
    told = ok(server.ask("GET", f"/api/ports/{loaded['port']}"))
    assert '"one"' in told["sentence"]
    assert server.ask("GET", "/api/ports/70000").status == 400


def test_prometheus_reads_it(server: Instance) -> None:
    server.ask("POST", "/api/models/load/org/two")
    server.chat("one")
    text = server.ask("GET", "/metrics").body.decode()
    assert 'claracore_requests_total{model="one",status="200"}' in text
    assert 'claracore_model_state{model="one",state="ready"} 1' in text
    assert 'claracore_request_duration_seconds_bucket{model="one",le="+Inf"}' in text
    assert "claracore_stops_total{" in text
    assert 'claracore_port_conflicts_total{model="one"} ' in text, "how many, the machine decides"
    names = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    assert server.ask("GET", "/metrics?engines=1").status == 200


def test_the_dashboard_asks_for_metrics_that_are_there(server: Instance) -> None:
    text = server.ask("GET", "/metrics").body.decode()
    there = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"claracore_\w+", target["expr"])
    }
    wanted = {
        "restarts_total",
        "port_conflicts_total",
        "model_footprint_bytes",
        "device_other_bytes",
        "evictions_total",
    }
    assert {f"claracore_{name}" for name in wanted} <= asked <= there


def test_restarts_and_port_conflicts_are_counted(tmp_path: Path) -> None:
    ports = free_run(4)
    config = configured(tmp_path, f"startPort: {ports.start}\nmodels:\n  a: {{cmd: '{fake()}'}}\n")
    with stranger(ports[0], host="0.0.0.0"), instance(tmp_path, "--config", str(config)) as running:
        running.chat("a")
        with streaming(running, "/api/stream?topics=model") as answer:
            stream = events(answer)
            next(stream)
            psutil.Process(running.running()["a"]["pid"]).kill()
            until(stream, lambda type_, data: type_ == "model" and data["state"] == "stopped")
        running.chat("a")
        text = running.ask("GET", "/metrics").body.decode()
    assert 'claracore_port_conflicts_total{model="a"} 1' in text
    assert 'claracore_restarts_total{model="a",reason="died"} 1' in text
    assert 'claracore_failures_total{model="a",while="serving"} 1' in text


def test_old_clients_find_their_paths(server: Instance) -> None:
    server.ask("POST", "/api/models/load/one")
    server.chat("one")
    assert server.ask("GET", "/health").body == b"OK"
    probe = server.ask("HEAD", "/health")
    assert (probe.status, probe.body, probe.headers["Content-Length"]) == (200, b"", "2")
    assert server.ask("HEAD", "/unload").status == 405
    running = server.running()["one"]
    assert running.keys() >= {"model", "state", "cmd", "proxy", "ttl", "name", "description"}
    info = {row["model"]: row for row in ok(server.ask("GET", "/info"))["models"]}
    assert info["one"]["running"] is True
    assert info["one"]["port"].isdigit()
    rows = ok(server.ask("GET", "/api/metrics/activity?limit=2&sort=duration&order=asc"))
    assert rows["data"][0].keys() >= {"id", "timestamp", "model", "req_path", "tokens", "duration_ms", "has_capture"}
    assert server.ask("GET", "/api/metrics/activity?sort=at").status == 400
    assert isinstance(ok(server.ask("GET", "/api/metrics")), list)
    for column in ("time", "cached", "prompt", "generated", "drafted", "prompt_speed", "gen_speed", "req_path"):
        assert ok(server.ask("GET", f"/api/metrics/activity?sort={column}"))["data"]
    assert "draft_acc_tokens" in rows["data"][0]["tokens"]
    assert b'"ttl":300,' in server.ask("GET", "/running").body, "a whole number, without a point"
    stats = ok(server.ask("GET", "/api/metrics/stats?model=eins"))
    assert stats["total_requests"] >= 1
    assert stats.keys() >= {"prompt_histogram", "gen_histogram"}
    assert ok(server.ask("GET", "/api/system/specs"))["totalRAM"] > 0
    assert ok(server.ask("GET", "/api/system/detection"))["platform"] == "linux"
    assert ok(server.ask("GET", "/api/settings/system")) == {"settings": None}
    assert ok(server.ask("POST", "/api/settings/system", {"vramGB": 8, "apiKey": "x"})) == {"status": "saved"}
    assert ok(server.ask("GET", "/api/settings/system"))["settings"]["vramGB"] == 8
    assert b"apiKey" not in server.ask("GET", "/api/settings/system").body
    assert server.ask("POST", "/api/settings/system", {"vramGB": -1}).status == 400
    assert ok(server.ask("GET", "/api/version")).keys() == {"version", "claracore", "commit", "build_date"}
    assert server.ask("GET", "/unload").body == b"OK"
    assert server.running() == {}


def test_speeds_are_spread_over_bins_as_llama_swap_does_it() -> None:
    assert histogram([]) is None
    assert histogram([3.0, 3.0]) == {
        "bins": [2], "min": 3.0, "max": 3.0, "binSize": 0.0, "p50": 3.0, "p95": 3.0, "p99": 3.0
    }  # fmt: skip
    spread = histogram([float(number) for number in range(101)])
    assert spread is not None
    assert spread["bins"] == [13, 12, 13, 12, 13, 12, 13, 13]
    assert (spread["min"], spread["max"], spread["binSize"]) == (0.0, 100.0, 12.5)
    assert (spread["p50"], spread["p95"], spread["p99"]) == (50.0, 95.0, 99.0)
    assert len(histogram([1.0, 2.0])["bins"]) == 5  # type: ignore[index] # there are values


def test_old_clients_hear_events(server: Instance) -> None:
    with streaming(server, "/api/events") as answer:
        told: list[dict[str, Any]] = []
        server.chat("one")
        wanted = {"modelStatus", "logData", "uiConfig", "inflight", "activity", "metrics"}
        # A row of a request before this one may be among the first events: the state is waited for, too.
        while not (wanted <= {event["type"] for event in told} and _state_of("one", told) in {"starting", "ready"}):
            line = answer.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("data:"):
                told.append(json.loads(line[5:]))


def _state_of(model_id: str, told: list[dict[str, Any]]) -> str:
    """Return the state of a model by the last event that has it."""
    status = [json.loads(event["data"]) for event in told if event["type"] == "modelStatus"]
    return {model["id"]: model["state"] for model in status[-1]}[model_id] if status else ""


def test_clients_of_llama_cpps_router(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    assert ok(server.ask("POST", "/models/load", {"model": "eins"})) == {"success": True}
    states = set()
    while "loaded" not in states:
        rows = {row["id"]: row for row in ok(server.ask("GET", "/models"))["data"]}
        states.add(rows["one"]["status"]["value"])
    assert states <= {"unloaded", "loading", "loaded"}
    assert rows["eins"]["status"]["value"] == "loaded"
    assert server.ask("GET", "/props?model=one&autoload=false").status == 200
    refused = server.ask("GET", "/props?model=org/two&autoload=false")
    assert (refused.status, "not loaded" in refused.message) == (400, True)
    assert list(server.running()) == ["one"]
    for nothing in ("/props", "/props?model=", "/props?model=&autoload=false"):
        assert ok(server.ask("GET", nothing))["role"] == "router"
    assert ok(server.ask("POST", "/models/unload", {"model": "one"})) == {"success": True}
    assert server.ask("POST", "/models/load", {"model": "nope"}).status == 404
    assert ok(server.ask("GET", "/v1/models/eins"))["meta"]["llamaswap"]["type"] == "alias"


def test_setup_looks_and_writes(server: Instance, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    page = ok(server.ask("GET", f"/api/setup/browse?path={tmp_path}"))
    assert page["followed"] == []
    assert [folder["name"] for folder in page["folders"]] == ["sub"]
    assert server.ask("GET", "/api/setup/browse?path=/nope").status == 404
    assert server.ask("POST", "/api/setup/scan", {"folders": []}).status == 400
    assert server.ask("POST", "/api/setup/apply", {"folders": [""]}).status == 400
    for what in ("scan", "apply", "choices"):
        relative = server.ask("POST", f"/api/setup/{what}", {"folders": ["models"], "model": "m"})
        assert relative.status == 400
        assert b"no whole path" in relative.body
    found = server.ask("POST", "/api/setup/scan", {"folders": [str(tmp_path)]})
    assert ok(found)["models"] == []
    for name in ("a\0b", "a\ud800"):
        for what in ("scan", "apply", "choices"):
            answer = server.ask("POST", f"/api/setup/{what}", {"folders": [name], "model": "m"})
            assert answer.status in (400, 404), (what, name)


def test_nonsense_is_refused_in_the_envelope(server: Instance) -> None:
    for method, path, body, status in (
        ("GET", "/api/nope", None, 404),
        ("DELETE", "/api/models", None, 405),
        ("PUT", "/api/models/pin/one", {"pinned": "perhaps"}, 400),
        ("PUT", "/api/models/pin/one", b"{", 400),
        ("POST", "/api/requests/x/cancel", {}, 400),
        ("PUT", "/api/config", b"[" * 100_000, 400),
    ):
        answer = server.ask(method, path, body)
        assert answer.status == status, (path, answer.body)
        assert answer.message


def test_it_ends_at_once_although_people_watch(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as server, contextlib.ExitStack() as watching:
        answers = [
            watching.enter_context(streaming(server, path))
            for path in ("/api/stream", "/api/events", "/logs/stream", "/logs/stream/upstream")
        ]
        answers[0].readline()
        assert server.end() == 0


def test_captures_are_off_until_the_configuration_says_so(server: Instance) -> None:
    server.chat("one")
    assert server.ask("GET", "/api/captures/1").status == 404
    with streaming(server, "/api/stream?topics=activity") as answer:
        stream = events(answer)
        changed = CONFIG.replace("includeAliases", "captureBuffer: 1\nincludeAliases")
        assert server.ask("PUT", "/api/config", {"yaml": changed}, {"If-Match": "*"}).status == 200
        secret = {"x-api-key": "sk-their-own"}
        server.ask("POST", "/v1/chat/completions", {"model": "one", "messages": []}, secret)
        row = until(stream, lambda type_, data: type_ == "activity" and data["has_capture"])[-1][1]
    captured = ok(server.ask("GET", f"/api/captures/{row['id']}"))
    assert json.loads(b64decode(captured["req_body"])) == {"model": "one", "messages": []}
    assert "choices" in json.loads(b64decode(captured["resp_body"]))
    assert captured["req_headers"]["x-api-key"] == "[REDACTED]"
    assert captured["resp_status"] == 200
    assert captured["req_body_bytes"] == len(b64decode(captured["req_body"])) > 1
    assert "content-length" not in captured["req_headers"], "the gateway does not remember its number"
    raw = server.chat("one", stream=True)
    assert raw.headers["Transfer-Encoding"] == "chunked"
    streamed = ok(server.ask("GET", f"/api/captures/{row['id'] + 1}"))
    assert b64decode(streamed["resp_body"]) == raw.body, "without the sizes of its chunks"
    assert streamed["resp_body_bytes"] == len(raw.body)
    assert server.ask("PUT", "/api/config", {"yaml": CONFIG}, {"If-Match": "*"}).status == 200
    assert server.ask("GET", f"/api/captures/{row['id']}").status == 404


def test_who_resumes_hears_what_was_missed_also_at_the_second_try(server: Instance) -> None:
    with streaming(server, "/api/stream?topics=model") as answer:
        seen = int(answer.readline().removeprefix(b"id: "))
    server.ask("POST", "/api/models/unload")
    server.ask("POST", "/api/models/load/one")
    for _ in range(2):
        connection = server.connect()
        with contextlib.closing(connection):
            connection.request("GET", "/api/stream?topics=model", headers={"Last-Event-ID": str(seen)})
            answer = connection.getresponse()
            assert answer.readline() == b"id: %d\n" % seen, "hello does not say that the rest was heard"
            until(events(answer), lambda type_, data: type_ == "model" and data["state"] == "ready")


def test_a_key_for_an_alias_is_for_its_model(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    state = tmp_path / "state" / "claracore"
    text, _key = KeyFile(state).add("app", [Right.INFERENCE], models=["eins"])
    with instance(tmp_path) as running:
        header = {"Authorization": f"Bearer {text}"}
        wish = {"messages": [], "max_tokens": 1}
        assert [row["id"] for row in ok(running.ask("GET", "/v1/models", None, header))["data"]] == ["eins", "one"]
        assert running.ask("POST", "/v1/chat/completions", {"model": "one", **wish}, header).status == 200
        assert running.ask("POST", "/v1/chat/completions", {"model": "org/two", **wish}, header).status == 403


def test_who_loses_the_key_hears_and_learns_nothing_more(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as running:
        path = "/api/keys"
        boss = {"x-api-key": ok(running.ask("POST", path, {"name": "boss", "scopes": ["admin"]}))["key"]}
        wish = {"name": "ann", "scopes": ["read", "inference"], "models": ["one"]}
        ann = {"x-api-key": ok(running.ask("POST", path, wish, boss))["key"]}
        assert running.ask("GET", "/v1/models/eins", headers=ann).status == 200
        for name in ("org/two", "secret", "zzzzz"):
            refused = running.ask("GET", f"/v1/models/{name}", headers=ann)
            assert (refused.status, "known models: eins, one" in refused.message) == (404, True), refused.body
        unknown = running.ask("POST", "/v1/chat/completions", {"model": "zzzzz"}, ann)
        assert "known models: eins, one" in unknown.message

        def listen(stack: contextlib.ExitStack, path: str, key: dict[str, str]) -> HTTPResponse:
            connection = stack.enter_context(contextlib.closing(running.connect()))
            connection.request("GET", path, headers=key)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer

        with contextlib.ExitStack() as stack:
            streams = [listen(stack, path, ann) for path in ("/api/stream", "/api/events", "/logs/stream")]
            assert ok(running.ask("DELETE", "/api/keys/ann", headers=boss))["keys"]
            for stream in streams:
                stream.read()  # to its end
            assert running.ask("GET", "/api/stream", headers=ann).status == 401


def test_limits_of_a_key_are_seen_and_a_restart_forgets_no_tokens(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as running:
        boss = {"x-api-key": ok(running.ask("POST", "/api/keys", {"name": "boss", "scopes": ["admin"]}))["key"]}
        limits = {"tokens_per_day": 10, "requests_per_minute": 5}
        wish = {"name": "ann", "scopes": ["inference"], "limits": limits}
        ann = {"api-key": ok(running.ask("POST", "/api/keys", wish, boss))["key"]}
        chat = {"model": "one", "messages": [], "max_tokens": 8}
        answer = running.ask("POST", "/v1/chat/completions", chat, ann)
        assert answer.headers["x-ratelimit-remaining-requests"] == "4"
        taken = sum(answer.json["usage"][kind] for kind in ("prompt_tokens", "completion_tokens"))
        assert taken > 0
        (row,) = ok(running.ask("GET", "/api/activity?key=ann", headers=boss))["data"]
        assert (row["key"], row["model"]) == ("ann", "one")
        assert not ok(running.ask("GET", "/api/activity?key=bob", headers=boss))["data"]
        shown = {key["name"]: key for key in ok(running.ask("GET", "/api/keys", headers=boss))["keys"]}
        assert shown["ann"]["limits"] == {**limits, "concurrency": None}
        assert shown["ann"]["usage"] == {"requests": 1, "running": 0, "tokens_today": taken, "refused": {}}
        changed = ok(running.ask("PUT", "/api/keys/ann/limits", {"tokens_per_day": taken}, boss))
        assert changed["limits"] == {"tokens_per_day": taken, "requests_per_minute": None, "concurrency": None}
        assert running.ask("PUT", "/api/keys/ann/limits", {"tokens_per_day": 0}, boss).status == 400
        assert running.ask("PUT", "/api/keys/nobody/limits", {}, boss).status == 404
    with instance(tmp_path) as running:
        refused = running.ask("POST", "/v1/chat/completions", chat, ann)
        assert (refused.status, refused.json["error"]["param"]) == (429, "tokens_per_day")
        metrics = running.ask("GET", "/metrics", headers=boss).body.decode()
        assert 'claracore_key_refused_requests_total{key="ann",limit="tokens_per_day"} 1' in metrics
        assert f'claracore_key_tokens_today{{key="ann"}} {taken}' in metrics


class Ending:
    """A stream that only notes that it was ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def end(self) -> None:
        self.ended.set()


def test_a_stream_ends_with_the_time_of_its_key() -> None:
    async def conversation() -> None:
        open_streams, stream, other = OpenStreams(), Ending(), Ending()
        with open_streams.holding(stream, Grant("ann", expires_at=time.time() + 0.01)):
            await asyncio.wait_for(stream.ended.wait(), 60)
        with open_streams.holding(other, Grant("bob", expires_at=time.time() + 1e12)):
            pass
        open_streams.end_all()
        assert not other.ended.is_set()

    asyncio.run(conversation())


def test_a_stream_that_begins_while_claracore_stops_ends_too() -> None:
    async def conversation() -> None:
        open_streams, before, after = OpenStreams(), Ending(), Ending()
        with open_streams.holding(before, None):
            open_streams.close()
            assert before.ended.is_set()
        with open_streams.holding(after, None):
            assert after.ended.is_set()

    asyncio.run(conversation())


def test_a_configuration_with_the_same_keys_ends_no_stream(server: Instance) -> None:
    with streaming(server, "/api/stream?topics=config,model") as answer:
        stream = events(answer)
        next(stream)
        assert server.ask("POST", "/api/config/reload").status == 200
        server.ask("POST", "/api/models/unload")
        server.chat("one")
        until(stream, lambda type_, data: type_ == "model" and data["state"] == "ready")


@pytest.mark.skipif(not MODELS.is_dir(), reason="the real models are not here")
def test_setup_writes_what_it_found(tmp_path: Path) -> None:
    configured(tmp_path, f"models:\n  mine:\n    cmd: '{fake()}'\n")
    with instance(tmp_path) as server:
        wish = {"folders": [str(MODELS)]}
        found = ok(server.ask("POST", "/api/setup/scan", wish))
        ids = [model["id"] for model in found["models"]]
        assert len(ids) == 2, found
        assert all(model["fit"] and model["reasons"] for model in found["models"])
        assert "mine:" in found["yaml"]
        assert found["diff"].startswith("---")
        assert [model["known"] for model in found["models"]] == [False, False]
        some = ok(server.ask("POST", "/api/setup/scan", {**wish, "models": ids[:1]}))
        assert f"{ids[0]}:" in some["diff"]
        assert f"{ids[1]}:" not in some["yaml"]
        stale = server.ask("POST", "/api/setup/apply", {**wish, "hash": "0" * 64})
        assert stale.status == 412
        done = ok(server.ask("POST", "/api/setup/apply", {**wish, "models": ids[:1], "hash": found["hash"]}))
        assert done["changes"]["added"] == ids[:1]
        listed = [model["id"] for model in ok(server.ask("GET", "/api/models"))["models"]]
        assert sorted(listed) == sorted([ids[0], "mine"])
