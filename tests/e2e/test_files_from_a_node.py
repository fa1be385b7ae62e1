"""A model that the head shares and whose file it does not have: one node has it, and another one gets it through it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import until
from e2e.joined import NONE, Joined
from e2e.test_files_travel import NAME, shares


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Joined]:
    with ExitStack() as stack:
        yield Joined(tmp_path, stack)


def model_of(machines: Joined, who: str, size: int) -> bytes:
    body = b"GGUF" + os.urandom(size)
    path = machines.folder / who / "downloads" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return body


def files_at(machines: Joined, name: str) -> list[dict[str, Any]]:
    return list((machines.node(name) or {}).get("files", []))


def begun(machines: Joined) -> None:
    machines.start("head", shares("head"))
    for who, name in (("node", "desk"), ("other", "lap")):
        machines.start(who, NONE)
        machines.join_well(who, name)


def test_a_file_comes_from_the_node_that_has_it(machines: Joined) -> None:
    body = model_of(machines, "node", 5_000_000)
    begun(machines)
    until(lambda: bool(files_at(machines, "lap")))
    assert machines.head.chat("lap/qwen").status == 200
    fetched = machines.folder / "other/downloads" / NAME
    assert fetched.read_bytes() == body
    # Who has it uses it where it lies, and the head itself has nothing of it.
    assert machines.head.chat("desk/qwen").status == 200
    assert not (machines.folder / "head/downloads").exists()
    [file] = files_at(machines, "desk")
    assert (file["name"], file["done_bytes"], file["words"]) == (NAME, len(body), "")
    # Only the head gets it out of the node: neither who is no head, nor by a name or a path.
    path = machines.folder / "node/downloads" / NAME
    for asked in ("/api/node/files/x", f"/api/node/files/{path}", f"/api/node/files/{NAME}"):
        assert machines.ask("node", "GET", asked).status in {403, 404}, asked
    wish = {"sets": [[{"name": NAME, "path": str(path)}]]}
    assert machines.ask("node", "POST", "/api/node/files", wish).status == 403
    # A request by the bare name does not go where the file is missing.
    places = machines.ask("head", "GET", "/api/places/qwen").json["places"]
    assert places[-1]["reason"].startswith("local: the machine would refuse"), places
    assert machines.head.chat("qwen").status == 200
    assert not machines.head.children()


@pytest.mark.slow
def test_kill_9_of_who_gives_it_in_the_middle_and_of_the_head(machines: Joined) -> None:
    body = model_of(machines, "node", 300_000_000)
    begun(machines)
    part = machines.folder / "other/downloads" / f"{NAME}.part"
    until(lambda: part.exists() and part.stat().st_size > 10_000_000)
    machines.running["node"].process.kill()
    machines.running["node"].process.wait()
    size = part.stat().st_size
    assert size < len(body)
    machines.start("node", NONE)
    until(lambda: part.stat().st_size > size + 10_000_000)
    machines.running["head"].process.kill()
    machines.running["head"].process.wait()
    assert part.exists()
    # With nobody there who has it, what was announced stays.
    machines.running["node"].process.kill()
    machines.running["node"].process.wait()
    machines.start("head", shares("head"))
    until(lambda: (machines.node("lap") or {}).get("state") == "up")
    [file] = files_at(machines, "lap")
    assert (file["name"], file["size_bytes"]) == (NAME, len(body))
    machines.start("node", NONE)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(machines.head.chat, "lap/qwen")
        assert asked.result(100).status == 200
    fetched = machines.folder / "other/downloads" / NAME
    assert hashlib.sha256(fetched.read_bytes()).digest() == hashlib.sha256(body).digest()
