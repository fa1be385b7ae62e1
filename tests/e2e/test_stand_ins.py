"""Names that stand for others: selectors, profiles, and the models of a peer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_port, free_run

TEXT = f"""\
startPort: {free_run(8).start}
groups:
  together: {{swap: false, members: [a, b]}}
models:
  a: {{cmd: '{fake()}'}}
  b: {{cmd: '{fake()}', aliases: [bee]}}
  alone: {{cmd: '{fake()}'}}
selectors:
  auto: {{strategy: warm, targets: [a, b], name: Auto, metadata: {{team: x}}}}
  hidden: {{targets: [a], unlisted: true}}
profiles:
  coding: {{description: For work, pins: {{gpt-4: b, alone: auto, a: null}}}}
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path, "--config", str(configured(tmp_path, TEXT))) as running:
        yield running


def rows(served: Instance) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in served.ask("GET", "/v1/models").json["data"]}


def test_a_selector_prefers_what_is_loaded(served: Instance) -> None:
    listed = rows(served)
    assert set(listed) == {"a", "b", "alone", "auto"}
    rule = {"type": "selector", "strategy": "warm", "targets": ["a", "b"]}
    assert listed["auto"]["meta"] == {"llamaswap": {**rule, "team": "x"}}
    assert (listed["auto"]["name"], listed["auto"]["status"]) == ("Auto", {"value": "unloaded"})
    assert served.chat("bee").status == 200
    assert served.chat("auto").status == 200
    assert set(served.running()) == {"b"}
    assert rows(served)["auto"]["status"] == {"value": "loaded"}
    assert served.ask("GET", "/v1/models/auto").json["id"] == "auto"
    assert {row["id"] for row in served.ask("GET", "/models").json["data"]} == set(listed)
    activity = served.ask("GET", "/api/activity").json["data"][0]
    assert (activity["model"], activity["requested"]) == ("b", "auto")
    below = served.ask("GET", "/upstream/auto/health")
    assert below.status == 404


def test_a_profile_holds_while_it_is_active(served: Instance) -> None:
    refused = served.chat("gpt-4")
    assert (refused.status, refused.message) == (
        404,
        "model 'gpt-4' cannot be used: it is a pin of profile 'coding', which is not active",
    )
    profiles = served.ask("GET", "/api/profiles").json
    pins = {"gpt-4": "b", "alone": "auto", "a": None}
    coding = {"id": "coding", "name": "coding", "description": "For work", "pins": pins}
    assert profiles == {"active": None, "profiles": [coding]}
    assert served.ask("PUT", "/api/profiles/active", {"name": "codign"}).status == 404
    assert served.ask("PUT", "/api/profiles/active", {}).status == 400
    assert served.ask("PUT", "/api/profiles/active", {"name": "coding"}).json["active"] == "coding"
    assert served.chat("gpt-4").status == 200
    assert served.chat("alone").status == 200
    assert set(served.running()) == {"b"}
    assert rows(served)["gpt-4"]["meta"] == {"llamaswap": {"type": "profile"}}
    hidden = served.chat("a")
    assert (hidden.status, hidden.message) == (404, "model 'a' cannot be used: the active profile 'coding' hides it")
    assert served.ask("GET", "/upstream/gpt-4/health").status == 200
    assert served.ask("GET", "/upstream/a/health").status == 404
    configured(served.folder, TEXT + "logLevel: info\n")
    assert served.ask("POST", "/api/config/reload").status == 200
    assert served.ask("GET", "/api/profiles").json["active"] == "coding"
    configured(served.folder, TEXT.partition("profiles:")[0])
    assert served.ask("POST", "/api/config/reload").status == 200
    assert served.ask("GET", "/api/profiles").json == {"active": None, "profiles": []}
    assert served.chat("a").status == 200


JSON = {"Content-Type": "application/json"}
PEER = f"""\
startPort: {free_port()}
apiKeys: [theirs]
models:
  large: {{cmd: '{fake()}', aliases: [other]}}
"""


