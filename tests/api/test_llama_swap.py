"""Clients of llama-swap read what they know: names, keys and types as its own server has them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

TEXT = f"""
includeAliasesInList: true
startPort: {free_run(8).start}
performance: {{every: 5s}}
ui: {{activity: {{session_id: [" X-Task ", X-Request-Id]}}}}
groups: {{all: {{swap: false, members: [a, b]}}}}
routing: {{scheduler: {{settings: {{fifo: {{priority: {{a: 3}}}}}}}}}}
models:
  a:
    cmd: '{fake()}'
    name: on ${{PORT}}
    aliases: [ay]
    metadata: {{type: mine, team: x}}
    capabilities: {{in: [text, image], out: [text], tools: true, context: 4096}}
  b: {{cmd: '{fake()}'}}
selectors:
  warmed: {{strategy: warm, targets: [b, ay], metadata: {{strategy: mine}}}}
  shared: {{strategy: spillover, targets: [a, b], settings: {{spillover: 2}}}}
  first: {{strategy: pin, targets: [a, b, a]}}
profiles:
  day: {{pins: {{gpt-4: warmed}}}}
peers:
  box: {{proxy: "http://127.0.0.1:9", models: [large]}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("llama-swap")
    configured(folder, TEXT)
    with instance(folder) as running:
        yield running


def listed(server: Instance) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in server.ask("GET", "/v1/models").json["data"]}


