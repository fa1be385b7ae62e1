"""The loop runs a model through any runner: here one without processes, whose runs go as a script says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config, ModelConfig
from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.errors import ClaraCoreError, ModelFailed, ModelUnloaded
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.contract import NoConnections
from claracore.host.supervisor.health import Loading
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.runner import Outcome, RunListener
from claracore.host.supervisor.running import Running
from claracore.types import Endpoint, ModelState

FAR = Endpoint("192.0.2.7", 9000)

Story = Callable[[], Coroutine[Any, Any, None]]


class ScriptedRun:
    """A run that is ready, lost and over when the test says so."""

    def __init__(self, model: str, listener: RunListener) -> None:
        self.model = model
        self.listener = listener
        self.restartable = True
        self.orders: list[str] = []
        self.loading: Loading | None = None
        self.over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def run(self) -> Outcome:
        return await self.over

    def stop(self) -> None:
        self.orders.append("stop")

    def sleep(self) -> None:
        self.orders.append("sleep")

    def wake(self) -> None:
        self.orders.append("wake")

    def kill(self) -> None:
        self.orders.append("kill")
        if not self.over.done():
            self.over.set_result(Outcome())

    def running(self, state: ModelState) -> Running:
        return Running(state, FAR, loading=self.loading)

    async def reaches(self, connection: socket.socket) -> bool:
        del connection
        return True

    async def confirm(self) -> bool:
        return True

    def ready(self) -> None:
        self.listener.ready(self.model, FAR)

    async def end(self, outcome: Outcome | None = None) -> None:
        """Be over, and let the loop hear of it."""
        self.over.set_result(Outcome() if outcome is None else outcome)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class ScriptedRunner:
    """Makes runs, keeps them, and says when files have changed."""

    def __init__(self) -> None:
        self.runs: list[ScriptedRun] = []
        self.files = "as they were"
        self.looks: asyncio.Queue[asyncio.Future[ClaraCoreError | None]] | None = None

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ScriptedRun:
        output.append(f"{model.id} begins")
        self.runs.append(ScriptedRun(model.id, listener))
        return self.runs[-1]

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        del model, output
        if self.looks is None:
            return None
        look: asyncio.Future[ClaraCoreError | None] = asyncio.get_running_loop().create_future()
        self.looks.put_nowait(look)
        return await look

    def stamp(self, model: ModelConfig) -> str:
        del model
        return self.files


class Asked:
    """A request that writes down what it is told."""

    def __init__(self) -> None:
        self.answer: Endpoint | ClaraCoreError | None = None

    def serve(self, endpoint: Endpoint) -> None:
        self.answer = endpoint

    def refuse(self, error: ClaraCoreError) -> None:
        self.answer = error


class Heard:
    """A listener that writes down everything."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def waiting(self, model: str) -> None:
        pass

    def starting(self, model: str) -> None:
        self.all.append(f"{model} starting")

    def ready(self, model: str) -> None:
        self.all.append(f"{model} ready")

    def stopping(self, model: str, reason: StopReason) -> None:
        self.all.append(f"{model} stopping: {reason}")

    def ended(self, model: str) -> None:
        self.all.append(f"{model} ended")

    def trying_again(self, model: str, how: SecondTry) -> None:
        self.all.append(f"{model} again: {how}")

    def reported(self, model: str) -> None:
        self.all.append(f"{model} reported")

    def pinned(self, model: str) -> None:
        self.all.append(f"{model} pinned")


def config_of(*models: str) -> Config:
    loaded = load("models:\n" + "".join(f"  {model}: {{cmd: 'serve ${{PORT}}'}}\n" for model in models), env={})
    assert loaded.config is not None
    return loaded.config


def stage(*models: str) -> tuple[Supervisor, ScriptedRunner, Heard]:
    runner, heard = ScriptedRunner(), Heard()
    supervisor = Supervisor(config_of(*models), runner)
    supervisor.follow(heard)
    return supervisor, runner, heard


def ask(supervisor: Supervisor, model: str = "a") -> tuple[int, Asked]:
    asked = Asked()
    return supervisor.arrive(model, asked), asked


def test_from_the_order_to_start_to_the_end() -> None:
    async def story() -> None:
        supervisor, runner, heard = stage("a")
        request, asked = ask(supervisor)
        (run,) = runner.runs
        assert supervisor.running("a") == Running(ModelState.STARTING, FAR)
        assert supervisor.output("a").tail(1) == ("a begins",)
        run.loading = Loading("half", 0.5)
        run.listener.reported("a")
        run.ready()
        assert asked.answer == FAR
        assert supervisor.all_running() == {"a": Running(ModelState.READY, FAR, loading=run.loading)}
        with socket.socket() as connection:
            assert await supervisor.reaches("a", FAR, connection)
        supervisor.finish(request)
        unloading = asyncio.create_task(supervisor.unload(["a"]))
        await asyncio.sleep(0)
        assert run.orders == ["stop"]
        assert not unloading.done()
        await run.end()
        await unloading
        assert supervisor.running("a") is None
        assert supervisor.failure("a") is None
        assert heard.all == [
            "a starting",
            "a reported",
            "a ready",
            "a stopping: unloaded by request",
            "a ended",
        ]

    asyncio.run(story())


