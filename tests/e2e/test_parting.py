"""A machine is forgotten, there or away, or leaves; what was given to each other is taken away on both sides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from e2e.instance import until
from e2e.joined import NONE, Joined, X
from e2e.ports import claracore


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    with ExitStack() as stack:
        found = Joined(tmp_path_factory.mktemp("parting"), stack)
        found.start("head", NONE)
        found.start("node", X)
        yield found


@pytest.fixture
def machines(stand: Joined) -> Joined:
    """A head and a node that has joined it, whatever was before."""
    if stand.node() is None or head_of(stand) is None:
        answer = stand.join(stand.invite())
        assert answer.status == 200, answer.body
        stand.keys["node"] = answer.json["admin_key"] or stand.keys["node"]
    stand.until_up()
    return stand


def head_of(machines: Joined) -> dict[str, Any] | None:
    found: dict[str, Any] | None = machines.ask("node", "GET", "/api/nodes").json["head"]
    return found


def keys_of_head(machines: Joined) -> list[str]:
    keys = machines.ask("node", "GET", "/api/keys").json["keys"]
    return [key["name"] for key in keys if key["name"].startswith("head ")]


def typed(machines: Joined, who: str, *words: str) -> str:
    running = machines.running[who]
    key = machines.keys.get(who, "")
    done = claracore(running.folder, *words, "--url", running.url, CLARACORE_API_KEY=key)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_forgotten_while_it_is_there(machines: Joined) -> None:
    until(lambda: (head_of(machines) or {}).get("standing") == "known")
    assert len(keys_of_head(machines)) == 1
    assert "and knows it" in typed(machines, "head", "nodes", "forget", "desk")
    assert (head_of(machines) or {}).get("standing") == "forgotten"
    assert keys_of_head(machines) == []
    assert "has forgotten this machine" in typed(machines, "node", "nodes")
    assert "no more" in typed(machines, "node", "leave")
    assert head_of(machines) is None


def test_it_leaves(machines: Joined) -> None:
    assert "could not" not in typed(machines, "node", "leave")
    assert (machines.node(), head_of(machines), keys_of_head(machines)) == (None, None, [])
    again = machines.ask("node", "POST", "/api/node/leave", {})
    assert (again.status, "joined no other" in again.message) == (404, True)


def test_it_leaves_while_the_head_is_away(machines: Joined) -> None:
    assert machines.head.end() == 0
    assert "claracore nodes forget desk" in typed(machines, "node", "leave")
    assert (head_of(machines), keys_of_head(machines)) == (None, [])
    machines.start("head", NONE)


def test_forgotten_while_it_is_away(machines: Joined) -> None:
    machines.running["node"].end()
    found = typed(machines, "head", "nodes", "forget", "desk")
    assert "could not be told" in found
    assert "claracore leave" in found
    assert machines.node() is None
    machines.start("node", X)
    until(lambda: (head_of(machines) or {}).get("standing") == "forgotten")
    until(lambda: keys_of_head(machines) == [])


def test_a_head_that_has_lost_its_memory_forgets_nobody(machines: Joined) -> None:
    machines.head.end()
    file = machines.folder / "head/state/claracore/nodes.json"
    file.unlink()
    machines.start("head", NONE)
    machines.running["node"].end()
    machines.start("node", X)
    until(lambda: (head_of(machines) or {}).get("standing") == "stranger")
    assert len(keys_of_head(machines)) == 1


def test_who_may_say_so(machines: Joined) -> None:
    assert machines.running["node"].ask("DELETE", "/api/node/head").status == 401
    assert machines.ask("node", "DELETE", "/api/node/head").status == 403, "an administrator is no head"
    for path in ("/api/nodes/known", "/api/nodes/left"):
        assert machines.ask("head", "POST", path, {"secret": 3}).status == 400
        assert machines.ask("head", "POST", path, []).status == 400
    assert machines.ask("head", "POST", "/api/nodes/left", {"secret": "x"}).status == 404
    assert machines.ask("head", "POST", "/api/nodes/known", {"secret": ""}).json["known"] is False
    [joined] = json.loads((machines.folder / "head/state/claracore/nodes.json").read_text())["nodes"]
    assert machines.ask("head", "POST", "/api/nodes/known", {"secret": joined["secret"]}).json["known"] is True
    assert machines.node() is not None


def test_a_head_with_requests_only_is_left_by_asking(machines: Joined) -> None:
    answer = machines.join(machines.invite(), requests_only=True)
    assert answer.status == 200
    machines.until_up()
    refused = machines.ask("head", "POST", "/api/models/unload/desk/x")
    assert refused.status == 502
    assert "it has joined with --requests-only; do it there" in refused.message
    found = typed(machines, "head", "nodes", "forget", "desk")
    assert "scope 'node'" in found
    machines.running["node"].end()
    machines.start("node", X)
    until(lambda: (head_of(machines) or {}).get("standing") == "forgotten")
