"""What a head makes of a node's answer when it tells it that it is none of its own any more."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from claracore.core.cluster.joined import JoinedNode
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster import parting

NODE = JoinedNode("lap", "http://127.0.0.3:5800", "key")


@pytest.mark.parametrize(
    ("status", "untold"),
    [
        (204, ""),
        (401, ""),  # it has left, or joined another machine, which removed our key: nothing is to be done there
        (403, "only another says so"),
        (500, "only another says so"),
    ],
)
def test_one_that_does_not_know_our_key_needs_no_word(
    status: int, untold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert (request.method, request.url.path) == ("DELETE", "/api/node/head")
        error = {"error": {"message": "only another says so"}}
        return httpx2.Response(status, json=error if status != 204 else None)

    async def client_of(peer: PeerConfig) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url=peer.proxy)

    monkeypatch.setattr(parting, "client_of", client_of)
    assert asyncio.run(parting.tell_forgotten(NODE)) == untold