def test_a_lost_one_drains_and_its_requests_wait_for_the_next_run() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a")
        gone: list[Endpoint] = []

        class Opening(NoConnections):
            def stop_opening(self, endpoint: Endpoint) -> None:
                gone.append(endpoint)

        supervisor.connect(Opening())
        first, _ = ask(supervisor)
        second, asked = ask(supervisor)
        runner.runs[0].ready()
        runner.runs[0].listener.lost("a", "nobody listens")
        assert gone == [FAR]
        assert supervisor.take_back(second, "a", FAR, asked)
        assert runner.runs[0].orders == []
        supervisor.finish(first)
        assert runner.runs[0].orders == ["stop"]
        await runner.runs[0].end(Outcome(ModelFailed("a", "nobody listens"), lost=True))
        assert len(runner.runs) == 2, "a lost one may be started again at once"
        asked.answer = None
        runner.runs[1].ready()
        assert asked.answer == FAR

    asyncio.run(story())


def test_one_that_dies_is_started_again_when_all_of_it_is_gone() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a")
        ask(supervisor)
        runner.runs[0].ready()
        runner.runs[0].listener.died("a")
        assert supervisor.state("a") is ModelState.STOPPING
        _, asked = ask(supervisor)
        assert len(runner.runs) == 1
        await runner.runs[0].end(Outcome(ModelFailed("a", "its server died")))
        runner.runs[1].ready()
        assert asked.answer == FAR

    asyncio.run(story())


def test_a_failed_start_is_tried_again_when_the_files_are_others() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a")
        _, asked = ask(supervisor)
        await runner.runs[0].end(Outcome(ModelFailed("a", "no memory")))
        assert isinstance(asked.answer, ModelFailed)
        assert "no memory" in str(supervisor.failure("a"))
        assert isinstance(ask(supervisor)[1].answer, ModelFailed)
        assert len(runner.runs) == 1
        runner.files = "others"
        ask(supervisor)
        assert len(runner.runs) == 2
        assert supervisor.failure("a") is None

    asyncio.run(story())


def test_a_bug_in_a_run_is_a_failure_of_the_model(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a")
        _, asked = ask(supervisor)
        runner.runs[0].over.set_exception(RuntimeError("a bug"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert supervisor.state("a") is ModelState.STOPPED
        assert isinstance(asked.answer, ModelFailed)
        assert "unexpected RuntimeError: a bug" in asked.answer.message

    asyncio.run(story())
    assert "model a: unexpected error" in caplog.text


def test_a_swap_and_the_end() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a", "b")
        request, _ = ask(supervisor)
        runner.runs[0].ready()
        supervisor.finish(request)
        _, asked = ask(supervisor, "b")
        await asyncio.sleep(0)
        assert runner.runs[0].orders == ["stop"]
        assert supervisor.preview("b").unloads == ("a",)
        await runner.runs[0].end()
        assert runner.runs[1].model == "b"
        ending = asyncio.create_task(supervisor.shut_down(0.0))
        await asyncio.sleep(0)
        assert isinstance(asked.answer, ClaraCoreError)
        supervisor.kill()
        await ending
        assert runner.runs[1].orders == ["stop", "kill"]

    asyncio.run(story())


def test_a_load_that_is_unloaded_is_refused() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a")
        loading = asyncio.create_task(supervisor.load("a"))
        await asyncio.sleep(0)
        unloading = asyncio.create_task(supervisor.unload(["a"]))
        await asyncio.sleep(0)
        await runner.runs[0].end()
        await unloading
        with pytest.raises(ModelUnloaded):
            await loading

    asyncio.run(story())


def test_a_load_by_hand_is_no_request_that_waits_and_unloading_ends_it_in_the_queue_as_well() -> None:
    async def story() -> None:
        supervisor, runner, _ = stage("a", "b")
        ask(supervisor)
        runner.runs[0].ready()
        loading = asyncio.create_task(supervisor.load("b"))
        await asyncio.sleep(0)
        ask(supervisor, "b")
        assert supervisor.loads_by_hand("b") == 1
        assert len(supervisor.slots["b"].waiting) == 2
        await supervisor.unload(["b"])
        with pytest.raises(ModelUnloaded):
            await loading
        assert supervisor.loads_by_hand("b") == len(supervisor.slots["b"].waiting) == 0
        assert runner.runs[0].orders == []

    asyncio.run(story())
