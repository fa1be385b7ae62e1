"""Events in, orders carried out: with real processes (fakes) and a real loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.ports.address import is_this_host
from claracore.core.ports.listen import Listen
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import Arrived, Event, Finished, Order, SecondTry, StopReason
from claracore.core.scheduler.policy_from_config import policy_of
from claracore.errors import (
    ClaraCoreError,
    Conflict,
    ModelFailed,
    ModelNotFound,
    ModelUnloaded,
    PortTaken,
    ShuttingDown,
)
from claracore.host.engines.abilities import Abilities
from claracore.host.sockets.host import own_hosts, plan_here
from claracore.host.sockets.owner import Grounds, Ownership
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.contract import NoConnections
from claracore.host.supervisor.life import Life, LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.preload import preload
from claracore.host.supervisor.program import SpawnFailed
from claracore.host.supervisor.server_process import ServerProcess
from claracore.host.supervisor.surroundings import Surroundings
from claracore.host.supervisor.verified import OwnerCheck
from claracore.types import Endpoint, ModelState
from fakes import command
from fakes.ports import free_port, free_run
from supervisor.test_verified import no_more_files


def config_of(models: dict[str, str], more: str = "") -> Config:
    rows = "".join(f"  {name}: {{cmd: '{cmd}', unloadTimeout: 1}}\n" for name, cmd in models.items())
    loaded = load(f"startPort: {free_run(4).start}\nmodels:\n{rows}{more}", env={})
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
        supervisor = Supervisor(config, LocalRunner(around))
        try:
            async with asyncio.timeout(60):
                yield supervisor
        finally:
            await supervisor.shut_down(0.0)


def surroundings(supervisor: Supervisor) -> Surroundings:
    runner = supervisor._runs._runner
    assert isinstance(runner, LocalRunner)
    return runner.around


def process_of(supervisor: Supervisor, model: str) -> ServerProcess:
    """The process of a model's server, with what only this host knows of it."""
    life = supervisor._runs.get(model)
    assert isinstance(life, Life)
    assert life._process is not None
    return life._process


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
    config = config_of({"a": fake()})
    async with supervising(config, tmp_path) as supervisor:
        first, _ = await served(supervisor, "a")
        request = Request()
        second = supervisor.arrive("a", request)
        assert request.endpoint is not None
        assert request.endpoint.port == config.start_port
        supervisor.finish(first)
        supervisor.finish(second)


