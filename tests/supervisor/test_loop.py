"""Events in, orders carried out: with real processes (fakes) and a real loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from claracore.config.load import load
from claracore.config.model import Config
from claracore.engines.abilities import Abilities
from claracore.errors import ClaraCoreError, Conflict, ModelFailed, ModelNotFound, ModelUnloaded, ShuttingDown
from claracore.ports.listen import Listen
from claracore.scheduler.events import StopReason
from claracore.sockets.host import plan_here
from claracore.sockets.ports import PortKeeper
from claracore.supervisor.commands import Commands
from claracore.supervisor.life import Surroundings
from claracore.supervisor.loop import Supervisor
from claracore.supervisor.program import SpawnFailed
from claracore.types import Endpoint, ModelState
from fakes import command


def config_of(models: dict[str, str], more: str = "", start: int = 24700) -> Config:
    rows = "".join(f"  {name}: {{cmd: '{cmd}', unloadTimeout: 1}}\n" for name, cmd in models.items())
    loaded = load(f"startPort: {start}\nmodels:\n{rows}{more}", env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


def fake(*flags: str) -> str:
    return " ".join(f'"{word}"' for word in command("--port", "${PORT}", *flags))


@dataclass
class Request:
    """A waiter that remembers what it was told."""

    told: asyncio.Event = field(default_factory=asyncio.Event)
    endpoint: Endpoint | None = None
    error: ClaraCoreError | None = None
    then: Callable[[], None] = lambda: None

    def serve(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.told.set()
        self.then()

    def refuse(self, error: ClaraCoreError) -> None:
        self.error = error
        self.told.set()


@contextlib.asynccontextmanager
async def supervising(config: Config, tmp_path: Path) -> AsyncIterator[Supervisor]:
    plan = plan_here(config, Listen(), places={})
    with contextlib.closing(PortKeeper(plan, state_dir=tmp_path, ledger_dir=tmp_path / "ledger")) as keeper:
        around = Surroundings(keeper, Commands(None, lambda _: Abilities()), dict(os.environ), tmp_path / "sockets")
        supervisor = Supervisor(config, around)
        try:
            async with asyncio.timeout(60):
                yield supervisor
        finally:
            await supervisor.shut_down(0.0)


def run(story: Callable[[Path], object]) -> Callable[[Path], None]:
    """Let an async story be a test."""

    def test(tmp_path: Path) -> None:
        asyncio.run(story(tmp_path))  # type: ignore[arg-type]

    test.__name__ = story.__name__
    return test


async def served(supervisor: Supervisor, model: str) -> tuple[int, Request]:
    request = Request()
    number = supervisor.arrive(model, request)
    await request.told.wait()
    return number, request


@run
async def test_a_request_for_a_ready_model_is_served_inside_arrive(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        first, _ = await served(supervisor, "a")
        request = Request()
        second = supervisor.arrive("a", request)
        assert request.endpoint is not None
        assert request.endpoint.port == 24700
        supervisor.finish(first)
        supervisor.finish(second)


@run
async def test_a_swap_stops_the_one_and_starts_the_other(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        number, _ = await served(supervisor, "a")
        life = supervisor.life("a")
        assert life is not None
        assert life.child is not None
        process = psutil.Process(life.child.pid)
        waiting = Request()
        other = supervisor.arrive("b", waiting)
        assert supervisor.position(other) == 1
        assert waiting.endpoint is None
        supervisor.finish(number)
        await waiting.told.wait()
        assert not process.is_running()
        assert (supervisor.state("a"), supervisor.state("b")) == (ModelState.STOPPED, ModelState.READY)
        supervisor.finish(other)


@run
async def test_what_a_waiter_does_when_it_is_told_comes_after_the_orders_at_hand(tmp_path: Path) -> None:
    """A client that is already gone finishes inside `serve`: no re-entrance, nothing lost."""
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        request = Request()
        numbers: list[int] = []
        request.then = lambda: supervisor.finish(numbers[0])
        numbers.append(supervisor.arrive("a", request))
        await request.told.wait()
        assert supervisor.slots["a"].serving == set()
        again = Request()
        again.then = lambda: numbers.append(supervisor.arrive("a", Request()))
        supervisor.finish(supervisor.arrive("a", again))
        assert supervisor.slots["a"].serving == {numbers[1]}


@run
async def test_a_request_that_leaves_before_its_turn_is_forgotten(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake("--loading")}), tmp_path) as supervisor:
        request = Request()
        supervisor.finish(supervisor.arrive("a", request))
        assert supervisor.slots["a"].waiting == {}
        assert not request.told.is_set()


@run
async def test_connections_are_closed_before_a_server_is_told_to_end(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        closed: list[tuple[Endpoint, bool]] = []
        number, request = await served(supervisor, "a")
        life = supervisor.life("a")
        assert life is not None
        assert life.child is not None
        child = life.child
        life.on_closing = lambda endpoint: closed.append((endpoint, child.exited.done()))
        supervisor.finish(number)
        await supervisor.unload(["a"])
        assert closed == [(request.endpoint, False)]


@run
async def test_load_says_why_it_failed_and_remembers(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake("--crash", "start", "--print", "no memory")}), tmp_path) as supervisor:
        with pytest.raises(ModelFailed, match="no memory"):
            await supervisor.load("a")
        assert "no memory" in str(supervisor.failure("a"))
        assert "no memory" in "\n".join(supervisor.output("a").tail(9))
        with pytest.raises(ModelNotFound, match="'a'"):
            await supervisor.load("aa")


@run
async def test_an_unload_ends_a_load_and_tells_who_waits(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake("--loading")}), tmp_path) as supervisor:
        loading = asyncio.create_task(supervisor.load("a"))
        await asyncio.wait({loading}, timeout=0)
        await supervisor.unload(["a"])
        with pytest.raises(ModelUnloaded):
            await loading
        assert supervisor.state("a") is ModelState.STOPPED


@run
async def test_a_pinned_model_is_not_given_up(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        await supervisor.load("a")
        supervisor.pin("a", pinned=True)
        with pytest.raises(Conflict, match="'a' \\(pinned\\)"):
            await supervisor.load("b")
        supervisor.pin("a", pinned=False)
        await supervisor.load("b")


class Told:
    """A listener that writes down what it hears, and in which state the model was."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.all: list[str] = []
        self._supervisor = supervisor

    def starting(self, model: str) -> None:
        self._add("starting", model)

    def ready(self, model: str) -> None:
        self._add("ready", model)

    def stopping(self, model: str, reason: StopReason) -> None:
        self._add(reason.name, model)

    def ended(self, model: str) -> None:
        self._add("ended", model)

    def told(self, model: str) -> None:
        self._add("told", model)

    def pinned(self, model: str) -> None:
        self._add(f"pinned {self._supervisor.slots[model].pinned}", model)

    def _add(self, what: str, model: str) -> None:
        self.all.append(f"{model} {what}: {self._supervisor.state(model)}")


