"""A part goes to who needs it, again when it could not be brought, and not again when it was refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from claracore.core.cluster.model import Node, NodeKind, NodeReport, NodeState, PartReport
from claracore.core.cluster.part import SharedFile, SharedModel
from claracore.core.cluster.part_state import PartStanding, WantedPart, standing, why
from claracore.core.cluster.shared import SharedOut
from claracore.core.config.routing import PeerConfig
from claracore.host.cluster import part_sender
from claracore.host.cluster.machines import Machines
from claracore.host.cluster.part_sender import PartSender
from claracore.host.cluster.shared_files import FilesNotKnown

X = SharedModel("x", {"cmd": "x ${PORT}"})
NEW = NodeReport(NodeKind.CLARACORE, part=PartReport(True))


@dataclass
class FollowedNodes:
    peers: dict[str, PeerConfig] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)

    def look_soon(self, name: str) -> None:
        """Whoever sent something wants to hear of it."""


@dataclass
class KnownMachines:
    cluster: FollowedNodes = field(default_factory=FollowedNodes)
    parts: dict[str, WantedPart] = field(default_factory=dict)

    def add(self, name: str, *, joined: bool = True) -> None:
        self.cluster.peers[name] = PeerConfig(proxy=f"http://{name}", models="auto", joined=joined)
        self.cluster.nodes[name] = Node(name, NodeState.UP, 0.0, report=NEW)

    def reports(self, name: str, part: PartReport) -> None:
        node = self.cluster.nodes[name]
        self.cluster.nodes[name] = replace(node, report=replace(NEW, part=part))


class Nodes:
    """Takes what is sent; `answers` are why not, in turn, `is_final` whether unread."""

    def __init__(self, machines: KnownMachines, *answers: str, is_final: bool = False) -> None:
        self._is_final = is_final
        self.sent: asyncio.Queue[tuple[str, list[str]]] = asyncio.Queue()
        self._machines = machines
        self._answers = list(answers)

    async def put(self, peer: PeerConfig, part: dict[str, Any]) -> tuple[str, bool]:
        name, models = peer.proxy.removeprefix("http://"), [model["name"] for model in part["models"]]
        why = self._answers.pop(0) if self._answers else ""
        if not why:
            self._machines.reports(name, PartReport(True, self._machines.parts[name].part.revision))
        self.sent.put_nowait((name, models))
        return why, bool(why) and self._is_final


def sender(machines: KnownMachines) -> PartSender:
    return PartSender(cast("Machines", machines))


def test_who_has_joined_gets_all_and_a_peer_what_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        machines = KnownMachines()
        machines.add("desk")
        machines.add("peer", joined=False)
        nodes = Nodes(machines)
        monkeypatch.setattr(part_sender, "_put", nodes.put)
        sending = sender(machines)
        y = replace(X, name="y")
        sending.reconfigure((SharedOut(X, "all"), SharedOut(y, ("peer",))))
        assert sorted([await nodes.sent.get(), await nodes.sent.get()]) == [("desk", ["x"]), ("peer", ["y"])]
        # Taken out again: an empty one is sent to who has one.
        sending.reconfigure(())
        assert sorted([await nodes.sent.get(), await nodes.sent.get()]) == [("desk", []), ("peer", [])]
        sending.look("desk")
        sending.look("nobody")
        await sending.close()
        assert nodes.sent.empty()

    asyncio.run(run())


def test_files_are_meant_for_who_is_to_have_a_model_that_needs_them() -> None:
    async def run() -> None:
        machines = KnownMachines()
        for name in ("desk", "lap"):
            machines.add(name)
        sending = sender(machines)
        with pytest.raises(FilesNotKnown):
            sending.is_meant("desk", "a.gguf")
        model = replace(X, files=(SharedFile("a.gguf", 1, "h"),))
        sending.reconfigure((SharedOut(model, ("desk",)), SharedOut(X, "all")))
        meant = [sending.is_meant(*each) for each in (("desk", "a.gguf"), ("desk", "b.gguf"), ("lap", "a.gguf"))]
        assert meant == [True, False, False]
        await sending.close()

    asyncio.run(run())


def test_what_could_not_be_brought_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        machines = KnownMachines()
        machines.add("desk")
        nodes = Nodes(machines, "no route", "it broke off")
        monkeypatch.setattr(part_sender, "_put", nodes.put)
        monkeypatch.setattr(part_sender, "AGAIN_SECONDS", 0.0)
        sending = sender(machines)
        sending.reconfigure((SharedOut(X, "all"),))
        for _ in range(3):
            assert await nodes.sent.get() == ("desk", ["x"])
        await sending.close()
        assert nodes.sent.empty()

    asyncio.run(run())


def test_what_was_refused_is_not_sent_again_until_it_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        machines = KnownMachines()
        machines.add("desk")
        nodes = Nodes(machines, "it has refused it")
        monkeypatch.setattr(part_sender, "_put", nodes.put)
        sending = sender(machines)
        sending.reconfigure((SharedOut(X, "all"),))
        await nodes.sent.get()
        await asyncio.sleep(0)
        machines.reports("desk", PartReport(True, "", machines.parts["desk"].part.revision, "why"))
        sending.reconfigure((SharedOut(X, "all"),))
        sending.look("desk")
        await asyncio.sleep(0)
        assert nodes.sent.empty()
        sending.reconfigure((SharedOut(replace(X, entry={"cmd": "other ${PORT}"}), "all"),))
        assert await nodes.sent.get() == ("desk", ["x"])
        await sending.close()

    asyncio.run(run())


def test_what_is_refused_unread_is_refused_and_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too large, say: the node's own report knows nothing of it."""

    async def run() -> None:
        machines = KnownMachines()
        machines.add("desk")
        nodes = Nodes(machines, "at most 5000 items", is_final=True)
        monkeypatch.setattr(part_sender, "_put", nodes.put)
        sending = sender(machines)
        shared = (SharedOut(X, "all"),)
        sending.reconfigure(shared)
        task = sending._sending["desk"]
        await asyncio.wait_for(nodes.sent.get(), 10)
        await task
        for _ in range(2):
            desk = machines.cluster.nodes["desk"]
            assert standing(desk, machines.parts["desk"]) is PartStanding.REFUSED
            assert why(desk, machines.parts["desk"]) == "at most 5000 items"
            sending.look("desk")
            assert not sending._sending
            sending.reconfigure(shared)  # something else has changed
        # The next run of it may be another version; so may the next part be a smaller one.
        machines.cluster.nodes["desk"] = replace(desk, report=replace(NEW, identity="another run"))
        sending.look("desk")
        assert await asyncio.wait_for(nodes.sent.get(), 10) == ("desk", ["x"])
        await sending.close()

    asyncio.run(run())