@run
async def test_a_swap_stops_the_one_and_starts_the_other(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        number, _ = await served(supervisor, "a")
        running = supervisor.running("a")
        assert running is not None
        process = psutil.Process(running.pid)
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
        child = process_of(supervisor, "a").child
        assert child is not None
        exited = child.exited

        class Closing(NoConnections):
            def close_endpoint(self, endpoint: Endpoint, why: str) -> None:
                closed.append((endpoint, exited.done()))
                assert why == "it is being stopped"

        supervisor.connect(Closing())
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


def starts(supervisor: Supervisor) -> Told:
    told = Told(supervisor)
    supervisor.follow(told)
    return told


@run
async def test_a_model_that_does_not_start_is_not_started_by_every_request(tmp_path: Path) -> None:
    config = config_of({"a": fake("--crash", "start", "--print", "no memory")})
    async with supervising(config, tmp_path) as supervisor:
        told = starts(supervisor)
        _, first = await served(supervisor, "a")
        others = [(await served(supervisor, "a"))[1] for _ in range(5)]
        for request in (first, *others):
            assert isinstance(request.error, ModelFailed)
            assert request.error.headers()["x-should-retry"] == "false"
            assert 1 <= int(request.error.headers()["Retry-After"]) <= 5
            assert ("last tried" in request.error.message) == (request is not first)
            assert "no memory" in request.error.message
        assert told.all.count("a starting: starting") == 1
        assert 0 < (supervisor.retry_seconds("a") or 0) <= 5
        with pytest.raises(ModelFailed) as failure:
            await supervisor.load("a")
        assert "last tried" not in failure.value.message
        assert told.all.count("a starting: starting") == 2
        supervisor.reconfigure(config, frozenset())
        assert supervisor.retry_seconds("a") is None


@run
async def test_a_load_may_take_longer_than_the_waiting_for_a_turn(tmp_path: Path) -> None:
    config = config_of(
        {}, f"  a: {{cmd: '{fake('--ready-after', '2')}', healthCheckTimeout: 1, queue: {{timeout: 1}}}}\n"
    )
    async with supervising(config, tmp_path) as supervisor:
        number, request = await served(supervisor, "a")
        assert request.endpoint is not None, request.error
        supervisor.finish(number)


@run
async def test_a_model_whose_files_have_changed_is_tried_at_once(tmp_path: Path) -> None:
    """The program comes to life, then a shard of its model does; a log that every try writes is no reason."""
    program, shard, log = tmp_path / "server.sh", tmp_path / "m-00002-of-00002.gguf", tmp_path / "server.log"
    model = tmp_path / "m-00001-of-00002.gguf"
    model.touch()
    program.write_text(f"#!/bin/sh\necho tried >>{log}\nexit 1\n")
    program.chmod(0o755)
    config = config_of({"a": f"{program} ${{PORT}} --log-file {log} --model={model}"})
    async with supervising(config, tmp_path) as supervisor:
        told = starts(supervisor)
        await served(supervisor, "a")
        log.write_text("something else")
        await served(supervisor, "a")
        assert told.all.count("a starting: starting") == 1
        program.write_text(f"#!/bin/sh\ntest -f {shard} && exec {' '.join(command('--port', '$1'))}\n")
        assert (await served(supervisor, "a"))[1].error is not None
        await served(supervisor, "a")
        assert told.all.count("a starting: starting") == 2
        shard.touch()
        number, request = await served(supervisor, "a")
        assert request.endpoint is not None, request.error
        supervisor.finish(number)


def test_the_record_at_debug_level_replays_what_happened_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of({"a": fake(), "b": fake()})

    async def ask(supervisor: Supervisor, model: str, among_events: list[bool]) -> int:
        request = Request(then=lambda: among_events.append(supervisor._handling))
        number = supervisor.arrive(model, request)
        await request.told.wait()
        return number

    async def story() -> list[bool]:
        among_events: list[bool] = []
        async with supervising(config, tmp_path) as supervisor:
            numbers = [await ask(supervisor, "a", among_events) for _ in range(2)]
            for number in numbers:
                supervisor.finish(number)
            supervisor.finish(await ask(supervisor, "b", among_events))
        return among_events

    for level in (logging.INFO, logging.DEBUG):
        caplog.set_level(level, logger="claracore.supervisor")
        assert asyncio.run(story()) == [True, False, True], "a request for a ready model is no event"
    begins = [record.args for record in caplog.records if record.msg == "%r begins with %s"]
    assert [args[1] for args in begins if isinstance(args, tuple)] == [policy_of(config)], (
        "once, before the first event"
    )
    replayed, seen = Scheduler(policy_of(config)), 0
    for record in caplog.records:
        if record.msg == "%r %s -> %s":
            now, event, orders = cast("tuple[float, Event, list[Order]]", record.args)
            assert replayed.handle(event, now) == orders, event
            seen += isinstance(event, (Arrived, Finished))
    assert seen == 6


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
        self.loading = asyncio.Event()
        self._supervisor = supervisor

    def waiting(self, model: str) -> None:
        self._add("waiting", model)

    def starting(self, model: str) -> None:
        self._add("starting", model)

    def ready(self, model: str) -> None:
        self._add("ready", model)

    def stopping(self, model: str, reason: StopReason) -> None:
        self._add(reason.name, model)

    def ended(self, model: str) -> None:
        self._add("ended", model)

    def trying_again(self, model: str, how: SecondTry) -> None:
        self._add(f"again: {how.name}", model)

    def reported(self, model: str) -> None:
        self._add("reported", model)
        self.loading.set()

    def pinned(self, model: str) -> None:
        self._add(f"pinned {self._supervisor.slots[model].pinned}", model)

    def _add(self, what: str, model: str) -> None:
        self.all.append(f"{model} {what}: {self._supervisor.state(model)}")


@run
async def test_the_listener_hears_everything_when_it_is_true(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        told = Told(supervisor)
        supervisor.follow(told)
        await supervisor.load("a")
        supervisor.pin("a", pinned=True)
        supervisor.pin("a", pinned=False)
        await supervisor.load("b")
        assert told.all == [
            "a starting: starting",
            "a waiting: starting",
            "a ready: ready",
            "a pinned True: ready",
            "a pinned False: ready",
            "b waiting: stopped",
            "a EVICTED: stopping",
            "a ended: stopped",
            "b starting: starting",
            "b ready: ready",
        ]


@run
async def test_preload_goes_on_after_a_failure(tmp_path: Path) -> None:
    more = "hooks: {on_startup: {preload: [a, b]}}\n"
    async with supervising(config_of({"a": fake("--crash", "start"), "b": fake()}, more), tmp_path) as supervisor:
        await preload(supervisor)
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
async def test_a_command_that_is_written_for_a_shell_or_detaches_is_told_what_to_write(tmp_path: Path) -> None:
    commands = {"a": "A=1 server --port ${PORT}", "b": "false ${PORT} > log", "c": 'sh -c "true ${PORT} &"'}
    async with supervising(config_of(commands), tmp_path) as supervisor:
        with pytest.raises(SpawnFailed, match=r"'A=1': not found .* write `env: \[\"A=\.\.\.\"\]`"):
            await supervisor.load("a")
        with pytest.raises(ModelFailed, match=r"'>' reaches the program as a word: remove it"):
            await supervisor.load("b")
        with pytest.raises(ModelFailed, match=r"exit code 0; & returns at once .*: remove it"):
            await supervisor.load("c")


@run
async def test_an_external_server_is_served_without_a_process(tmp_path: Path) -> None:
    config = config_of({}, "  far: {cmd: '', proxy: 'http://192.0.2.1:8080/base'}\n")
    async with supervising(config, tmp_path) as supervisor:
        _, request = await served(supervisor, "far")
        assert request.endpoint == Endpoint("192.0.2.1", 8080)
        running = supervisor.running("far")
        assert running is not None
        assert running.pid is None


@run
async def test_a_model_that_leads_to_ourselves_is_refused(tmp_path: Path) -> None:
    config = config_of({}, f"  loop: {{cmd: '', proxy: 'http://127.0.0.1:{Listen().port}'}}\n")
    async with supervising(config, tmp_path) as supervisor:
        _, request = await served(supervisor, "loop")
        assert isinstance(request.error, PortTaken)
        assert "ClaraCore itself listens" in request.error.message


@run
async def test_shutdown_refuses_who_waits_and_leaves_nothing(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        await served(supervisor, "a")
        running = supervisor.running("a")
        assert running is not None
        process = psutil.Process(running.pid)
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
async def test_who_was_sent_to_an_earlier_run_reaches_nobody_while_the_next_one_starts(tmp_path: Path) -> None:
    """Both have the same endpoint; the second one must neither be taken for verified nor for lost."""
    async with supervising(config_of({"a": fake("--loading")}), tmp_path) as supervisor:
        loading = starts(supervisor).loading
        supervisor.arrive("a", Request())
        await asyncio.sleep(0)  # its task has run up to where its process is started
        running = supervisor.running("a")
        assert running is not None
        assert running.endpoint is not None
        with socket.socket() as connection:
            assert not await supervisor.reaches("a", running.endpoint, connection)
            assert not await supervisor.confirm("a", running.endpoint)
            await loading.wait()
            assert not await supervisor.reaches("a", running.endpoint, connection)
            assert not await supervisor.confirm("a", running.endpoint)
        process = process_of(supervisor, "a")
        assert not process.lost
        with socket.socket() as connection:
            assert not await process.reaches(connection)
        assert not await process.confirm()
        earlier = Request()
        assert supervisor.take_back(0, "a", running.endpoint, earlier)
        assert list(supervisor.slots["a"].waiting) == [0, 1]


@run
async def test_a_container_to_which_packets_are_forwarded_is_lost_when_it_takes_no_connection(tmp_path: Path) -> None:
    """There is no listener that could be missed: only who fails to connect notices."""
    forwarded = Ownership(ours=True, grounds=Grounds.FORWARDED)
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        await served(supervisor, "a")
        process = process_of(supervisor, "a")
        assert process.child is not None
        verdicts = [forwarded, forwarded, Ownership(ours=False)]
        check = OwnerCheck(
            Endpoint("127.0.0.1", free_port()),
            process.child.pid,
            look=lambda: verdicts.pop(0),
            seal=lambda _: True,
            take=lambda _: None,
        )
        assert check.verify()
        process._watch = process._watch_of(check)  # whom the kernel forwards to cannot be made up without rights
        assert await process.confirm(in_passing=True)
        assert not await process.confirm()
        assert process.lost


@run
async def test_a_proxy_may_name_this_machine(tmp_path: Path) -> None:
    """Whoever listens is known by address: a name that is not looked up would be nobody's."""
    host = socket.gethostname()
    try:
        address = socket.gethostbyname(host)
    except OSError:
        pytest.skip("this machine does not know its own name")
    if not is_this_host(address, own_hosts()):
        pytest.skip("the name of this machine means another one")
    row = f"  a: {{cmd: '{fake('--host', address)}', proxy: 'http://{host}:${{PORT}}', unloadTimeout: 1}}\n"
    loaded = load(f"startPort: {free_port()}\nmodels:\n{row}", env={})
    assert loaded.config is not None
    async with supervising(loaded.config, tmp_path) as supervisor:
        _, request = await served(supervisor, "a")
        assert request.endpoint is not None
        assert request.endpoint.host == address


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are asked in another way")
@run
async def test_a_model_is_not_lost_because_no_more_files_can_be_opened(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        await served(supervisor, "a")
        process = process_of(supervisor, "a")
        with no_more_files():
            assert await process.confirm()
        assert not process.lost


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
        ledger = surroundings(supervisor).keeper.ledger
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
    text = f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{cmd}', checkEndpoint: none, unloadTimeout: 1{more}}}\n"
    loaded = load(text, env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


async def start_and_stop(supervisor: Supervisor) -> tuple[Request, int]:
    """Return the request and the conflicts that were counted."""
    request = Request()
    number = supervisor.arrive("a", request, by_hand=True)
    await request.told.wait()
    if request.error is None:
        supervisor.finish(number)
    await supervisor.unload(["a"])
    return request, surroundings(supervisor).keeper.conflicts["a"]


@run
async def test_a_server_that_looks_before_it_binds_starts_every_time_on_its_port(tmp_path: Path) -> None:
    config = probing(tmp_path, "")
    async with supervising(config, tmp_path) as supervisor:
        for _ in range(5):
            request, conflicts = await start_and_stop(supervisor)
            assert request.endpoint is not None, request.error
            assert (request.endpoint.port, conflicts) == (config.start_port, 0)


@run
async def test_a_server_that_waits_for_its_port_fails_once_at_the_most(tmp_path: Path) -> None:
    async with supervising(probing(tmp_path, ", healthCheckTimeout: 1", "waits"), tmp_path) as supervisor:
        outcomes = [(await start_and_stop(supervisor))[0].error is None for _ in range(4)]
        assert outcomes == [True, False, True, True]
