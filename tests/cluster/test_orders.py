"""A model of another machine is loaded and unloaded in the words of the program there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest

from claracore.core.cluster.model import NodeKind
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError
from claracore.host.cluster.orders import NotDoneThere, NotKnownThere, load_there, unload_there

Order = Callable[..., Coroutine[Any, Any, None]]
OWN_ERROR = {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}


def ordered(
    order: Order, kind: NodeKind, answer: httpx2.Response | Exception, *, joined: bool = False
) -> list[tuple[str, str, bytes]]:
    """Give an order to a machine that answers so; return what it was asked."""
    asked: list[tuple[str, str, bytes]] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.method, request.url.raw_path.decode(), request.read()))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def new_client(peer: PeerConfig) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=peer.proxy, transport=httpx2.MockTransport(answered))

    peer = PeerConfig.model_validate({"proxy": "http://desk:1/llm", "models": "auto"})
    peer = peer.model_copy(update={"joined": joined})
    asyncio.run(order("desk", kind, peer, "org/a b", new_client=new_client))
    return asked


@pytest.mark.parametrize(
    ("order", "kind", "expected"),
    [
        (load_there, NodeKind.CLARACORE, ("GET", "/llm/upstream/org/a%20b/health", b"")),
        (load_there, NodeKind.LLAMA_SWAP, ("GET", "/llm/upstream/org/a%20b/health", b"")),
        (load_there, NodeKind.OLLAMA, ("POST", "/llm/api/generate", b'{"model":"org/a b"}')),
        (load_there, NodeKind.LM_STUDIO, ("POST", "/llm/api/v1/models/load", b'{"model":"org/a b"}')),
        (unload_there, NodeKind.CLARACORE, ("POST", "/llm/api/models/unload/org/a%20b", b"")),
        (unload_there, NodeKind.OLLAMA, ("POST", "/llm/api/generate", b'{"model":"org/a b","keep_alive":0}')),
        (unload_there, NodeKind.LM_STUDIO, ("POST", "/llm/api/v1/models/unload", b'{"instance_id":"org/a b"}')),
    ],
)
def test_each_program_is_asked_in_its_own_words(order: Order, kind: NodeKind, expected: tuple[str, str, bytes]) -> None:
    assert ordered(order, kind, httpx2.Response(200, json={})) == [expected]


@pytest.mark.parametrize("order", [load_there, unload_there])
@pytest.mark.parametrize("kind", [NodeKind.VLLM, NodeKind.LLAMA_SERVER, NodeKind.OTHER])
def test_a_program_that_has_no_such_call_is_not_asked(order: Order, kind: NodeKind) -> None:
    with pytest.raises(NotKnownThere, match=f"'desk' .{kind.value}."):
        ordered(order, kind, httpx2.Response(200))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx2.Response(403, json=OWN_ERROR), r"scope inference and unloading node or admin \(peers.desk.apiKey\)"),
        (httpx2.Response(404, json=OWN_ERROR), "'desk' could not load 'org/a b': no such model"),
        (httpx2.Response(502, json={"error": "it has ended"}), "it has ended"),
        (httpx2.Response(502, text="<html>"), "it answers 502"),
        (httpx2.ConnectError("refused"), "could not be asked to load 'org/a b': refused"),
    ],
)
def test_what_is_in_the_way_is_said_with_the_machine(answer: httpx2.Response | Exception, words: str) -> None:
    with pytest.raises(NotDoneThere, match=words) as raised:
        ordered(load_there, NodeKind.CLARACORE, answer)
    assert isinstance(raised.value, ClaraCoreError)
    assert "'desk'" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "has joined with --requests-only; do it there"), (401, "it has left, or joined another")],
)
def test_a_machine_that_has_joined_is_none_of_the_file(status: int, words: str) -> None:
    with pytest.raises(NotDoneThere, match=words) as raised:
        ordered(unload_there, NodeKind.CLARACORE, httpx2.Response(status, json=OWN_ERROR), joined=True)
    assert "apiKey" not in str(raised.value)


def test_a_model_whose_server_has_no_health_is_loaded_all_the_same() -> None:
    answer = httpx2.Response(404, text="Not Found")
    assert len(ordered(load_there, NodeKind.CLARACORE, answer)) == 1
