"""What the head's file shares, its nodes have; what they cannot use is refused and shown; their own file wins."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import fake, until
from e2e.joined import NONE, Joined
from e2e.ports import claracore

MINE = "  z: {cmd: 'none ${PORT}'}\n"


def shared(name: str, *flags: str, more: str = "") -> str:
    return f"  {name}: {{cmd: '{fake('--alias', f'{name}-there', *flags)}', placement: {{nodes: all}}{more}}}\n"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Joined]:
    with ExitStack() as stack:
        yield Joined(tmp_path, stack)


def configuration(machines: Joined, name: str = "desk") -> dict[str, Any]:
    return (machines.node(name) or {}).get("configuration") or {}


def state(machines: Joined, name: str = "desk") -> str:
    return str(configuration(machines, name).get("state"))


def models_there(machines: Joined) -> set[str]:
    return {row["id"] for row in machines.ask("node", "GET", "/v1/models").json["data"]}


def answers(machines: Joined, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    return machines.ask("node", "POST", "/v1/chat/completions", body).status


def test_what_the_head_shares_its_node_has_and_follows_its_edits(machines: Joined) -> None:
    machines.start("head", f"models:\n{MINE}")
    node = machines.start("node", "models:\n  own: {cmd: 'none ${PORT}'}\n")
    machines.join_well("node", "desk")
    until(lambda: (machines.node() or {}).get("state") == "up")
    assert (machines.node() or {})["configuration"] is None

    machines.write("head", f"models:\n{MINE}{shared('x')}{shared('y')}")
    until(lambda: state(machines) == "current")
    assert models_there(machines) == {"own", "x", "y"}
    until(lambda: machines.head.chat("desk/x").status == 200)
    places = machines.ask("head", "GET", "/api/places/x").json["places"]
    assert {place["node"] for place in places} == {"desk", "local"}
    assert machines.head.chat("x").status == 200
    kept = machines.folder / "node/state/claracore/part.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    # One is changed, one is taken out, one is new; a server whose command is another one is started anew.
    machines.write("head", f"models:\n{MINE}{shared('x', '--slow-health', '0.01')}{shared('new')}")
    until(lambda: models_there(machines) == {"own", "x", "new"} and state(machines) == "current")
    assert answers(machines, "x") == 200
    assert any("--slow-health" in child.cmdline() for child in node.children())
    # An alias drains nobody.
    [server] = [child for child in node.children() if "--slow-health" in child.cmdline()]
    more = ", aliases: [also]"
    machines.write("head", f"models:\n{MINE}{shared('x', '--slow-health', '0.01', more=more)}{shared('new')}")
    until(lambda: answers(machines, "also") == 200)
    assert server in node.children()
    edits = (("PATCH", {"ttl": 5}), ("DELETE", None))
    assert {machines.ask("node", method, "/api/config/models/x", body).status for method, body in edits} == {409}
    places = machines.ask("head", "GET", "/api/places/also").json["places"]
    assert {place["model"] for place in places} == {"x", "desk/x"}


def test_a_node_keeps_what_it_has_without_its_head_and_is_sent_what_has_changed_since(machines: Joined) -> None:
    machines.start("head", f"models:\n{MINE}{shared('x')}")
    node = machines.start("node", "models:\n  own: {cmd: 'none ${PORT}'}\n")
    machines.join_well("node", "desk")
    until(lambda: state(machines) == "current")
    assert machines.head.end() == 0
    node.end(signal.SIGKILL)
    machines.start("node", "models:\n  own: {cmd: 'none ${PORT}'}\n")
    assert (models_there(machines), answers(machines, "x")) == ({"own", "x"}, 200)
    machines.start("head", f"models:\n{MINE}")
    until(lambda: models_there(machines) == {"own"})
    until(lambda: (machines.node() or {}).get("configuration", 1) is None)
    assert not (machines.folder / "node/state/claracore/part.json").exists()


def test_a_head_that_is_back_sends_nothing_that_the_node_has(machines: Joined) -> None:
    machines.start("head", f"models:\n{MINE}{shared('x')}")
    node = machines.start("node", "models: {}\n")
    machines.join_well("node", "desk")
    until(lambda: state(machines) == "current" and answers(machines, "x") == 200)
    servers = node.children()
    assert machines.head.end() == 0
    machines.start("head", f"models:\n{MINE}{shared('x')}")
    until(lambda: state(machines) == "current" and machines.head.chat("desk/x").status == 200)
    assert sum("the head's part" in line for line in node.lines) == 1
    assert node.children() == servers


def test_a_part_that_cannot_be_used_is_refused_as_a_whole_and_shown(machines: Joined) -> None:
    env = {"ONLY_ON_THE_HEAD": "a-secret-of-the-head"}
    machines.start("head", f"models:\n{MINE}{shared('x')}", env=env)
    node = machines.start("node", "models: {}\n")
    machines.join_well("node", "desk")
    until(lambda: state(machines) == "current" and machines.head.chat("desk/x").status == 200)
    assert machines.ask("node", "POST", "/api/models/unload/x").status == 200

    changed = shared("x", "--api-key", "${env.ONLY_ON_THE_HEAD}")
    machines.write("head", f"models:\n{MINE}{changed}{shared('y')}")
    until(lambda: state(machines) == "refused")
    why = "models.x.cmd: environment variable 'ONLY_ON_THE_HEAD' is not set"
    assert configuration(machines)["why"] == why
    listed = claracore(machines.head.folder, "nodes", "--url", machines.head.url)
    assert f"desk: configuration refused: {why}" in listed.stdout
    # The former part goes on there; but from here nobody loads what has changed.
    assert (models_there(machines), answers(machines, "x")) == ({"x"}, 200)
    until(lambda: machines.head.chat("desk/x").status == 200)  # it is loaded
    assert machines.ask("node", "POST", "/api/models/unload/x").status == 200
    until(lambda: bool(machines.ask("head", "GET", "/api/places/x").json["others"]))
    assert machines.head.chat("desk/x").json["error"]["code"] == "machine_outdated"
    assert machines.ask("head", "POST", "/api/models/load/desk/x").status == 503
    found = machines.ask("head", "GET", "/api/places/x").json
    assert ([place["node"] for place in found["places"]], found["others"][0]["node"]) == (["local"], "desk")
    assert "older configuration" in found["others"][0]["reason"]

    # What only the head knows has not left it.
    for text in (*node.lines, (machines.folder / "node/state/claracore/part.json").read_text()):
        assert "a-secret-of-the-head" not in text
    # The node may be mended instead of the head.
    node.end()
    machines.start("node", "models: {}\n", env={"ONLY_ON_THE_HEAD": "theirs"})
    until(lambda: state(machines) == "current" and models_there(machines) == {"x", "y"})


def test_the_own_file_of_a_node_wins(machines: Joined) -> None:
    machines.start("head", f"models:\n{MINE}{shared('x', more=', aliases: [q, r]')}{shared('y')}")
    own = f"models:\n  x: {{cmd: '{fake('--alias', 'mine')}', aliases: [q]}}\n"
    machines.start("node", own)
    machines.join_well("node", "desk")
    until(lambda: state(machines) == "current")
    assert configuration(machines)["kept"] == ["x"]
    assert (models_there(machines), answers(machines, "q")) == ({"x", "y"}, 200)
    [server] = [child for child in machines.running["node"].children() if "--alias" in child.cmdline()]
    assert "mine" in server.cmdline()
    # Its own file goes on being taken over, and gives the name free again.
    machines.write("node", "models: {}\n")
    until(lambda: answers(machines, "r") == 200)
    machines.write("node", f"{own}  y: {{cmd: 'none ${{PORT}}'}}\n")
    until(lambda: sorted(configuration(machines)["kept"]) == ["x", "y"])


def test_only_the_head_may_write_it_and_only_where_it_was_let(machines: Joined) -> None:
    machines.start("head", f"models:\n{MINE}{shared('x')}")
    node = machines.start("node", NONE)
    machines.join_well("node", "desk", requests_only=True)
    until(lambda: state(machines) == "closed")
    assert "--requests-only" in configuration(machines)["why"]
    [joined] = json.loads((machines.folder / "head/state/claracore/nodes.json").read_text())["nodes"]
    part = {"models": [{"name": "x", "entry": {"cmd": "echo ${PORT}"}}]}

    def put(key: str, what: object = part) -> int:
        return node.ask("PUT", "/api/node/part", what, {"Authorization": f"Bearer {key}"}).status

    admin = machines.keys["node"]
    assert (put(joined["key"]), put(admin), node.ask("PUT", "/api/node/part", part).status) == (403, 403, 401)
    made = machines.ask("node", "POST", "/api/keys", {"name": "mine", "scopes": ["node"]}).json["key"]
    assert put(made) == 403

    # It lets it now; another head, which joins it after that, takes its place, and what the first one gave is gone.
    answer = machines.join(machines.invite())
    assert answer.status == 200
    until(lambda: state(machines) == "current")
    [joined] = json.loads((machines.folder / "head/state/claracore/nodes.json").read_text())["nodes"]
    for wrong in ({}, {"models": 5}, {"models": [{"name": "", "entry": {}}]}, {"models": [{"name": "a", "entry": 5}]}):
        assert put(joined["key"], wrong) == 400
    bad = {"models": [{"name": "a", "entry": {"cmd": "a 'b"}}]}
    assert (put(joined["key"], bad), models_there(machines)) == (422, {"z", "x"})
    assert put(joined["key"], {"models": [{"name": "a", "entry": {"cmd": "a" * (9 << 20)}}]}) == 413
    theirs = {"Authorization": f"Bearer {joined['key']}"}
    assert node.ask("POST", "/api/keys", {"name": "k", "scopes": ["admin"]}, theirs).status == 403

    other = machines.start("other", NONE)
    line = str(other.ask("POST", "/api/nodes/invitations", {}).json["line"].split()[-1])
    assert machines.join(line).status == 200
    until(lambda: models_there(machines) == {"z"})
    assert put(joined["key"]) == 401


def test_a_time_to_live_travels_with_its_model_and_groups_stay(machines: Joined) -> None:
    text = f"models:\n{MINE}{shared('x', more=', ttl: 1')}{shared('y', more=', ttl: 300')}{shared('w')}"
    machines.start("head", f"{text}globalTTL: 7\ngroups: {{one: {{swap: true, members: [x, y]}}}}\n")
    machines.start("node", NONE)
    machines.join_well("node", "desk")
    until(lambda: state(machines) == "current")

    def there(model: str) -> dict[str, Any]:
        rows = machines.ask("node", "GET", "/api/models").json["models"]
        return next(row for row in rows if row["id"] == model)

    assert {name: (there(name)["ttl_seconds"], there(name)["group"]) for name in "xyw"} == {
        "x": (1, "(default)"),
        "y": (300, "(default)"),
        "w": (0, "(default)"),
    }
    assert machines.head.chat("desk/x").status == 200
    assert there("x")["state"] == "ready"
    until(lambda: there("x")["state"] == "stopped")
    until(lambda: "desk/x" not in machines.head.running())
    machines.write("node", f"{NONE}groups: {{theirs: {{swap: true, members: [x, z]}}}}\n")
    until(lambda: (there("x")["group"], there("y")["group"]) == ("theirs", "(default)"))
