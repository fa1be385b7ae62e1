"""Machines are reserved for a model through Ray, where Ray is; without its word a start goes on."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from claracore.core.cluster.model import Node, NodeKind, NodeReport, NodeState
from claracore.core.cluster.watch import Witness
from claracore.core.config.model import ModelConfig
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster import ray_link
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.crews import Crews, MachinesMissing
from claracore.host.cluster.members import polled_peers
from claracore.host.cluster.ray_link import RayLink


def run(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def inner() -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20):
                await test()

        asyncio.run(bounded())

    return inner


class Helper:
    """The process beside the head, as a script: what it is told, and who is free."""

    def __init__(self, link: RayLink, *free: str, silent: bool = False) -> None:
        self.link, self.free, self.silent = link, list(free), silent
        self.heard: list[dict[str, Any]] = []
        self.has: dict[str, list[str]] = {}
        link._process = self  # type: ignore[assignment]

    def write(self, line: str) -> bool:
        wish = json.loads(line)
        self.heard.append(wish)
        if self.silent:
            return True
        if "release" in wish:
            self.free += self.has.pop(wish["release"], [])
            return True
        able = [node for node in wish["nodes"] if node in self.free][: wish["count"]]
        found = able if len(able) == wish["count"] else None
        if found is not None:
            self.free = [node for node in self.free if node not in found]
            self.has[wish["reserve"]] = found
        answer = json.dumps({"start": wish["reserve"], "reserved": found})
        asyncio.get_running_loop().call_soon(self.link.take, answer)
        return True

    def witness(self, *names: str) -> None:
        self.link.take(json.dumps({"nodes": dict.fromkeys(names, "there")}))

    async def close(self) -> None:
        pass


def linked(*free: str, silent: bool = False) -> tuple[RayLink, Helper, dict[str, Witness]]:
    seen: dict[str, Witness] = {}
    link = RayLink(seen.update)
    helper = Helper(link, *free, silent=silent)
    helper.witness(*free)
    return link, helper, seen


@run
async def test_all_or_none_are_reserved_and_given_back() -> None:
    link, helper, _ = linked("desk", "lap")
    assert await link.reserve("a", ["desk", "lap"], 2) == ("desk", "lap")
    assert await link.reserve("b", ["desk"], 1) is None
    link.give_back("a")
    assert await link.reserve("b", ["lap"], 1) == ("lap",)
    assert helper.has == {"b": ["lap"]}
    await link.close()


@run
async def test_what_went_with_the_helper_is_reserved_anew() -> None:
    link, _, _ = linked("desk", "lap")
    await link.reserve("a", ["lap"], 1)
    link.nothing()
    assert not link.knows("lap")
    other = Helper(link, "desk", "lap")
    other.witness("desk", "lap")
    assert other.heard == [{"reserve": "a", "nodes": ["lap"], "count": 1}]
    await asyncio.sleep(0)
    assert other.has == {"a": ["lap"]}
    await link.close()


@run
async def test_no_start_waits_for_ray_for_ever() -> None:
    link, helper, _ = linked("desk", silent=True)
    before, ray_link.ANSWER_SECONDS = ray_link.ANSWER_SECONDS, 0.05  # type: ignore[misc]
    try:
        assert await link.reserve("a", ["desk"], 1) == ("desk",)
    finally:
        ray_link.ANSWER_SECONDS = before  # type: ignore[misc]
    assert helper.heard[-1] == {"release": "a"}
    await link.close()


BIG = ModelConfig(id="big", nodes=2, cmd="x ${PORT}", rank_cmd="x")
HUGE = ModelConfig(id="huge", nodes=3, cmd="x ${PORT}", rank_cmd="x")


def crews_of(*names: str, link: RayLink | None = None) -> Crews:
    cluster = Cluster(polled_peers)
    cluster.complete.set()
    cluster.reservations = link
    cluster.peers = {
        name: PeerConfig(proxy=f"http://127.0.0.{at}:5800", models="auto") for at, name in enumerate(names, 2)
    }
    cluster.nodes = {
        name: Node(name, NodeState.UP, 0.0, report=NodeReport(NodeKind.CLARACORE)) for name in cluster.peers
    }
    return Crews(cluster)


@run
async def test_two_starts_never_take_the_same_machine() -> None:
    crews = crews_of("desk", "lap")
    first, addresses = await crews.able(BIG, "1")
    assert addresses == {"desk": "127.0.0.2", "lap": "127.0.0.3"}
    assert first == ("desk", "lap")
    with pytest.raises(MachinesMissing, match="'desk': it runs a rank of model 'big'"):
        await crews.able(HUGE, "2")
    # What is taken is foreseen to be free where one of ours makes room for the other.
    assert await crews.foreseen(HUGE) is None
    crews.end("big", "1")
    assert (await crews.able(HUGE, "2"))[0] == ("desk", "lap")
    assert await crews.foreseen(HUGE.model_copy(update={"nodes": 4})) is not None


@run
async def test_two_heads_on_one_ray_do_not_either() -> None:
    link, helper, _ = linked("desk", "lap")
    crews = crews_of("desk", "lap", "old", link=link)  # Ray does not know `old`
    assert await link.reserve("of another head", ["desk"], 1) == ("desk",)
    able, _ = await crews.able(HUGE, "1")
    assert able == ("lap", "old")
    crews.end("huge", "1")
    assert helper.has == {"of another head": ["desk"]}
    await link.reserve("and one more", ["lap"], 1)
    with pytest.raises(MachinesMissing, match="'lap': Ray has reserved it"):
        await crews.able(HUGE, "2")
    assert (await crews.able(BIG, "3"))[0] == ("old",)
    await link.close()
