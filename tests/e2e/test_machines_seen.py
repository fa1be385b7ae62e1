"""What the first machine shows of the models of another one: their logs, memory, requests and counts."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.instance import fake, until
from e2e.joined import Joined, one_joined
from e2e.ports import claracore

LINE = "printed on the node"
MODELS = f"""\
models:
  x: {{cmd: 'sh -c "echo {LINE}; exec {fake()}"'}}
  hangs: {{cmd: '{fake("--hang", "answer")}', timeouts: {{responseHeader: 1}}}}
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    with one_joined(tmp_path_factory.mktemp("seen"), MODELS) as found:
        yield found


@pytest.mark.parametrize("name", ["desk/x", "x"])
def test_a_log_is_asked_for_where_it_is(stand: Joined, name: str) -> None:
    shown = stand.ask("head", "GET", f"/api/logs?source={name}&lines=1000").json
    assert shown["source"] == "desk/x"
    assert LINE in [line["text"] for line in shown["lines"]]
    typed = claracore(stand.head.folder, "logs", name, "--url", stand.head.url)
    assert LINE in typed.stdout.splitlines()


def follow(stand: Joined) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = stand.head.connect()
    connection.request("GET", "/logs/stream/desk/x")
    return connection, connection.getresponse()


def test_a_log_is_followed_where_it_is(stand: Joined) -> None:
    connection, answer = follow(stand)
    with closing(connection):
        assert answer.status == 200
        while answer.readline().decode().rstrip("\n") != LINE:
            pass
        assert stand.ask("node", "POST", "/api/models/unload/x").status == 200
        assert stand.head.chat("x").status == 200
        while answer.readline().decode().rstrip("\n") != LINE:
            pass


def running_there(stand: Joined) -> list[str]:
    return [row["model"] for row in stand.ask("node", "GET", "/running").json["running"]]


def test_a_machine_that_has_joined_lets_its_head_unload(stand: Joined) -> None:
    assert stand.head.chat("desk/x").status == 200
    assert running_there(stand) == ["x"]
    typed = claracore(stand.head.folder, "unload", "desk/x", "--url", stand.head.url)
    assert (typed.returncode, typed.stdout) == (0, "unloaded desk/x\n"), typed
    assert running_there(stand) == []
    until(lambda: "desk/x" not in stand.head.running())
    assert stand.head.chat("desk/x").status == 200


def ready_at_once(stand: Joined) -> bool:
    assert stand.ask("node", "POST", "/api/models/unload/x").status == 200
    until(lambda: "desk/x" not in stand.head.running())
    assert stand.head.chat("desk/x").status == 200
    return bool(stand.head.running().get("desk/x", {}).get("state") == "ready")


def test_a_model_that_has_answered_is_ready_at_once(stand: Joined) -> None:
    # A look that was under way may say otherwise for a moment.
    assert any(ready_at_once(stand) for _ in range(3))


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_hangs_ends_as_its_own_machine_says(stand: Joined, stream: bool) -> None:  # noqa: FBT001
    answer = stand.head.chat("desk/hangs", stream=stream)
    assert answer.status == 504
    assert "the server of model 'hangs' did not begin to answer within 1 s" in answer.message
    assert (stand.node() or {}).get("state") == "up"


def test_a_model_of_another_machine_takes_no_memory_of_this_one(stand: Joined) -> None:
    assert stand.head.chat("x").status == 200
    until(lambda: bool(stand.head.running().get("desk/x", {}).get("state") == "ready"))
    devices = stand.ask("head", "GET", "/api/memory").json["devices"]
    assert [row["model"] for device in devices for row in device["models"]] == []
    assert "desk/x" in claracore(stand.head.folder, "ps", "--url", stand.head.url).stdout
    seen = {
        row["model"] for device in stand.ask("node", "GET", "/api/memory").json["devices"] for row in device["models"]
    }
    assert seen <= {"x"}


def test_a_request_is_in_the_activity_with_the_machine_that_answered(stand: Joined) -> None:
    def nodes(who: str, model: str) -> set[str | None]:
        return {row["node"] for row in stand.ask(who, "GET", f"/api/activity?model={model}").json["data"]}

    assert stand.head.chat("x").status == 200
    until(lambda: nodes("head", "desk/x") == {"desk"})
    until(lambda: nodes("node", "x") == {None})


@pytest.mark.parametrize("own", ["job-7:a.b_c", None, "two words", "x" * 200, "\u00fc"])
def test_a_request_has_the_same_id_in_the_activity_of_both(stand: Joined, own: str | None) -> None:
    def ids(who: str) -> list[str]:
        return [row["request_id"] for row in stand.ask(who, "GET", f"/api/activity?q={given}").json["data"]]

    headers = {} if own is None else {"X-Request-Id": own.encode("utf-8").decode("latin-1")}
    answer = stand.head.ask("POST", "/v1/chat/completions", {"model": "x", "messages": []}, headers)
    assert answer.status == 200
    given = answer.headers["X-Request-Id"]
    assert given == own if own is not None and own.startswith("job") else re.fullmatch("[0-9a-f]{16}", given)
    until(lambda: ids("head") == [given])
    until(lambda: ids("node") == [given])


def test_counts_of_another_machine_name_it(stand: Joined) -> None:
    def samples(who: str) -> list[str]:
        lines = stand.ask(who, "GET", "/metrics").body.decode().splitlines()
        return [line for line in lines if line.startswith(("claracore_requests_total{", "claracore_model_state{"))]

    sample = 'claracore_requests_total{model="desk/x",status="200",node="desk"} '
    until(lambda: any(line.startswith(sample) for line in samples("head")))
    assert 'claracore_model_state{model="z",state="stopped"} 1' in samples("head")
    assert [line for line in samples("node") if "node=" in line] == []


def test_a_machine_that_dies_ends_what_follows_its_log(stand: Joined) -> None:
    connection, answer = follow(stand)
    with closing(connection):
        assert answer.readline()
        stand.running["node"].process.kill()
        stand.running["node"].process.wait()
        assert answer.read().decode().endswith("machine 'desk' sends no more\n")
    until(lambda: (stand.node() or {}).get("state") == "lost")
    refused = stand.ask("head", "GET", "/api/logs?source=desk/x")
    assert refused.status == 502
    assert "machine 'desk' could not be asked for the log of 'x'" in refused.message
