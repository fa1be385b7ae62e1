"""A model that the head shares, whose file a node lacks: the node fetches it, and answers when it has come."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import fake, until
from e2e.joined import NONE, Joined
from e2e.ports import claracore

NAME = "qwen/qwen.gguf"
PATH = Path("/proc/self/cwd/downloads", NAME)
"""A path that means another file to each machine, although they share a disk here."""


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Joined]:
    with ExitStack() as stack:
        yield Joined(tmp_path, stack)


def shares(fetch: str, more: str = "") -> str:
    cmd = f"{fake('--alias', 'qwen-here')} --model {PATH}"
    return f"models:\n  qwen: {{cmd: '{cmd}', placement: {{nodes: all, fetch: {fetch}}}}}\n{more}"


def body_of(path: Path, size: int) -> bytes:
    body = os.urandom(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return body


def model_there(machines: Joined) -> dict[str, Any]:
    rows = (machines.node() or {}).get("models", [])
    return next((row for row in rows if row["name"] == "qwen"), {})


def test_a_request_waits_for_the_file_and_is_answered(machines: Joined) -> None:
    path = machines.folder / "head/downloads" / NAME
    body = body_of(path, 40_000_000)
    machines.start("head", shares("head"))
    machines.start("node", NONE)
    machines.join_well("node", "desk")
    until(lambda: bool(model_there(machines)))
    assert machines.head.chat("desk/qwen").status == 200
    fetched = machines.folder / "node/downloads" / NAME
    assert fetched.read_bytes() == body
    [command] = [child.cmdline() for child in machines.running["node"].children() if "--model" in child.cmdline()]
    assert str(fetched) in command
    until(lambda: model_there(machines)["fit"] == "unknown")
    [file] = (machines.node() or {})["files"]
    assert (file["name"], file["done_bytes"], file["words"]) == (NAME, len(body), "")
    # The bare name goes there, too: it is loaded there, and the head does not have to load it.
    assert machines.head.chat("qwen").status == 200
    assert not machines.head.children()


def test_without_leave_its_place_says_why(machines: Joined) -> None:
    path = machines.folder / "head/downloads" / NAME
    body_of(path, 1000)
    machines.start("head", shares("no"))
    machines.start("node", NONE)
    machines.join_well("node", "desk")
    until(lambda: "fetch: no" in model_there(machines).get("why", ""))
    places = machines.ask("head", "GET", "/api/places/qwen").json["places"]
    assert places[-1]["reason"].endswith(f"({NAME} is not here, and is not fetched (fetch: no))")
    for who, model in (("head", "desk/qwen"), ("node", "qwen")):
        wish = {"model": model, "messages": [{"role": "user", "content": "Hello."}]}
        refused = machines.ask(who, "POST", "/v1/chat/completions", wish)
        assert (refused.status, refused.json["error"]["code"]) == (503, "files_not_there"), refused.body
        assert "fetch: no" in refused.message
    shown = claracore(machines.head.folder, "nodes", "--url", machines.head.url)
    assert f"desk: {NAME} is not here, and is not fetched (fetch: no)" in shown.stdout
    # A person brings it: it is used where it lies.
    own = machines.folder / "node/downloads/brought.gguf"
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(path.read_bytes())
    machines.write("head", shares("no", "logLevel: warn\n"))
    machines.running["node"].end()
    machines.start("node", NONE)
    until(lambda: not model_there(machines).get("why", "-"))
    assert machines.head.chat("desk/qwen").status == 200


def test_who_may_fetch_what(machines: Joined) -> None:
    path = machines.folder / "head/downloads" / NAME
    body = body_of(path, 300_000)
    machines.start("head", shares("no"))
    machines.start("node", NONE)
    machines.join_well("node", "desk")
    until(lambda: bool(model_there(machines)))

    [joined] = json.loads((machines.folder / "head/state/claracore/nodes.json").read_text())["nodes"]
    secret = joined["secret"]
    url, head = f"/api/shared/{NAME}", machines.head

    def get(key: str | None, method: str = "GET", path: str = url, **more: str) -> Any:
        return head.ask(method, path, headers={**({"Authorization": f"Bearer {key}"} if key else {}), **more})

    assert get(secret).body == body
    assert get(secret, Range="bytes=299990-").body == body[-10:]
    assert get(secret, "HEAD").headers["Content-Length"] == "300000"
    assert get(secret, path="/api/shared/../state/claracore/nodes.json").status in {401, 404}
    assert [get(key).status for key in (None, joined["key"], "x")] == [401] * 3
    # Also where the head wants a key for everything; and the secret opens nothing else.
    made = claracore(head.folder, "keys", "add", "me", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    until(lambda: head.ask("GET", "/api/nodes").status == 401)
    assert get(secret).status == 200
    assert get(secret, path="/api/nodes").status == 401
    assert get(secret, path="/v1/models").status == 401


@pytest.mark.slow
def test_kill_9_of_either_side_in_the_middle(machines: Joined) -> None:
    path = machines.folder / "head/downloads" / NAME
    body = body_of(path, 200_000_000)
    machines.start("head", shares("head"))
    machines.start("node", NONE)
    machines.join_well("node", "desk")
    part = machines.folder / "node/downloads" / f"{NAME}.part"
    until(lambda: part.exists() and part.stat().st_size > 10_000_000)
    machines.running["node"].process.kill()
    size = part.stat().st_size
    assert size < len(body)
    machines.start("node", NONE)
    until(lambda: part.stat().st_size > size + 10_000_000)
    machines.running["head"].process.kill()
    machines.start("head", shares("head"))
    with ThreadPoolExecutor() as pool:
        until(lambda: (machines.node() or {}).get("state") == "up")
        asked = pool.submit(machines.head.chat, "desk/qwen")
        assert asked.result(100).status == 200
    whole = machines.folder / "node/downloads" / NAME
    assert hashlib.sha256(whole.read_bytes()).digest() == hashlib.sha256(body).digest()