@run
async def test_the_listener_hears_everything_when_it_is_true(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        told = supervisor.listener = Told(supervisor)
        await supervisor.load("a")
        supervisor.pin("a", pinned=True)
        supervisor.pin("a", pinned=False)
        await supervisor.load("b")
        assert told.all == [
            "a starting: starting",
            "a ready: ready",
            "a pinned True: ready",
            "a pinned False: ready",
            "a EVICTED: stopping",
            "a ended: stopped",
            "b starting: starting",
            "b ready: ready",
        ]


@run
async def test_preload_goes_on_after_a_failure(tmp_path: Path) -> None:
    more = "hooks: {on_startup: {preload: [a, b]}}\n"
    async with supervising(config_of({"a": fake("--crash", "start"), "b": fake()}, more), tmp_path) as supervisor:
        await supervisor.preload()
        assert supervisor.state("b") is ModelState.READY


def test_the_log_says_when_a_model_is_ready_and_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def load() -> str:
        async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
            _, request = await served(supervisor, "a")
            return str(request.endpoint)

    caplog.set_level("INFO")
    endpoint = asyncio.run(load())
    assert re.search(rf"model a: ready after \d+\.\d s, at {re.escape(endpoint)}", caplog.text)


@run
async def test_a_program_that_is_missing_is_told_with_the_model_and_the_way_out(tmp_path: Path) -> None:
    config = config_of({"a": "/nowhere/llama-server --port ${PORT}", "b": "nosuch --port ${PORT}"})
    async with supervising(config, tmp_path) as supervisor:
        for model, words in (("a", "/nowhere/llama-server"), ("b", "nosuch")):
            with pytest.raises(SpawnFailed, match=f"model '{model}': cannot start '{words}'"):
                await supervisor.load(model)


@run
async def test_an_external_server_is_served_without_a_process(tmp_path: Path) -> None:
    config = config_of({}, "  far: {cmd: '', proxy: 'http://192.0.2.1:8080/base'}\n")
    async with supervising(config, tmp_path) as supervisor:
        _, request = await served(supervisor, "far")
        assert request.endpoint == Endpoint("192.0.2.1", 8080)
        life = supervisor.life("far")
        assert life is not None
        assert life.child is None


@run
async def test_shutdown_refuses_who_waits_and_leaves_nothing(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        await served(supervisor, "a")
        life = supervisor.life("a")
        assert life is not None
        assert life.child is not None
        process = psutil.Process(life.child.pid)
        waiting = Request()
        supervisor.arrive("b", waiting)
        await supervisor.shut_down(0.0)
        assert isinstance(waiting.error, ShuttingDown)
        assert not process.is_running()
        late = Request()
        supervisor.arrive("a", late)
        assert isinstance(late.error, ShuttingDown)


@run
async def test_a_bug_in_one_waiter_costs_the_others_nothing(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        broken, sound = Request(), Request()

        def fail() -> None:
            raise RuntimeError("a bug in one waiter")

        broken.then = fail
        supervisor.arrive("a", broken)
        number = supervisor.arrive("a", sound)
        await sound.told.wait()
        assert sound.endpoint is not None
        assert supervisor.state("a") is ModelState.READY
        assert supervisor.slots["a"].serving == {number}


@run
async def test_loading_a_model_that_is_ready_does_not_wait_for_its_turn(tmp_path: Path) -> None:
    config = config_of({}, f"  a: {{cmd: '{fake()}', concurrencyLimit: 1, queue: {{limit: 1}}}}\n")
    async with supervising(config, tmp_path) as supervisor:
        loading = asyncio.create_task(supervisor.load("a"))
        await asyncio.wait({loading})
        await served(supervisor, "a")
        await supervisor.load("a")


@run
async def test_kill_does_not_wait_for_a_server_that_is_deaf(tmp_path: Path) -> None:
    config = config_of({}, f"  a: {{cmd: '{fake('--ignore-sigterm')}', unloadTimeout: 3600}}\n")
    async with supervising(config, tmp_path) as supervisor:
        await supervisor.load("a")
        ending = asyncio.create_task(supervisor.shut_down(0.0))
        await asyncio.wait({ending}, timeout=0)
        supervisor.kill()
        await ending


@run
async def test_a_full_disk_under_the_ledger_stops_no_model(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        ledger = supervisor._around.keeper.ledger
        ledger._write = lambda: (_ for _ in ()).throw(OSError(28, "No space left on device"))  # type: ignore[method-assign]
        await supervisor.load("a")
        await supervisor.unload(["a"])
        assert supervisor.state("a") is ModelState.STOPPED


PROBING = """
import socket, sys, threading
port = int(sys.argv[1])
probe = socket.socket()
try:
    probe.bind(("127.0.0.1", port))
except OSError:
    if "waits" in sys.argv:
        threading.Event().wait()
    sys.exit("somebody else is there, it seems")
probe.close()
server = socket.create_server(("127.0.0.1", port))
threading.Event().wait()
"""
"""A server that looks whether it would have its port to itself before it binds it in the usual way."""


def probing(tmp_path: Path, more: str, *words: str) -> Config:
    script = tmp_path / "probing.py"
    script.write_text(PROBING)
    cmd = " ".join(f'"{word}"' for word in (sys.executable, "-I", "-S", str(script), "${PORT}", *words))
    text = f"startPort: 24730\nmodels:\n  a: {{cmd: '{cmd}', checkEndpoint: none, unloadTimeout: 1{more}}}\n"
    loaded = load(text, env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


async def start_and_stop(supervisor: Supervisor) -> tuple[Request, int]:
    """Return the request and the conflicts that were counted."""
    number, request = await served(supervisor, "a")
    if request.error is None:
        supervisor.finish(number)
    await supervisor.unload(["a"])
    return request, supervisor._around.keeper.conflicts["a"]


@run
async def test_a_server_that_looks_before_it_binds_starts_every_time_on_its_port(tmp_path: Path) -> None:
    async with supervising(probing(tmp_path, ""), tmp_path) as supervisor:
        for _ in range(5):
            request, conflicts = await start_and_stop(supervisor)
            assert request.endpoint is not None, request.error
            assert (request.endpoint.port, conflicts) == (24730, 0)


@run
async def test_a_server_that_waits_for_its_port_fails_once_at_the_most(tmp_path: Path) -> None:
    async with supervising(probing(tmp_path, ", healthCheckTimeout: 1", "waits"), tmp_path) as supervisor:
        outcomes = [(await start_and_stop(supervisor))[0].error is None for _ in range(4)]
        assert outcomes == [True, False, True, True]
