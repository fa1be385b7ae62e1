"""A server that reports its state, as llama-server does to a router: heard, believed as far as it goes, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import pytest

from claracore.core.config.load import load
from claracore.core.ports.listen import Listen
from claracore.errors import ModelFailed
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.states import EXIT, MARK
from claracore.host.sockets.host import plan_here
from claracore.host.sockets.ports import PortKeeper
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.life import LocalRunner
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.surroundings import Surroundings
from claracore.types import ModelState
from fakes import command
from fakes.ports import free_port
from fakes.running import LOOPS, control, line_with, python, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from claracore.core.scheduler.events import SecondTry, StopReason
    from fakes.running import Run

loops = pytest.mark.parametrize("run", LOOPS)


def report(state: str, payload: str = "{}") -> str:
    return f'{MARK}{{"state":"{state}","payload":{payload}}}'


def loading(value: float) -> str:
    return report("loading", f'{{"stages":["text_model"],"current":"text_model","value":{value}}}')


@contextlib.asynccontextmanager
async def supervising(tmp_path: Path, *flags: str) -> AsyncIterator[Supervisor]:
    """Supervise one model, `a`, whose server is called llama-server and is said to report its state."""
    program = tmp_path / "llama-server"
    fake = command("--router-child", *flags)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(fake)} "$@"\n')
    program.chmod(0o755)
    text = f"startPort: {free_port()}\nmodels:\n  a: {{cmd: '{program} --port ${{PORT}}', unloadTimeout: 60}}\n"
    config = load(text, env={}).config
    assert config is not None
    commands = Commands(None, lambda _: Abilities(frozenset({"--reuse-port"}), tells_state=True))
    commands.learn(config.models.values())
    plan = plan_here(config, Listen(), places={})
    with contextlib.closing(PortKeeper(plan, state_dir=tmp_path, ledger_dir=tmp_path / "ledger")) as keeper:
        around = Surroundings(keeper, commands, dict(os.environ), tmp_path / "sockets")
        supervisor = Supervisor(config, LocalRunner(around))
        try:
            async with asyncio.timeout(60):
                yield supervisor
        finally:
            await supervisor.shut_down(0.0)


class Heard:
    """A listener that writes down what it can see when a server has told something."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.all: list[str] = []
        self._supervisor = supervisor

    def reported(self, model: str) -> None:
        running = self._supervisor.running(model)
        assert running is not None
        assert running.loading is not None
        self.all.append(f"{running.loading.progress:.0%}".replace("%", " %") + (", asleep" if running.asleep else ""))

    def waiting(self, model: str) -> None: ...
    def starting(self, model: str) -> None: ...
    def ready(self, model: str) -> None: ...
    def stopping(self, model: str, reason: StopReason) -> None: ...
    def ended(self, model: str) -> None: ...
    def trying_again(self, model: str, how: SecondTry) -> None: ...
    def pinned(self, model: str) -> None: ...


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what happens in a child sets no event here
        await asyncio.sleep(0.005)


def progress(supervisor: Supervisor) -> Loading | None:
    running = supervisor.running("a")
    return running.loading if running else None


def asleep(supervisor: Supervisor) -> bool:
    running = supervisor.running("a")
    return running is not None and running.asleep


@loops
def test_how_far_it_has_loaded_is_known_and_is_not_in_its_log(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(tmp_path, "--loading", "--print", loading(0.25)) as supervisor:
            listener = Heard(supervisor)
            supervisor.follow(listener)
            loaded = asyncio.create_task(supervisor.load("a"))
            await until(lambda: progress(supervisor) == Loading("Loading model", 0.25))
            await line_with(supervisor.output("a"), "listening on ")
            running = supervisor.running("a")
            assert running is not None
            assert running.endpoint is not None
            await control(running.endpoint, f"print?text={quote(loading(0.75))}")
            await until(lambda: progress(supervisor) == Loading("Loading model", 0.75))
            # A claim is no proof: as long as /health says 503 it is not ready.
            await control(running.endpoint, f"print?text={quote(report('ready'))}")
            await control(running.endpoint, "print?text=a%20line%20of%20its%20log")
            await line_with(supervisor.output("a"), "a line of its log")
            assert supervisor.state("a") is ModelState.STARTING
            await control(running.endpoint, "ready")
            await loaded
            await control(running.endpoint, f"print?text={quote(report('sleeping'))}")
            await until(lambda: asleep(supervisor))
            await control(running.endpoint, f"print?text={quote(report('ready'))}")
            await until(lambda: not asleep(supervisor))
            assert not [line for line in supervisor.output("a").tail(100) if MARK in line]
            assert listener.all == ["25 %", "75 %", "75 %", "75 %, asleep", "75 %"]

    run(story())


@loops
@pytest.mark.parametrize("says_so", [True, False])
def test_it_is_ended_by_the_line_it_waits_for(run: Run, tmp_path: Path, *, says_so: bool) -> None:
    """SIGTERM alone would leave it there for all of unloadTimeout; one that has not said that it is ready gets both."""

    async def story() -> None:
        flags = ("--ignore-sigterm", "--print", report("ready")) if says_so else ()
        async with supervising(tmp_path, *flags) as supervisor:
            await supervisor.load("a")
            await supervisor.unload(["a"])
            assert supervisor.state("a") is ModelState.STOPPED
            assert supervisor.failure("a") is None

    run(story())


@loops
def test_one_that_somebody_else_has_told_to_end_does_not_count_as_ready_for_long(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(tmp_path) as supervisor:
            await supervisor.load("a")
            running = supervisor.running("a")
            assert running is not None
            process = psutil.Process(running.pid)
            process.send_signal(signal.SIGTERM)
            await until(lambda: supervisor.state("a") is ModelState.STOPPED)
            assert not process.is_running()
            failure = supervisor.failure("a")
            assert isinstance(failure, ModelFailed)
            assert "no longer listens" in failure.message
            await supervisor.load("a")

    run(story())


@loops
def test_a_child_with_two_streams(run: Run) -> None:
    async def story() -> None:
        told: list[str] = []
        code = "import sys; print('out', flush=True); print('err', file=sys.stderr); print('last', end='')"
        async with running(*python(code), on_stdout=told.append) as (child, output):
            await child.exited
            assert told == ["out", "last"]
            assert output.tail(9) == ("err",)

    run(story())


@loops
def test_a_line_to_exit_for_one_that_has_closed_its_stdin_does_no_harm(run: Run) -> None:
    async def story() -> None:
        code = "import os, signal; os.close(0); print('up', flush=True); signal.pause()"
        async with running(*python(code)) as (child, output):
            await line_with(output, "up")
            assert (await child.stop(60, exit_line=EXIT, reads_stdin=True)).signal == signal.SIGTERM

    run(story())
