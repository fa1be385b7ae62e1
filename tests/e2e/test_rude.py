"""Servers that crash, hang, ignore signals and lose their ports; clients that leave, lie and send too much."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from e2e.instance import Instance, configured, fake, gone, instance
from fakes.ports import free_port, free_run

CONFIG = f"""
startPort: {free_run(16).start}
healthCheckTimeout: 15
unloadTimeout: 1
models:
  good: {{cmd: '{fake()}', aliases: [fine]}}
  other: {{cmd: '{fake()}'}}
  crashing: {{cmd: '{fake("--print", "out of memory on device 0", "--crash", "start")}'}}
  dying: {{cmd: '{fake("--crash", "answer")}'}}
  missing: {{cmd: '/no/such/llama-server --port ${{PORT}}'}}
  deaf: {{cmd: '{fake("--ignore-sigterm")}'}}
  unlucky: {{cmd: '{fake("--bind-error")}'}}
  single: {{cmd: '{fake()}', concurrencyLimit: 1, queue: {{limit: 1}}}}
  slow: {{cmd: '{fake("--hang", "health")}', healthCheckTimeout: 1}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("rude")
    with instance(folder, "--config", str(configured(folder, CONFIG))) as running:
        yield running


def upstream(served: Instance, model: str) -> http.client.HTTPConnection:
    """Open a connection to a model's server itself, beside ClaraCore."""
    return http.client.HTTPConnection(urlsplit(served.running()[model]["proxy"]).netloc, timeout=60)


def wait_for(served: Instance, model: str, key: str, at_least: int | None = None, at_most: int | None = None) -> None:
    connection = upstream(served, model)
    bound = f"at_least={at_least}" if at_least is not None else f"at_most={at_most}"
    connection.request("GET", f"/control/wait?key={key}&{bound}")
    assert connection.getresponse().status == 200
    connection.close()


# --- servers ----------------------------------------------------------------------------------------------------------


def test_a_server_that_dies_at_once_is_told_with_its_exit_code_and_last_words(served: Instance) -> None:
    answer = served.chat("crashing")
    assert answer.status == 502
    assert answer.json["error"]["code"] == "model_failed"
    assert "exit code 3" in answer.message
    assert "out of memory on device 0" in answer.message


def test_a_command_that_does_not_exist_is_named(served: Instance) -> None:
    answer = served.chat("missing")
    assert answer.status == 502
    assert "/no/such/llama-server" in answer.message


def test_a_server_that_dies_amid_a_stream_ends_it_with_an_error_event(served: Instance) -> None:
    answer = served.chat("dying", stream=True)
    assert answer.status == 200
    assert b"event: error" in answer.body or b'"error"' in answer.body
    assert b"[DONE]" not in answer.body
    assert served.chat("good").status == 200


def test_a_server_that_never_becomes_ready_is_given_up(served: Instance) -> None:
    answer = served.chat("slow")
    assert answer.status == 504
    assert "not ready within 1 s" in answer.message


def test_a_server_that_can_never_bind_is_tried_on_other_ports_and_then_given_up(served: Instance) -> None:
    answer = served.chat("unlucky")
    assert answer.status == 502
    assert "no port could be bound" in answer.message
    assert served.line("trying the next")


def test_a_server_that_ignores_sigterm_is_ended_all_the_same(served: Instance) -> None:
    assert served.chat("deaf").status == 200
    pid = served.running()["deaf"]["pid"]
    process = psutil.Process(pid)
    assert served.ask("POST", "/api/models/unload/deaf").status == 200
    assert not process.is_running()


def test_a_crash_of_an_idle_server_is_seen_at_once_and_the_next_request_starts_it_again(served: Instance) -> None:
    assert served.chat("good").status == 200
    before = served.running()["good"]
    psutil.Process(before["pid"]).kill()
    assert served.line("killed by SIGKILL")
    assert served.chat("good").status == 200
    after = served.running()["good"]
    assert after["pid"] != before["pid"]
    assert after["port"] == before["port"]


def test_a_port_that_a_stranger_takes_is_left_to_the_stranger(tmp_path: Path) -> None:
    first = free_run(2).start
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first))
        stranger.listen()
        config = configured(tmp_path, f"startPort: {first}\nmodels:\n  good: {{cmd: '{fake()}'}}\n")
        with instance(tmp_path, "--config", str(config)) as running:
            assert running.line(f"{first} is taken by")
            assert running.chat("good").status == 200
            assert running.running()["good"]["port"] == first + 1


# --- clients ----------------------------------------------------------------------------------------------------------


