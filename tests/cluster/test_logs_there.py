"""Another machine is asked for a model's log in its own words, and what is in the way is said with its name."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from claracore.core.cluster.model import NodeKind
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError
from claracore.host.cluster.logs_there import ModelThere, NoLogsThere, lines_there
from claracore.host.cluster.orders import NotDoneThere

LINE = {"at": None, "level": None, "text": "listening"}


def asked(kind: NodeKind, answer: httpx2.Response | Exception) -> tuple[list[str], list[dict[str, Any]]]:
    """Ask a machine that answers so for two lines; return what it was asked, and what it has said."""
    paths: list[str] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path.decode())
        assert request.headers["via"] == "us"
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def new_client(peer: PeerConfig) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=peer.proxy, transport=httpx2.MockTransport(answered))

    peer = PeerConfig.model_validate({"proxy": "http://desk:1/llm", "models": "auto"})
    there = ModelThere("desk", kind, peer, "org/a b")
    return paths, asyncio.run(lines_there(there, 2, {"Via": "us"}, new_client=new_client))


def test_its_last_lines_are_asked_for_by_its_own_name() -> None:
    answer = httpx2.Response(200, json={"source": "org/a b", "lines": [{}, LINE, LINE]})
    assert asked(NodeKind.CLARACORE, answer) == (["/llm/api/logs?source=org%2Fa%20b&lines=2"], [LINE, LINE])


@pytest.mark.parametrize("kind", [kind for kind in NodeKind if kind is not NodeKind.CLARACORE])
def test_another_program_is_not_asked(kind: NodeKind) -> None:
    with pytest.raises(NoLogsThere, match=f"'desk' .{kind.value}. does not give its logs"):
        asked(kind, httpx2.Response(200, json={}))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx2.Response(403, json={}), "our key there has not the scope 'read'"),
        (httpx2.Response(404, json={"error": {"message": "no model"}}), "the log of 'org/a b': no model"),
        (httpx2.Response(200, text="<html>"), "the log of 'org/a b': "),
        (httpx2.Response(200, json={"lines": 3}), "something else"),
        (httpx2.Response(200, json=[]), "something else"),
        (httpx2.ConnectError("refused"), "refused"),
    ],
)
def test_what_is_in_the_way_is_said_with_the_machine(answer: httpx2.Response | Exception, words: str) -> None:
    with pytest.raises(NotDoneThere, match=words) as raised:
        asked(NodeKind.CLARACORE, answer)
    assert isinstance(raised.value, ClaraCoreError)
    assert "'desk'" in str(raised.value)
