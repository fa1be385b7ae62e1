"""A rank that is had on another machine: what is heard of it, and when it is taken for gone."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from claracore.core.cluster.assembly import AssemblyEvent, RankGone, RankLost, RankReady
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster import rank_holder
from claracore.host.cluster.rank_holder import LEASE_SECONDS, RankHolder, RankWish

WISH = RankWish("big.rank1", "big", "head", "1", {"unloadTimeout": 1})
READY = httpx2.Response(200, json={"state": "ready", "why": "", "port": None})


class Machine:
    """A machine that answers each call as it is set to; None: not at all."""

    def __init__(self) -> None:
        self.answer: httpx2.Response | None = READY
        self.heard: asyncio.Queue[AssemblyEvent] = asyncio.Queue()
        peer = PeerConfig.model_validate({"proxy": "http://node", "models": "auto"})
        self.holder = RankHolder(1, WISH, peer, "127.0.0.1", self.heard.put_nowait, new_client=self._client)

    async def _client(self, peer: PeerConfig) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answered), base_url=peer.proxy)

    async def _answered(self, request: httpx2.Request) -> httpx2.Response:
        if self.answer is None:
            raise httpx2.ReadTimeout("", request=request)
        return httpx2.Response(self.answer.status_code, content=self.answer.content)


async def gone_after(machine: Machine, *, at_once: bool = False) -> float:
    """Return for how long a rank that is released was waited for, in seconds."""
    begun_at = asyncio.get_running_loop().time()
    machine.holder.release(at_once=at_once)
    assert await machine.heard.get() == RankGone(1)
    return asyncio.get_running_loop().time() - begun_at


@pytest.mark.parametrize("status", [401, 403, 404, 204])
def test_a_machine_that_knows_this_head_no_more_is_not_waited_for(status: int) -> None:
    async def run() -> None:
        machine = Machine()
        task = asyncio.ensure_future(machine.holder.run())
        assert await machine.heard.get() == RankReady(1)
        machine.answer = httpx2.Response(status)
        async with asyncio.timeout(LEASE_SECONDS / 2):
            await gone_after(machine)
        await task

    asyncio.run(run())


def test_silence_is_told_in_words_and_is_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_holder, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(rank_holder, "AGAIN_SECONDS", 0.01)

    async def run() -> None:
        machine = Machine()
        task = asyncio.ensure_future(machine.holder.run())
        assert await machine.heard.get() == RankReady(1)
        silent = [machine.holder.is_silent]
        machine.answer = None
        assert await machine.heard.get() == RankLost(1, "no answer for 0 s (ReadTimeout)")
        assert [*silent, machine.holder.is_silent] == [False, True]
        assert await gone_after(machine, at_once=True) < LEASE_SECONDS / 2
        await task

    asyncio.run(run())
