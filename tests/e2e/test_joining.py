"""A machine joins another one by one line, stays joined over restarts of both, is drained and forgotten."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.instance import WAIT_SECONDS, fake, until
from e2e.joined import NONE, Joined, X
from e2e.ports import claracore
from fakes.ports import free_port


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Joined]:
    with ExitStack() as stack:
        yield Joined(tmp_path, stack)


def test_joined_over_restarts_drained_and_forgotten(machines: Joined) -> None:
    machines.start("head", NONE)
    node = machines.start("node", X)
    line = machines.invite()
    assert machines.join(line.replace("#", "#x"[:1])[:-1]).status == 400
    answer = machines.join(line)
    assert (answer.status, answer.json["name"]) == (200, "desk")
    machines.keys["node"] = answer.json["admin_key"]
    machines.until_up()
    assert (machines.node() or {})["kind"] == "node"
    # The head's key is for models and for looking; there is no way in without one now.
    assert node.ask("GET", "/api/node").status == 401
    [joined] = json.loads((machines.folder / "head/state/claracore/nodes.json").read_text())["nodes"]
    theirs = {"Authorization": f"Bearer {joined['key']}"}
    assert [node.ask(*call, headers=theirs).status for call in (("GET", "/api/node"), ("GET", "/api/keys"))] == [
        200,
        403,
    ]
    assert stat.S_IMODE((machines.folder / "head/state/claracore/nodes.json").stat().st_mode) == 0o600
    # Good once.
    again = machines.join(line)
    assert (again.status, "used up" in again.message) == (400, True)

    assert machines.head.end() == 0
    machines.start("head", NONE)
    machines.until_up()
    machines.running["node"].end()
    until(lambda: (machines.node() or {})["state"] == "lost")
    machines.start("node", X)
    machines.until_up()

    assert machines.ask("head", "PUT", "/api/nodes/desk/drained").status == 204
    refused = machines.head.chat("desk/x")
    assert (refused.status, refused.json["error"]["code"]) == (503, "machine_drained")
    assert (machines.node() or {})["drained"]
    assert machines.ask("head", "DELETE", "/api/nodes/desk/drained").status == 204
    assert machines.head.chat("desk/x").status == 200
    # A name with its machine has one place.
    places = machines.head.ask("GET", "/api/places/desk/x").json
    assert ([place["node"] for place in places["places"]], places["others"]) == (["desk"], [])
    assert [place["node"] for place in machines.head.ask("GET", "/api/places/z").json["places"]] == ["local"]
    assert "'desk/nobody'" in machines.head.ask("GET", "/api/places/desk/nobody").message
    # It may join again, and is there once.
    machines.join(machines.invite())
    machines.until_up()

    forgotten = claracore(machines.head.folder, "nodes", "forget", "desk", "--url", machines.head.url)
    assert (forgotten.returncode, "desk is forgotten" in forgotten.stdout) == (0, True), forgotten.stderr
    until(lambda: machines.node() is None and machines.head.chat("desk/x").status == 404)
    assert machines.ask("head", "DELETE", "/api/nodes/desk").status == 404


def test_the_heads_key_there_is_not_its_clients(machines: Joined) -> None:
    head = machines.start("head", f"apiKeys: [sesame, open]\n{NONE}")
    machines.keys["head"] = "sesame"
    machines.start("node", X)
    machines.join_well("node", "desk")
    until(lambda: machines.ask("head", "GET", "/upstream/desk/x/health").status == 200)
    limited = machines.ask(
        "head", "POST", "/api/keys", {"name": "guest", "scopes": ["inference"], "models": ["desk/x"]}
    )
    guest = {"Authorization": f"Bearer {limited.json['key']}"}
    evil = {"models": [{"name": "evil", "entry": {"cmd": "sh -c id"}}]}
    for key in (guest, {"Authorization": "Bearer sesame"}):
        for method, path in (
            ("PUT", "api/node/part"),
            ("GET", "api/node"),
            ("GET", "running"),
            ("GET", "api/activity"),
        ):
            answer = head.ask(method, f"/upstream/desk/x/{path}", evil if method == "PUT" else None, key)
            assert answer.json["path"] == f"/{path}", answer.body  # which the model's server has heard


def test_a_machine_that_joins_takes_no_name_of_the_heads(machines: Joined) -> None:
    """Its `x` would be `desk/x`, which the head has itself: that one stays loaded, and is what answers."""
    machines.start("head", f"models:\n  desk/x: {{cmd: '{fake()} --alias ours'}}\n")
    node = machines.start("node", X.replace("'}", " --alias theirs'}"))
    assert machines.head.chat("desk/x").json["model"] == "ours"
    before = machines.head.ask("GET", "/running").json["running"]
    machines.keys["node"] = machines.join(machines.invite()).json["admin_key"]
    until(lambda: (machines.node() or {}).get("hidden") == ["x"])
    assert machines.head.chat("desk/x").json["model"] == "ours"
    assert machines.head.ask("GET", "/running").json["running"] == before
    assert machines.head.chat("x").status == 404
    assert node.ask("GET", "/running", None, {"Authorization": f"Bearer {machines.keys['node']}"}).json["running"] == []
    findings = machines.head.ask("GET", "/api/config").json["findings"]
    assert any("model 'x' of machine 'desk' is not listed" in each["message"] for each in findings)
    listed = claracore(machines.head.folder, "nodes", "--url", machines.head.url)
    assert "desk: not to be had from here, for names of this machine are the same: x" in listed.stdout


def test_a_selector_follows_who_joins_and_leaves(machines: Joined) -> None:
    """The file names a machine that has not joined: it counts from when it has, until it is forgotten."""
    machines.start("head", f"selectors:\n  far: {{strategy: warm, targets: [desk/x]}}\n{NONE}")
    machines.start("node", X)
    refused = machines.head.chat("far")
    assert (refused.status, refused.json["error"]["code"]) == (503, "machine_not_there")
    [warning] = machines.ask("head", "GET", "/api/config").json["findings"]
    assert "no machine 'desk'" in warning["message"]
    machines.join_well("node", "desk")
    machines.until_up()
    assert machines.head.chat("far").status == 200
    assert machines.ask("head", "GET", "/api/config").json["findings"] == []
    assert machines.ask("head", "DELETE", "/api/nodes/desk").status in {200, 204}
    until(lambda: machines.head.chat("far").status == 503)
    machines.join_well("node", "desk")
    machines.until_up()
    assert machines.head.chat("far").status == 200


def test_who_is_not_let_in(machines: Joined) -> None:
    machines.start("head", f"peers:\n  desk: {{proxy: 'http://127.0.0.9:1', models: [a]}}\n{NONE}")
    machines.start("node", X)
    wish = {"secret": "s" * 32, "versions": {"claracore": "0", "python": "3"}}
    assert machines.ask("head", "POST", "/api/nodes/join", wish).status == 403
    assert machines.ask("head", "POST", "/api/nodes/join", {"secret": 3}).status == 400
    public = machines.ask("head", "POST", "/api/nodes/invitations", {"address": "8.8.8.8"})
    assert (public.status, "WireGuard" in public.message) == (400, True)
    line = machines.invite()
    itself = machines.join(line, "head")
    assert (itself.status, "on the other one" in itself.message) == (400, True)
    assert machines.ask("head", "GET", "/api/keys").json["keys"] == []
    secret = line.partition("#")[2]
    other = machines.ask("head", "POST", "/api/nodes/join", {**wish, "secret": secret})
    assert (other.status, "pip install" in other.message) == (409, True)
    # A name of the configuration is taken; nothing is left behind on the node, and the invitation is still good.
    taken = machines.join(line)
    assert (taken.status, "--name" in taken.message) == (400, True)
    assert machines.ask("node", "GET", "/api/keys").json["keys"] == []
    assert machines.join(line, address="127.0.0.3", name="box").status == 400, "nobody answers there"
    assert machines.join(line, name="a/b").status == 400
    assert machines.join(line, name="box").status == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_the_line_knows_the_certificate_of_the_head(machines: Joined) -> None:
    pem, key = machines.folder / "cert.pem", machines.folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [
            *made,
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            pem,
        ],
        check=True,
        timeout=60,
    )
    head = machines.start("head", NONE, "--tls-cert", str(pem), "--tls-key", str(key))
    machines.start("node", X)
    # The tests' client speaks no TLS: the verb does, as a person would.
    words = [sys.executable, "-m", "claracore", "nodes", "invite", "--url", head.url]
    env = {**os.environ, "CLARACORE_CA": str(pem)}
    found = subprocess.run(words, check=True, env=env, capture_output=True, text=True, timeout=WAIT_SECONDS)
    line = found.stdout.split()[-1]
    wrong = machines.join(line[:-4] + ("0000" if not line.endswith("0000") else "1111"))
    assert (wrong.status, "not the machine that has invited" in wrong.message) == (400, True)
    assert machines.join(line).status == 200


def test_a_head_that_is_not_there_is_noticed_before_anything_is_served(tmp_path: Path) -> None:
    line = f"http://127.0.0.1:{free_port()}#{'s' * 32}"
    done = claracore(tmp_path, "join", line, "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1, done.stderr
    assert "cannot be reached" in done.stderr
    assert not (tmp_path / "config.yaml").exists()