def test_a_client_that_leaves_ends_its_upstream_request(served: Instance) -> None:
    connection = served.connect()
    body = {"model": "good", "stream": True, "messages": [], "fake": {"chunks": 5, "hold_after": 1}}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    assert connection.getresponse().readline()
    wait_for(served, "good", "held", at_least=1)
    connection.close()
    wait_for(served, "good", "aborted", at_least=1)


def test_a_request_that_waits_for_its_turn_is_served_and_one_too_many_is_refused(served: Instance) -> None:
    assert served.chat("single").status == 200
    hold = {"fake": {"hold_head": True}}
    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.chat, "single", **hold)
        wait_for(served, "single", "held", at_least=1)
        second = pool.submit(served.chat, "single")
        while served.running()["single"]["waiting"] < 1:
            pass  # each turn is a request answered by the server: it ends as soon as the second one has arrived
        third = served.chat("single")
        assert third.status == 503
        assert third.json["error"]["code"] == "queue_full"
        assert "Retry-After" in third.headers
        connection = upstream(served, "single")
        connection.request("POST", "/control/release?count=9")
        assert connection.getresponse().status == 200
        connection.close()
        assert first.result().status == 200
        assert second.result().status == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"{}", {}, 400, "model"),
        (b'{"model": ', {}, 400, "JSON"),
        (b"", {}, 400, "JSON"),
        (b'{"model": 7}', {}, 400, "'model' must be a string"),
        (b'{"model": []}', {}, 400, "'model' must be a string"),
        (b'["model"]', {}, 400, ""),
        (b'{"model": "godo"}', {}, 404, "good"),
        (b'{"model": "good"}', {"Content-Type": "image/png"}, 200, ""),
        (b"\xff\xfe\x00", {}, 400, ""),
    ],
)
def test_bad_bodies_get_a_clear_answer(
    served: Instance, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = served.ask("POST", "/v1/chat/completions", body, headers)
    assert answer.status == status, answer.body
    if status != 200:
        assert says.lower() in answer.message.lower()


def test_a_body_of_100_megabytes_passes(served: Instance) -> None:
    body = b'{"model": "good", "pad": "' + b"x" * 100_000_000 + b'"}'
    assert served.ask("POST", "/v1/chat/completions", body).status == 200


def test_it_keeps_serving_while_many_ask_for_different_models_at_once(served: Instance) -> None:
    with ThreadPoolExecutor(16) as pool:
        names = ["good", "other", "fine", "single"] * 6
        statuses = [answer.status for answer in pool.map(served.chat, names)]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 18


# --- the beginning ---------------------------------------------------------------------------------------------------


def test_without_anything_it_begins_empty_and_says_where_models_come_from(tmp_path: Path) -> None:
    with instance(tmp_path) as running:
        assert running.line("no models yet").endswith("--models-folder DIR")
        assert running.ask("GET", "/v1/models").json["data"] == []
        assert "no models are configured" in running.chat("any").message


def test_a_configuration_that_was_named_but_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "claracore", "--config", "nope.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("claracore: there is no nope.yaml")
    assert not (tmp_path / "nope.yaml").exists()


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_stream_under_way_may_end_before_claracore_does(tmp_path: Path) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  good: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        connection = running.connect()
        body = {"model": "good", "stream": True, "messages": [], "fake": {"chunks": 3, "hold_after": 1}}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        stream = connection.getresponse()
        assert stream.readline()
        wait_for(running, "good", "held", at_least=1)
        control = upstream(running, "good")
        children = running.children()
        running.process.send_signal(signal.SIGTERM)
        running.line("ending")
        control.request("POST", "/control/release?count=9")
        assert control.getresponse().status == 200
        control.close()
        assert stream.read().rstrip().endswith(b"data: [DONE]")
        connection.close()
        assert running.process.wait(60) == 0
        assert gone(children)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  good: {{cmd: '{fake()}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:
        connection = running.connect()
        body = {"model": "good", "stream": True, "messages": [], "fake": {"chunks": 3, "hold_after": 1}}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        assert connection.getresponse().readline()
        children = running.children()
        running.process.send_signal(signal.SIGTERM)
        running.line("ending")
        assert running.end(signal.SIGTERM) == 0
        connection.close()
        assert gone(children)


def test_killed_in_the_middle_of_a_start_it_leaves_nothing(tmp_path: Path) -> None:
    config = configured(tmp_path, f"startPort: {free_port()}\nmodels:\n  slow: {{cmd: '{fake('--loading')}'}}\n")
    with instance(tmp_path, "--config", str(config)) as running:

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                running.chat("slow")

        asking = threading.Thread(target=ask)
        asking.start()
        while not running.running().get("slow", {}).get("pid"):
            pass  # each turn is a request answered by the server
        children = running.children()
        assert running.end(signal.SIGKILL) == -9
        assert gone(children)
        asking.join()