def test_the_list_of_models(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    rows = listed(server)
    assert set(rows) == {"a", "ay", "b", "box/large", "warmed", "shared", "first"}
    meta = {name: row["meta"]["llamaswap"] for name, row in rows.items()}
    assert meta == {
        "a": {"type": "model", "team": "x", "aliases": ["ay"]},
        "ay": {"type": "alias", "team": "x", "modelID": "a"},
        "b": {"type": "model"},
        "box/large": {"type": "peer", "peerID": "box"},
        "warmed": {"type": "selector", "strategy": "warm", "targets": ["b", "ay"]},
        "shared": {"type": "selector", "strategy": "spillover", "targets": ["a", "b"], "spillover": 2},
        "first": {"type": "selector", "strategy": "pin", "targets": ["a", "b", "a"]},
    }
    assert (rows["a"]["meta"]["n_ctx"], rows["ay"]["meta"]["n_ctx"], "n_ctx" in rows["b"]["meta"]) == (
        4096,
        4096,
        False,
    )
    assert rows["a"]["name"].startswith("on ")
    assert rows["a"]["name"][3:].isdigit()
    assert server.ask("GET", "/v1/models/large").json["id"] == "large"  # may be called all the same


def test_of_a_pin_only_the_first_target_says_that_it_is_loaded(server: Instance) -> None:
    server.ask("POST", "/api/models/unload")
    server.chat("b")
    status = {name: row["status"]["value"] for name, row in listed(server).items()}
    assert status["first"] == "unloaded"
    assert (status["warmed"], status["shared"], status["b"]) == ("loaded", "loaded", "loaded")


def test_profiles(server: Instance) -> None:
    profiles = server.ask("GET", "/api/profiles").json["profiles"]
    assert profiles == [{"id": "day", "name": "day", "description": "", "pins": {"gpt-4": "warmed"}}]
    for none in (None, ""):
        assert server.ask("PUT", "/api/profiles/active", {"name": "day"}).json["active"] == "day"
        assert listed(server)["gpt-4"]["meta"]["llamaswap"] == {"type": "profile"}  # a pin to a selector
        assert server.ask("PUT", "/api/profiles/active", {"name": none}).json["active"] is None
    assert server.ask("PUT", "/api/profiles/active", {"name": " "}).status == 404
    assert server.ask("PUT", "/api/profiles/active", {"name": 1}).status == 400


def activity(server: Instance) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("GET", "/api/metrics/activity?limit=1").json["data"][0]
    return found


def test_activity(server: Instance) -> None:
    timings = {"prompt_n": 5, "cache_n": 20, "predicted_n": 3, "prompt_per_second": 10.0, "predicted_per_second": 7.5}
    wish = {"model": "warmed", "messages": [], "fake": {"timings": timings}}
    server.ask("POST", "/api/models/unload")
    assert server.chat("a").status == 200
    assert server.ask("POST", "/v1/chat/completions", wish, {"X-TASK": " seven "}).status == 200
    row = activity(server)
    assert (row["model"], row["metadata"]) == ("a", {"selector": "warmed", "fifo_priority": "3"})
    ours = server.ask("GET", "/api/activity?q=seven").json["data"]
    assert [(each["model"], each["session"], each["selector"], each["priority"]) for each in ours] == [
        ("a", "seven", "warmed", 3)
    ]
    for own in ({}, {"X-Request-Id": "job-1"}):
        assert server.ask("POST", "/v1/chat/completions", wish, own).status == 200
    [mine, nobodys, _] = server.ask("GET", "/api/activity?limit=3").json["data"]
    assert (mine["session"], mine["request_id"], nobodys["session"]) == ("job-1", "job-1", None)
    assert server.ask("POST", "/v1/embeddings", {"model": "b", "input": "x"}).status == 200
    assert activity(server)["metadata"] == {"fifo_priority": "0"}


def test_the_machine(server: Instance) -> None:
    with streaming(server, "/api/stream?topics=performance") as lines:
        next(line for line in lines if line.startswith("event: performance"))
    seen = server.ask("GET", "/api/performance").json
    newest = seen["sys_stats"][-1]
    assert newest.keys() == {
        *("timestamp", "cpu_util_per_core", "mem_total_mb", "mem_used_mb", "mem_free_mb", "swap_total_mb"),
        *("swap_used_mb", "load_avg_1", "load_avg_5", "load_avg_15", "net_io"),
    }
    assert newest["cpu_util_per_core"]
    assert 0 <= newest["mem_total_mb"] - newest["mem_used_mb"] - newest["mem_free_mb"] <= 1  # each rounded down
    assert len(seen["sys_stats"]) == len(seen["samples"])
    assert isinstance(seen["gpu_stats"], list)
    later = server.ask("GET", "/api/performance?after=2999-01-01T00:00:00Z").json
    assert (later["enabled"], later["sys_stats"], later["samples"]) == (True, [], [])
    assert server.ask("GET", "/api/performance?after=2020-01-01T00:00:00%2B02:00").json["sys_stats"]
    assert server.ask("GET", "/api/performance?after=yesterday").status == 400
    text = server.ask("GET", "/metrics?names=llama-swap").body.decode()
    for family in ('llamaswap_cpu_util_percent{core="0"} ', "llamaswap_memory_used_bytes ", "claracore_build_info{"):
        assert f"\n{family}" in text
    assert '\nllamaswap_load_average{interval="15m"} ' in text
    assert '\nllamaswap_network_bytes_total{interface="all",direction="recv"} ' in text
    server.chat("b")
    counted = server.ask("GET", "/metrics?names=llama-swap").body.decode()
    assert re.search(r'\nllamaswap_model_requests_total\{model="b"\} [1-9]', counted)
    assert re.search(r'\nllamaswap_model_output_tokens_total\{model="b"\} [0-9]', counted)
    assert "llamaswap_" not in server.ask("GET", "/metrics").body.decode()
    assert server.ask("GET", "/metrics?names=other").status == 400


@contextlib.contextmanager
def streaming(server: Instance, path: str) -> Iterator[Iterator[str]]:
    connection = server.connect()
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        yield iter(lambda: answer.readline().decode(), "")


def told(lines: Iterator[str], type_: str, wanted: Callable[[Any], bool]) -> Any:
    """Return the first event of a type that is as wanted."""
    for line in lines:
        if line.startswith("data:"):
            event = json.loads(line[5:])
            data = json.loads(event["data"])
            if event["type"] == type_ and wanted(data):
                return data
    raise AssertionError("the stream has ended")


def test_requests_in_flight(server: Instance) -> None:
    with streaming(server, "/api/events") as lines:
        told(lines, "inflight", lambda data: data == {"operation": "snapshot", "requests": []})
        stream = server.connect()
        with contextlib.closing(stream):
            headers = {
                "Authorization": "Bearer sk-1",
                "X-Api-Key": "sk-2",
                "X-Secret": "3",
                "X-Task": "t",
                "Content-Type": "application/json",
            }
            orders = {"model": "first", "stream": True, "fake": {"chunks": 3, "hold_after": 1}}
            stream.request("POST", "/v1/chat/completions", json.dumps(orders), headers)
            upsert = told(lines, "inflight", lambda data: data["operation"] == "upsert")["request"]
            assert upsert.keys() == {
                *("id", "timestamp", "model", "req_path", "method", "req_headers", "remote_ip", "resp_headers"),
                *("resp_bytes", "elapsed_ms", "metadata"),
            }
            assert (upsert["req_path"], upsert["method"]) == ("/v1/chat/completions", "POST")
            assert (upsert["model"], upsert["remote_ip"]) == ("a", "127.0.0.1")
            assert upsert["metadata"] == {"selector": "first", "fifo_priority": "3"}
            masked = {
                name: upsert["req_headers"][name] for name in ("Authorization", "X-Api-Key", "X-Secret", "X-Task")
            }
            assert masked == {**dict.fromkeys(masked, "[REDACTED]"), "X-Task": "t"}
            assert "X-Request-Id" not in upsert["req_headers"], "the client has sent none"
            assert upsert["elapsed_ms"] >= 0
            assert server.ask("POST", f"/api/inflight/{upsert['id']}/cancel").status == 200
            told(lines, "inflight", lambda data: data == {"operation": "remove", "id": upsert["id"]})


def test_model_status(server: Instance) -> None:
    with streaming(server, "/api/events") as lines:
        rows = {row["id"]: row for row in told(lines, "modelStatus", bool)}
    assert rows["a"]["capabilities"]["vision"] is True
    assert "capabilities" not in rows["b"]
    assert (rows["box/large"]["peerID"], rows["box/large"]["state"]) == ("box", "stopped")
