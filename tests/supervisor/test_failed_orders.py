"""Whatever goes wrong while an order is carried out, who waits is answered, and the loop goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.scheduler.events import LookAhead, LookedAhead, Measure, MemorySampled, Refuse, RefuseReason
from claracore.errors import ModelFailed, ModelNotFound, ModelUnloaded, UpstreamFailed
from claracore.host.supervisor.refusals import plain_refusal
from claracore.types import Endpoint, ModelState
from fakes.ports import free_run
from supervisor.test_loop import Request, config_of, fake, run, served, supervising


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken on purpose")


def apart(port: int, *models: str) -> Config:
    """Each model in a group of its own that leaves the others alone; `slow` does not become ready."""
    rows = "".join(
        f"  {name}: {{cmd: '{fake(*(['--loading'] if name == 'slow' else []))}', unloadTimeout: 1}}\n"
        for name in models
    )
    groups = "".join(f"  of-{name}: {{swap: true, exclusive: false, members: [{name}]}}\n" for name in models)
    loaded = load(f"startPort: {port}\nmodels:\n{rows}groups:\n{groups}", env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


@run
async def test_who_waits_for_a_model_that_is_taken_out_while_another_runs_hears_of_it(tmp_path: Path) -> None:
    port = free_run(4).start
    async with supervising(apart(port, "a", "slow"), tmp_path) as supervisor:
        await served(supervisor, "a")
        waiting = [Request(), Request()]
        for each in waiting:
            supervisor.arrive("slow", each)
        supervisor.reconfigure(apart(port, "a"), frozenset())
        assert [type(each.error) for each in waiting] == [ModelNotFound, ModelNotFound]
        late = Request()
        supervisor.arrive("slow", late)  # it still runs, and is on its way out
        assert isinstance(late.error, ModelNotFound)
        assert late.error.message == "model 'slow' is not known; known models: a"
        assert supervisor.slots["a"].is_up


@run
async def test_who_is_refused_hears_of_it_even_if_nothing_can_be_found_out(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake("--loading")}), tmp_path) as supervisor:
        supervisor.expected_load = broken
        waiting = Request()
        supervisor.arrive("a", waiting)
        await supervisor.unload(["a"])
        assert isinstance(waiting.error, ModelUnloaded)
        assert "'a' was unloaded" in waiting.error.message


@pytest.mark.parametrize("reason", RefuseReason)
def test_there_are_plain_words_for_everything(reason: RefuseReason) -> None:
    assert "'a'" in plain_refusal(reason, "a").message or reason is RefuseReason.SHUTDOWN


@run
async def test_a_start_that_cannot_be_ordered_fails_and_can_be_tried_again(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        right, supervisor.looks.as_started = supervisor.looks.as_started, broken  # type: ignore[method-assign]
        waiting = Request()
        supervisor.arrive("a", waiting)
        assert isinstance(waiting.error, ModelFailed)
        assert "broken on purpose" in waiting.error.message
        assert supervisor.state("a") is ModelState.STOPPED
        supervisor.looks.as_started = right  # type: ignore[method-assign]
        await supervisor.load("a")


@run
async def test_a_server_that_cannot_be_told_to_stop_is_killed(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake(), "b": fake()}), tmp_path) as supervisor:
        await supervisor.load("a")
        a = supervisor.runs.get("a")
        assert a is not None
        a.stop = broken  # type: ignore[method-assign]
        await supervisor.load("b")  # for which `a` has to go
        assert supervisor.state("a") is ModelState.STOPPED


@dataclass
class Clumsy(Request):
    def serve(self, endpoint: Endpoint) -> None:
        raise RuntimeError(f"broken on purpose at {endpoint}")


@run
async def test_who_cannot_be_sent_to_a_model_is_told_so(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        waiting, other = Clumsy(), Request()
        supervisor.arrive("a", waiting)
        supervisor.arrive("a", other)
        await other.told.wait()
        assert isinstance(waiting.error, UpstreamFailed)
        assert waiting.error.message == "model 'a' could not be asked: unexpected RuntimeError"
        at_once = Clumsy()
        supervisor.arrive("a", at_once)
        assert isinstance(at_once.error, UpstreamFailed)
        assert len(supervisor.slots["a"].serving) == 1


@run
async def test_what_cannot_be_looked_at_holds_up_nothing(tmp_path: Path) -> None:
    async with supervising(config_of({"a": fake()}), tmp_path) as supervisor:
        supervisor._handling = True  # what is posted meanwhile waits
        for order in (LookAhead("a"), Measure(("a",)), Refuse(7, RefuseReason.REMOVED)):
            supervisor._make_up_for(order, RuntimeError("broken on purpose"))
        posted = list(supervisor._events)
        supervisor._events.clear()
        supervisor._handling = False
        assert posted == [LookedAhead("a", fails=False), MemorySampled((), {})]
