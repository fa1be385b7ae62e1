"""Is a body that is nested as deep as nobody nests one refused like any other that is wrong?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_port

CONFIG = f"startPort: {free_port()}\nmodels:\n  x: {{cmd: '{fake()}'}}\n"
DEPTHS = (150, 300, 900, 3_000)
HOLE = "HOLE"
RANK = {"model": "m", "head": "h", "start": "s", "entry": {"cmd": "x", "a": HOLE}, "lease_seconds": 1}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_models", "arguments": {"a": HOLE}}}
BODIES: list[tuple[str, str, Any]] = [
    ("PUT", "/api/node/part", {"models": [{"name": "a", "entry": {"cmd": "x", "a": HOLE}}]}),
    ("PUT", "/api/node/part", {"models": HOLE}),
    ("POST", "/api/node/files", {"sets": HOLE}),
    ("PUT", "/api/node/ranks/r", RANK),
    ("PATCH", "/api/config/models/x", {"metadata": HOLE}),
    ("POST", "/api/tokens", {"model": "x", "texts": ["a"], "messages": [{"role": "user", "content": HOLE}]}),
    ("POST", "/mcp", CALL),
    ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": HOLE}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("deep")
    configured(folder, CONFIG)
    with instance(folder) as running:
        assert running.chat("x").status == 200  # its tokens are counted by itself
        yield running


def status(server: Instance, method: str, path: str, text: str) -> int:
    connection = server.connect()
    connection.request(method, path, text, {"Content-Type": "application/json"})
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.parametrize("number", range(len(BODIES)))
@pytest.mark.parametrize("deep", [('{"a":', "1", "}"), ("[", "", "]")], ids=["objects", "lists"])
def test_it_is_no_error_of_ours(server: Instance, number: int, deep: tuple[str, str, str]) -> None:
    method, path, body = BODIES[number]
    before, middle, after = deep
    for depth in DEPTHS:
        text = json.dumps(body).replace(f'"{HOLE}"', before * depth + middle + after * depth)
        found = status(server, method, path, text)
        assert 200 <= found < 500, (depth, found)
        if path != "/mcp":  # whose errors are in its answers
            assert found == 400, (depth, found)
    assert not [line for line in server.lines if "Traceback" in line]
