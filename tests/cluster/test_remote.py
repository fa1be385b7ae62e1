"""Models of other machines under a real supervisor, with news of the machines as a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping

import pytest

from claracore.core.cluster.model import (
    Fit,
    Node,
    NodeEvent,
    NodeKind,
    NodeLost,
    NodeModel,
    NodeReport,
    NodeSilent,
    NodeState,
    NodeTold,
    NodeUp,
)
from claracore.core.config.load import load
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.peers import shared_names, with_found, with_peers
from claracore.core.config.routing import PeerConfig
from claracore.errors import ClaraCoreError, MachineLost
from claracore.host.cluster.cluster import Cluster
from claracore.host.cluster.identity import IDENTITY
from claracore.host.cluster.machines import Machines
from claracore.host.cluster.models_known import KnownModels
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.remote import ClusterRunner
from claracore.host.supervisor.runner import RunListener, ServerRun
from claracore.http.gateway.resolver import Resolver
from claracore.http.gateway.targets import ActiveProfile
from claracore.types import Endpoint, ModelState

TEXT = """
models: {x: {cmd: "serve ${PORT}"}}
peers:
  desk: {proxy: "http://127.0.0.2:5800", models: auto, wake: {mac: "aa:bb:cc:dd:ee:ff", broadcast: 127.0.0.1}}
  lap: {proxy: "http://127.0.0.3:5800/base", models: auto, apiKey: k}
selectors:
  any: {strategy: warm, targets: [x, desk/x, lap/x]}
  most: {strategy: spillover, targets: [x, lap/x], settings: {spillover: 1}}
"""


def configured(**found: tuple[str, ...]) -> Config:
    loaded = load(TEXT, env={})
    assert loaded.config is not None, loaded.findings
    return with_peers(with_found(loaded.config, found))


class Scripted:
    """A membership whose events the test makes."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.followed: list[set[str]] = []
        self.on_look: Callable[[str], None] = lambda _name: None

    async def follow(self) -> AsyncIterator[NodeEvent]:
        await asyncio.Event().wait()
        yield NodeUp("", 0)

    def reconfigure(self, peers: Mapping[str, PeerConfig]) -> None:
        self.followed.append(set(peers))

    def look_soon(self, node: str) -> None:
        self.looks.append(node)
        self.on_look(node)


class Listener:
    def __init__(self) -> None:
        self.found: list[Mapping[str, tuple[str, ...]]] = []
        self.lost: list[str] = []

    def models_found(self, found: Mapping[str, tuple[str, ...]]) -> None:
        self.found.append(found)

    def node_lost(self, node: Node) -> None:
        self.lost.append(node.name)

    def node_up(self, node: Node) -> None:
        assert node.state is NodeState.UP

    def hears(self, name: str) -> bool:
        """Hear nothing."""
        del name
        return False

    def node_changed(self, name: str) -> None:
        assert name


class NoLocal:
    """Nothing is started on this machine here."""

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ServerRun:
        raise AssertionError(model, output, listener)

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        raise AssertionError(model, output)

    def stamp(self, model: ModelConfig) -> Hashable:
        return model.id


class Waits:
    def __init__(self) -> None:
        self.done: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()

    def serve(self, endpoint: Endpoint) -> None:
        self.done.set_result(endpoint)

    def refuse(self, error: ClaraCoreError) -> None:
        self.done.set_exception(error)


class World:
    """A supervisor whose models are on two other machines, and one that is never started here."""

    def __init__(self) -> None:
        self.members = Scripted()
        runner = ClusterRunner(NoLocal(), lambda _: self.members)
        self.cluster: Cluster = runner.cluster
        self.listener = Listener()
        self.config = configured(desk=("x", "y"), lap=("x",))
        self.supervisor = Supervisor(self.config, runner)
        self.machines = Machines(self.cluster, self.supervisor)
        self.cluster.begin(self.config, self.listener)
        self.machines.reconfigure(self.config)
        self.resolver = Resolver(self.config, ActiveProfile(), self.state, self.machines.requests, self.machines)

    def state(self, model_id: str) -> ModelState:
        return self.machines.state(model_id) or self.supervisor.state(model_id)

    def up(self, name: str, *models: NodeModel, identity: str = "") -> None:
        self.cluster.take(NodeUp(name, 1))
        self.told(name, *models, identity=identity)

    def told(self, name: str, *models: NodeModel, identity: str = "") -> None:
        self.cluster.take(NodeTold(name, 1, NodeReport(NodeKind.CLARACORE, models, identity)))

    def lose(self, name: str) -> None:
        self.cluster.take(NodeLost(name, 2, "gone"))

    async def ask(self, model_id: str) -> Endpoint:
        waiter = Waits()
        request = self.supervisor.arrive(model_id, waiter)
        try:
            return await waiter.done
        finally:
            if waiter.done.done() and waiter.done.exception() is None:
                self.supervisor.finish(request)

    def best(self, name: str) -> str:
        return self.resolver.find(name, None).model_id


