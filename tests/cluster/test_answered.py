"""A model that answers is loaded there, whatever its machine has said last; what the machine says next counts again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from claracore.core.cluster.model import (
    Node,
    NodeEvent,
    NodeKind,
    NodeLost,
    NodeModel,
    NodeReport,
    NodeState,
    NodeTold,
    NodeUp,
)
from claracore.core.config.load import load
from claracore.host.cluster.cluster import Cluster
from claracore.types import ModelState

TEXT = "models: {}\npeers: {desk: {proxy: 'http://desk:1', models: auto}}\n"


class Watched:
    """A membership that notes who is to be looked at, and a listener that notes who has changed."""

    def __init__(self) -> None:
        self.looked_at: list[str] = []
        self.changed: list[str] = []

    async def follow(self) -> AsyncIterator[NodeEvent]:
        await asyncio.Event().wait()
        yield NodeUp("", 0)

    def reconfigure(self, peers: object) -> None:
        pass

    def look_soon(self, node: str) -> None:
        self.looked_at.append(node)

    def models_found(self, found: Mapping[str, tuple[str, ...]]) -> None:
        pass

    def node_lost(self, node: Node) -> None:
        pass

    def node_up(self, node: Node) -> None:
        pass

    def hears(self, name: str) -> bool:
        del name
        return False

    def node_changed(self, name: str) -> None:
        self.changed.append(name)


def report(state: ModelState, kind: NodeKind = NodeKind.CLARACORE) -> NodeTold:
    return NodeTold("desk", 1, NodeReport(kind, (NodeModel("x", state), NodeModel("y", ModelState.STOPPED))))


def told(then: Callable[[Cluster, Watched], None], kind: NodeKind = NodeKind.CLARACORE) -> None:
    """Have `x` on a machine that has said of it that it starts."""

    async def conversation() -> None:
        config, watched = load(TEXT, env={}).config, Watched()
        assert config is not None
        cluster = Cluster(lambda _: watched)
        cluster.begin(config, watched)
        cluster.take(NodeUp("desk", 1))
        cluster.take(report(ModelState.STARTING, kind))
        watched.changed.clear()
        then(cluster, watched)
        await cluster.close()

    asyncio.run(conversation())


def test_an_answer_says_that_it_is_loaded() -> None:
    def then(cluster: Cluster, watched: Watched) -> None:
        cluster.answered("desk/x", is_stream=False)
        assert [cluster.state(id_) for id_ in ("desk/x", "desk/y")] == [ModelState.READY, ModelState.STOPPED]
        node = cluster.nodes["desk"]
        assert node.report is not None
        assert node.report.loaded == ("x",)
        assert (watched.looked_at, watched.changed) == (["desk"], ["desk"])
        cluster.answered("desk/x", is_stream=False)  # each further one is no news
        assert (watched.looked_at, watched.changed) == (["desk"], ["desk"])

    told(then)


@pytest.mark.parametrize("state", [ModelState.STARTING, ModelState.STOPPED, ModelState.READY])
def test_what_the_machine_says_next_counts(state: ModelState) -> None:
    def then(cluster: Cluster, _watched: Watched) -> None:
        cluster.answered("desk/x", is_stream=False)
        cluster.take(report(state))
        assert cluster.state("desk/x") is state

    told(then)


def test_a_stream_may_have_begun_while_it_loads() -> None:
    def then(cluster: Cluster, watched: Watched) -> None:
        cluster.answered("desk/x", is_stream=True)
        assert cluster.state("desk/x") is ModelState.STARTING
        assert watched.looked_at == ["desk"]

    told(then)


def test_another_program_is_not_asked_for_each_answer() -> None:
    def then(cluster: Cluster, watched: Watched) -> None:
        cluster.answered("desk/x", is_stream=False)
        assert (cluster.state("desk/x"), watched.looked_at) == (ModelState.READY, [])

    told(then, NodeKind.OLLAMA)


@pytest.mark.parametrize("name", ["x", "desk/z", "lap/x"])
def test_others_are_none_of_its_business(name: str) -> None:
    def then(cluster: Cluster, watched: Watched) -> None:
        cluster.answered(name, is_stream=False)
        assert watched.changed == []

    told(then)


def test_who_waits_for_a_machine_hears_that_it_is_back_with_what_it_had() -> None:
    def then(cluster: Cluster, _watched: Watched) -> None:
        heard: list[str] = []
        cluster.take(NodeLost("desk", 2, "gone"))
        cluster.watch("desk", lambda: heard.append(cluster.nodes["desk"].state))
        cluster.take(NodeUp("desk", 3))
        cluster.take(report(ModelState.STARTING))
        assert heard == [NodeState.UP]
        cluster.take(report(ModelState.STARTING))
        assert heard == [NodeState.UP]

    told(then)