def test_models_of_a_peer(tmp_path: Path) -> None:
    for name in ("far", "here"):
        (tmp_path / name).mkdir()
    with instance(tmp_path / "far", "--config", str(configured(tmp_path / "far", PEER))) as far:
        text = f"""\
startPort: {free_port()}
apiKeys: [ours]
models:
  mine: {{cmd: '{fake()}'}}
peers:
  box: {{proxy: {far.url}, models: [large, other], apiKey: theirs, filters: {{setParams: {{seed: 7}}}}}}
hooks: {{on_startup: {{preload: [box/large]}}}}
"""
        with instance(tmp_path / "here", "--config", str(configured(tmp_path / "here", text))) as here:
            ours = {"Authorization": "Bearer ours"}
            row = next(
                row for row in here.ask("GET", "/v1/models", None, ours).json["data"] if row["id"] == "box/large"
            )
            assert (row["name"], row["meta"]["llamaswap"]["type"]) == ("box: large", "peer")
            mine = {"model": "mine", "messages": []}
            assert here.ask("POST", "/v1/chat/completions", mine, ours).status == 200
            for name in ("large", "box/large"):
                wish = {"model": name, "messages": [], "seed": 1}
                answer = here.ask("POST", "/v1/chat/completions", wish, {**ours, "X-Mine": "1"})
                assert answer.status == 200, answer.body
                seen = dict(answer.json["echo"]["headers"])
                sent = json.dumps({"model": "large", "messages": [], "seed": 7}).encode()
                assert answer.json["echo"]["body_bytes"] == len(sent)
                assert seen["X-Mine"] == "1"
                assert "ours" not in str(seen)
                # What the peer adds for its own model server speaks of us, as its client.
                assert seen["X-Forwarded-For"] == "127.0.0.1"
            running = {row["model"] for row in here.ask("GET", "/running", None, ours).json["running"]}
            assert running == {"mine"}  # what the peer has loaded by now is not known
            activity = here.ask("GET", "/api/activity", None, ours).json["data"][0]
            assert (activity["model"], activity["requested"], activity["status"]) == ("box/large", "box/large", 200)
            voices = here.ask("GET", "/v1/audio/voices?x=1&model=box%2Flarge", None, ours)
            assert (voices.status, voices.json["path"]) == (200, "/v1/audio/voices?x=1&model=large")
            stream = here.connect()
            with contextlib.closing(stream):
                orders = {"model": "other", "stream": True, "fake": {"chunks": 3, "hold_after": 1}}
                stream.request("POST", "/v1/chat/completions", json.dumps(orders), {**ours, **JSON})
                held = stream.getresponse()
                assert held.readline().startswith(b"data:")
                running = {row["model"] for row in here.ask("GET", "/running", None, ours).json["running"]}
                assert running == {"mine", "box/other"}  # it answers, and none has to go for the other
                # The same server serves both, and nothing is stopped there.
                assert here.ask("POST", "/api/models/unload/box/large", None, ours).status == 200
                far.ask("POST", "/upstream/large/control/release", None, {"Authorization": "Bearer theirs"})
                assert b"[DONE]" in held.read()


def test_a_key_for_one_target_of_a_selector_gets_that_one(served: Instance) -> None:
    first = served.ask("POST", "/api/keys", {"name": "me", "scopes": ["admin", "inference"]})
    mine = {"Authorization": f"Bearer {first.json['key']}"}
    made = served.ask("POST", "/api/keys", {"name": "small", "scopes": ["inference"], "models": ["a"]}, mine)
    assert made.status == 200, made.body
    key = {"Authorization": f"Bearer {made.json['key']}"}
    wish = {"model": "auto", "messages": []}
    assert served.ask("POST", "/v1/chat/completions", {"model": "b", "messages": []}, mine).status == 200
    assert served.ask("POST", "/v1/chat/completions", {"model": "b", "messages": []}, key).status == 403
    assert served.ask("POST", "/v1/chat/completions", wish, key).status == 200