def play(conversation: Callable[[World], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        world = World()
        async with asyncio.timeout(30):
            await conversation(world)
            await world.supervisor.shut_down(0)
        await world.cluster.close()

    asyncio.run(all_of_it())


READY = NodeModel("x", ModelState.READY)


def test_a_model_of_another_machine_is_served_there_until_the_machine_is_lost_and_again_when_it_is_back() -> None:
    async def conversation(world: World) -> None:
        world.up("lap", READY)
        assert await world.ask("lap/x") == Endpoint("127.0.0.3", 5800)
        assert world.supervisor.state("lap/x") is ModelState.READY
        world.lose("lap")
        assert world.listener.lost == ["lap"]
        await world.supervisor.unload(["lap/x"])  # waits for the end of its run
        with pytest.raises(MachineLost, match="machine 'lap', which has model 'lap/x', is lost: gone"):
            await world.ask("lap/x")
        world.up("lap", READY)
        assert await world.ask("lap/x")  # at once: what failed has changed

    play(conversation)


def test_a_machine_that_sleeps_is_woken_by_a_request_which_waits() -> None:
    async def conversation(world: World) -> None:
        world.up("desk", READY)
        world.lose("desk")
        waking = asyncio.create_task(world.ask("desk/x"))
        looked = asyncio.Event()
        world.members.on_look = lambda _name: looked.set()
        await looked.wait()
        assert world.state("desk/x") is ModelState.STARTING
        running = world.supervisor.running("desk/x")
        assert running is not None
        assert running.loading is not None
        assert running.loading.message == "waking desk"
        world.up("desk", READY)
        assert await waking == Endpoint("127.0.0.2", 5800)

    play(conversation)


def test_after_a_start_a_machine_that_may_sleep_is_looked_at_and_then_woken() -> None:
    """Its models are known from before; nobody knows yet whether it sleeps."""

    async def conversation(world: World) -> None:
        asked = asyncio.create_task(world.ask("desk/x"))
        looked = asyncio.Event()
        world.members.on_look = lambda _name: looked.set()
        await asyncio.sleep(0)
        assert world.state("desk/x") is ModelState.STARTING
        assert not world.members.looks
        world.cluster.take(NodeSilent("desk", 1, "no answer within 2 s"))
        await looked.wait()
        world.up("desk", READY)
        assert await asked == Endpoint("127.0.0.2", 5800)

    play(conversation)


def test_what_a_machine_had_is_there_until_it_says_something_else() -> None:
    async def conversation() -> None:
        members, listener = Scripted(), Listener()
        cluster = Cluster(lambda _: members)
        cluster.known = {
            "desk": KnownModels("http://127.0.0.2:5800", ("x", "old")),
            "lap": KnownModels("http://127.0.0.9:5800", ("x",)),  # it was elsewhere
            "gone": KnownModels("http://127.0.0.4:5800", ("x",)),
        }
        cluster.begin(configured(), listener)
        assert listener.found == [{"desk": ("x", "old")}]
        cluster.take(NodeLost("desk", 1, "gone"))
        assert listener.found == [{"desk": ("x", "old")}]
        assert cluster.known_now() == {"desk": cluster.known["desk"]}
        cluster.take(NodeUp("desk", 2))
        cluster.take(NodeTold("desk", 2, NodeReport(NodeKind.CLARACORE, (READY,))))
        assert listener.found[1:] == [{"desk": ("x",)}]
        assert cluster.known_now() == {"desk": KnownModels("http://127.0.0.2:5800", ("x",))}
        await cluster.close()

    asyncio.run(conversation())


def test_what_is_found_is_told_once_and_nothing_of_ourselves() -> None:
    async def conversation(world: World) -> None:
        world.up("desk", READY)
        world.told("desk", READY)
        world.told("desk", NodeModel("x"))
        assert world.listener.found == [{"desk": ("x",)}]
        world.up("lap", READY, identity=IDENTITY)
        assert world.listener.found[-1] == {"desk": ("x",), "lap": ()}
        assert world.cluster.is_ourselves("lap")

    play(conversation)


def test_a_name_means_the_best_place_and_selectors_see_states_elsewhere() -> None:
    async def conversation(world: World) -> None:
        assert shared_names(world.config) == {"x": ("x", "desk/x", "lap/x")}
        world.up("lap", READY)
        world.up("desk", NodeModel("x", fit=Fit.AFTER))
        assert [world.best(name) for name in ("x", "any", "most", "lap/x", "y")] == [
            "lap/x", "lap/x", "lap/x", "lap/x", "desk/y",
        ]  # fmt: skip
        world.lose("lap")
        assert [world.best(name) for name in ("x", "any")] == ["x", "x"]
        # Its own machine comes first for a request that another one sent on.
        assert world.resolver.near(world.resolver.find("x", None)).model_id == "x"

    play(conversation)


def test_requests_have_a_model_loaded_before_its_machine_says_so() -> None:
    async def conversation(world: World) -> None:
        world.up("lap", NodeModel("x", fit=Fit.NOW))
        assert world.state("lap/x") is ModelState.STOPPED
        waiter = Waits()
        request = world.supervisor.arrive("lap/x", waiter)
        await waiter.done
        assert world.state("lap/x") is ModelState.STARTING
        world.supervisor.finish(request)
        assert world.state("lap/x") is ModelState.STOPPED

    play(conversation)


def test_a_request_may_go_elsewhere_where_another_machine_is_among_the_places() -> None:
    async def conversation(world: World) -> None:
        world.up("lap", READY)
        target = world.resolver.find("lap/x", None)
        assert not target.moves
        assert world.resolver.elsewhere(target, None) == []
        shared = world.resolver.find("x", None)
        assert shared.moves
        assert [each.model_id for each in world.resolver.elsewhere(shared, None)][:1] == ["lap/x"]
        chosen = world.resolver.find("any", None)
        assert [each.model_id for each in world.resolver.elsewhere(chosen, None)] == ["lap/x", "x", "desk/x"]

    play(conversation)
