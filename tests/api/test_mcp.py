"""MCP's own client finds the models as tools, and may do with them what its key allows."""

from __future__ import annotations

import asyncio
import builtins
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from claracore.http.api import mcp as door
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""
startPort: {free_run(8).start}
models:
  one:
    cmd: '{fake("--api-key", "sk-of-the-model")}'
    aliases: [eins]
  two:
    cmd: '{fake()}'
  broken:
    cmd: '{fake("--crash", "start")}'
  quiet:
    cmd: '{fake()}'
    unlisted: true
"""
Talk = Callable[[Client], Awaitable[Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("mcp")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


def talk(server: Instance, said: Talk, key: str = "", mode: str = "auto") -> Any:
    """Have MCP's client say something; return what came of it."""

    async def all_of_it() -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await said(client)

    return asyncio.run(all_of_it())


def tool(server: Instance, name: str, arguments: dict[str, Any] | None = None, key: str = "") -> Any:
    """Return the result of a tool, or the text of its error."""

    async def said(client: Client) -> Any:
        result = await client.call_tool(name, arguments or {})
        text = "".join(getattr(part, "text", "") for part in result.content)
        if not result.is_error:
            assert json.loads(text) == result.structured_content
        return text if result.is_error else result.structured_content

    return talk(server, said, key)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_tools_are_listed_by_clients_of_today_and_of_yesterday(server: Instance, mode: str) -> None:
    async def said(client: Client) -> Any:
        return (await client.list_tools()).tools

    tools = {each.name: each for each in talk(server, said, mode=mode)}
    assert list(tools) == ["list_models", "model_status", "load_model", "unload_model"]
    assert tools["load_model"].input_schema["required"] == ["model"]
    assert tools["list_models"].annotations.read_only_hint
    assert not tools["load_model"].annotations.read_only_hint


def test_a_model_is_loaded_and_unloaded(server: Instance) -> None:
    assert tool(server, "load_model", {"model": "eins"}) == {"model": "one", "state": "ready"}
    states = {model["id"]: model["state"] for model in tool(server, "list_models")["models"]}
    assert states == {"broken": "stopped", "one": "ready", "two": "stopped"}
    status = tool(server, "model_status", {"model": "one"})
    assert (status["state"], status["serving"]) == ("ready", 0)
    assert "sk-of-the-model" not in json.dumps(status)
    assert tool(server, "unload_model", {"model": "one"}) == {"unloaded": ["one"]}
    assert tool(server, "model_status", {"model": "one"})["state"] == "stopped"


def test_all_are_unloaded_when_none_is_named(server: Instance) -> None:
    tool(server, "load_model", {"model": "two"})
    assert "two" in tool(server, "unload_model")["unloaded"]
    assert server.running() == {}


def test_a_model_that_is_not_listed_is_not_mentioned(server: Instance) -> None:
    assert "quiet" not in tool(server, "load_model", {"model": "nobody"})
    assert tool(server, "model_status", {"model": "quiet"})["state"] == "stopped"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("load_model", {"model": "tow"}, "two"),
        ("load_model", {"model": "broken"}, "broken"),
        ("load_model", {}, "which model"),
        ("load_model", {"model": 7}, "which model"),
        ("unload_model", {"model": None}, "which model"),
        ("list_models", {"all": True}, "'all'"),
        ("dance", {}, "list_models"),
    ],
)
def test_what_goes_wrong_is_said(server: Instance, name: str, arguments: dict[str, Any], words: str) -> None:
    assert words in tool(server, name, arguments)


def test_a_key_may_do_what_its_scope_says(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    keys = KeyFile(tmp_path / "state" / "claracore")
    reader, _ = keys.add("reader", [Right.READ], models=["one"])
    boss, _ = keys.add("boss", [Right.ADMIN])
    app, _ = keys.add("app", [Right.INFERENCE])
    with instance(tmp_path) as server:
        assert [model["id"] for model in tool(server, "list_models", key=reader)["models"]] == ["one"]
        assert "'admin'" in tool(server, "load_model", {"model": "one"}, key=reader)
        assert "two" not in tool(server, "model_status", {"model": "two"}, key=reader).partition("available")[2]
        assert tool(server, "load_model", {"model": "two"}, key=boss)["state"] == "ready"
        refused = {"": 401, app: 403}
        for key, status in refused.items():
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            assert server.ask("POST", "/mcp", {"jsonrpc": "2.0"}, headers).status == status


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_others_are_refused(server: Instance, header: dict[str, str]) -> None:
    assert server.ask("POST", "/mcp", {"jsonrpc": "2.0"}, header).status == 403


def test_a_strange_host_is_refused(server: Instance) -> None:
    assert server.ask("POST", "/mcp", {"jsonrpc": "2.0"}, {"Host": "evil.example"}).status == 403


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"jsonrpc": "2.0"}', b"7", b'{"id": 1, "method": "x"}'])
def test_nonsense_breaks_nothing(server: Instance, body: bytes) -> None:
    header = {"Accept": "application/json, text/event-stream"}
    assert 400 <= server.ask("POST", "/mcp", body, header).status < 500
    assert not [line for line in server.lines if "Traceback" in line]


def test_there_are_no_sessions_and_no_messages_but_answers(server: Instance) -> None:
    for method in ("GET", "DELETE"):
        answer = server.ask(method, "/mcp")
        assert (answer.status, answer.headers.get("Allow") or answer.headers.get("allow")) == (405, "POST")


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *more: Any, **others: Any) -> Any:
        if name.partition(".")[0] in {"mcp", "mcp_types"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *more, **others)

    monkeypatch.delitem(sys.modules, "claracore.http.api.mcp_protocol", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(door.McpNotInstalled, match="claracore\\[mcp\\]"):
        door._answering()


def test_it_is_not_imported_before_somebody_asks(tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as running:
        files = Path(f"/proc/{running.process.pid}/maps")
        assert running.ask("GET", "/api/models").status == 200
        assert "cryptography" not in files.read_text()
        tool(running, "list_models")
        assert "cryptography" in files.read_text()
