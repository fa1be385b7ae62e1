"""A peer that is asked, and a node that Ray knows besides: the same conversation, and both mean the same.

Without Ray: the lines of its helper are written here. Without waiting: the clock of the loop is moved on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from claracore.core.cluster.model import NodeEvent
from claracore.core.cluster.watch import Witness
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster.polled import ANSWER_SECONDS, PolledPeers
from claracore.host.cluster.ray_link import SILENT_SECONDS, RayLink

PEER = PeerConfig(proxy="http://desk", models="auto")


class MovedClock(asyncio.SelectorEventLoop):
    """A loop whose time can be moved on."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Followed:
    """One machine that is followed."""

    def __init__(self, loop: MovedClock, *, has_ray: bool) -> None:
        self.fails: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.witnesses: dict[str, Witness] = {}
        self.link = RayLink(self._witnessed) if has_ray else None
        self._loop = loop
        self._members = PolledPeers(self._witness, self._client)
        self._events: AsyncIterator[NodeEvent] = self._members.follow()
        self._looks = 0
        self._looked = asyncio.Event()
        self._members.reconfigure({"desk": PEER})

    def _witness(self, name: str) -> Witness:
        return self.witnesses.get(name, Witness.NONE)

    def _witnessed(self, found: object) -> None:
        assert isinstance(found, dict)
        self.witnesses.clear()
        self.witnesses.update(found)

    async def _client(self, _peer: PeerConfig) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer), base_url=PEER.proxy)

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        self._looked.set()
        await self.answers.wait()
        if self.fails is not None:
            raise self.fails
        return httpx2.Response(200, json={"kind": "claracore", "models": [{"name": "x", "state": "ready"}]})

    def ray_says(self, what: str) -> None:
        """Have Ray's helper write a line, where there is Ray."""
        if self.link is not None:
            self.link.take(json.dumps({"nodes": {"desk": what}}))

    async def event(self) -> str:
        return type(await anext(self._events)).__name__

    async def looked_after(self, seconds: float) -> None:
        """Have it looked at once more, so much later."""
        self._loop.ahead += seconds
        self._looked.clear()
        self._members.look_soon("desk")
        await self._looked.wait()

    def later(self, seconds: float) -> None:
        """Have so much time passed."""
        self._loop.ahead += seconds

    async def close(self) -> None:
        if self.link is not None:
            await self.link.close()
        await self._events.aclose()  # type: ignore[attr-defined]


Conversation = Callable[[Followed], Awaitable[None]]
NO_ANSWER = httpx2.ReadTimeout("late")
REFUSED = httpx2.ConnectError("refused")
REFUSED.__cause__ = ConnectionRefusedError(111, "Connection refused")


def held_with(conversation: Conversation, *, has_ray: bool) -> None:
    async def all_of_it() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovedClock)
        followed = Followed(loop, has_ray=has_ray)
        async with asyncio.timeout(1000):
            await conversation(followed)
        await followed.close()

    with asyncio.Runner(loop_factory=MovedClock) as runner:
        runner.run(all_of_it())


both = pytest.mark.parametrize("membership", ["polled", "ray"])


@both
def test_it_is_there_dies_and_comes_back(membership: str) -> None:
    async def conversation(desk: Followed) -> None:
        desk.ray_says("there")
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.fails = REFUSED
        await desk.looked_after(1)
        assert await desk.event() == "NodeLost"
        desk.fails = None
        await desk.looked_after(1)
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]

    held_with(conversation, has_ray=membership == "ray")


@both
def test_silence_that_lasts_is_a_loss(membership: str) -> None:
    async def conversation(desk: Followed) -> None:
        desk.ray_says("unsure")
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.fails = NO_ANSWER
        await desk.looked_after(1)
        assert await desk.event() == "NodeSilent"
        await desk.looked_after(6)
        assert await desk.event() == "NodeLost"
        desk.fails = None
        await desk.looked_after(1)
        assert await desk.event() == "NodeUp"

    held_with(conversation, has_ray=membership == "ray")


@both
def test_it_goes_on_answering_while_ray_is_away(membership: str) -> None:
    """Ray's death is not the node's: as long as it answers, nothing has happened."""

    async def conversation(desk: Followed) -> None:
        desk.ray_says("there")
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.ray_says("gone")
        for _ in range(3):
            await desk.looked_after(1)
            assert await desk.event() == "NodeTold"

    held_with(conversation, has_ray=membership == "ray")


@both
def test_an_answer_that_is_late_is_waited_for(membership: str) -> None:
    """A slow machine would never answer whoever hangs up and asks anew."""

    async def conversation(desk: Followed) -> None:
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.answers.clear()
        await desk.looked_after(1)
        desk.later(ANSWER_SECONDS)
        assert await desk.event() == "NodeSilent"
        desk.answers.set()
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]

    held_with(conversation, has_ray=membership == "ray")


# What only a witness can know.


def test_silence_ends_at_once_where_ray_has_lost_it_too() -> None:
    async def conversation(desk: Followed) -> None:
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.fails = NO_ANSWER
        desk.ray_says("gone")
        await desk.looked_after(1)
        assert await desk.event() == "NodeLost"

    held_with(conversation, has_ray=True)


def test_silence_of_a_machine_that_ray_hears_may_last_longer() -> None:
    async def conversation(desk: Followed) -> None:
        desk.ray_says("there")
        assert [await desk.event(), await desk.event()] == ["NodeUp", "NodeTold"]
        desk.fails = NO_ANSWER
        await desk.looked_after(1)
        assert await desk.event() == "NodeSilent"
        desk.ray_says("there")
        await desk.looked_after(4)
        desk.ray_says("there")
        await desk.looked_after(4)
        desk.fails = None
        await desk.looked_after(1)
        assert await desk.event() == "NodeUp", "and was never lost"

    held_with(conversation, has_ray=True)


def test_a_helper_that_says_nothing_knows_nothing() -> None:
    async def conversation(desk: Followed) -> None:
        desk.ray_says("there")
        assert desk.witnesses == {"desk": Witness.THERE}
        for line in ("", "no JSON", "[]", '{"nodes": {"desk": "ill"}}', '{"nodes": 3}', "null"):
            assert desk.link is not None
            desk.link.take(line)
        assert desk.witnesses == {"desk": Witness.THERE}
        await desk.event()
        await desk.looked_after(SILENT_SECONDS + 1)
        await desk.looked_after(0)
        assert desk.witnesses == {}

    held_with(conversation, has_ray=True)
