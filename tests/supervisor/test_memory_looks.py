"""The loop where memory decides: runs go as a script says, and so does what is seen of memory."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig
from claracore.core.memory.footprint import DeviceMemory, Footprint, FootprintSource
from claracore.core.scheduler.events import Event, FootprintsKnown, MemorySampled
from claracore.core.scheduler.known_memory import POLL_SECONDS
from claracore.core.units import GIB
from claracore.errors import ClaraCoreError, Conflict
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor import memory_looks
from claracore.host.supervisor.loop import Supervisor
from claracore.host.supervisor.memory_looks import NOTHING, MemoryLooks, MemorySource, NothingSeen
from claracore.host.supervisor.no_room import NoRoom
from claracore.host.supervisor.preload import preload
from claracore.host.supervisor.runner import RunListener
from claracore.types import ModelState
from supervisor.test_runner import Asked, ScriptedRun, ScriptedRunner

TEXT = """
models:
  a: {cmd: 'serve ${PORT}'}
  b: {cmd: 'serve ${PORT}'}
  c: {cmd: 'serve ${PORT}'}
  huge: {cmd: 'serve ${PORT}'}
  keep: {cmd: 'serve ${PORT}'}
groups:
  small: {members: [keep], persistent: true}
hooks: {on_startup: {preload: [a, b, c]}}
routing: {router: {use: memory}}
"""


class Run(ScriptedRun):
    """Says when it is ordered to stop."""

    def __init__(self, model: str, listener: RunListener) -> None:
        super().__init__(model, listener)
        self.told_to_stop = asyncio.Event()

    def stop(self) -> None:
        super().stop()
        self.told_to_stop.set()


class Runs(ScriptedRunner):
    """Hands over each run when it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: asyncio.Queue[Run] = asyncio.Queue()

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> Run:
        output.append(f"{model.id} begins")
        run = Run(model.id, listener)
        self.begun.put_nowait(run)
        return run

    async def next_ready(self, model: str) -> Run:
        run = await asyncio.wait_for(self.begun.get(), 10)
        assert run.model == model
        run.ready()
        return run


class Card(NothingSeen):
    """8 GiB, of which other programs seem to use what is next in the list; each model takes 4, the huge one 9."""

    def __init__(self, *other: int) -> None:
        self.other = list(other) or [0]
        self.looks = 0
        self.broken = False

    def devices(self) -> tuple[DeviceMemory, ...]:
        if self.broken:
            raise OSError("the driver is gone")
        self.looks += 1
        other = self.other.pop(0) if len(self.other) > 1 else self.other[0]
        return (DeviceMemory("gpu0", "a card", 8 * GIB, 8 * GIB, 0, other * GIB),)

    def footprint(self, model_id: str) -> Footprint:
        return Footprint({"gpu0": (9 if model_id == "huge" else 4) * GIB}, FootprintSource.ESTIMATED)


def stage(card: MemorySource | None, text: str = TEXT) -> tuple[Supervisor, Runs]:
    config = load(text, env={}).config
    assert config is not None
    runs = Runs()
    return Supervisor(config, runs, card), runs


async def loaded(supervisor: Supervisor, runs: Runs, model: str) -> Run:
    loading = asyncio.create_task(supervisor.load(model))
    run = await runs.next_ready(model)
    await loading
    return run


def play(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_what_fits_stays_and_the_next_waits_until_the_card_shows_the_memory() -> None:
    async def story() -> None:
        card = Card()
        supervisor, runs = stage(card)
        both = {model: await loaded(supervisor, runs, model) for model in "ab"}
        assert [run.orders for run in both.values()] == [[], []]
        await supervisor.looks.learn(supervisor.config.models)
        (goes,) = supervisor.preview("c").unloads
        assert supervisor.preview("huge").unloads == ()
        third = Asked()
        supervisor.arrive("c", third)
        await both[goes].told_to_stop.wait()
        card.other = [4, 4, 2, 0]
        before, begun = card.looks, asyncio.get_running_loop().time()
        await both.pop(goes).end()
        await runs.next_ready("c")
        assert card.looks == before + 4
        assert asyncio.get_running_loop().time() >= begun + 3 * POLL_SECONDS
        assert third.answer is not None
        assert [supervisor.state(model) for model in both] == [ModelState.READY]

    play(story())


def test_who_never_fits_is_told_the_numbers_and_the_ways_out() -> None:
    async def story() -> None:
        supervisor, runs = stage(Card(2))
        run = await loaded(supervisor, runs, "a")
        with pytest.raises(NoRoom) as refused:
            await supervisor.load("huge")
        assert refused.value.message == (
            "model 'huge' takes 9.0 GiB of gpu0, where it can have 6.0 GiB (8.0 GiB in all, 2.0 GiB used by other "
            "programs) (estimated); give it a smaller context or another quantization, or say what it takes in its "
            "`memory` if the estimate is wrong"
        )
        assert refused.value.headers() == {"x-should-retry": "false"}
        assert run.orders == []

    play(story())


def test_who_does_not_fit_beside_other_programs_is_told_to_come_again() -> None:
    async def story() -> None:
        supervisor, _ = stage(Card(5))
        with pytest.raises(NoRoom, match=r"3\.0 GiB .*; end other programs that use it, or give it") as refused:
            await supervisor.load("a")
        assert refused.value.headers() == {"Retry-After": "30"}

    play(story())


def test_a_persistent_model_is_named_to_who_needs_its_place() -> None:
    async def story() -> None:
        supervisor, runs = stage(Card())
        await loaded(supervisor, runs, "keep")
        await loaded(supervisor, runs, "a")
        supervisor.pin("a", pinned=True)
        with pytest.raises(Conflict, match=r"beside '(a' \(pinned|keep' \(persistent)\); unpin or unload it first"):
            await supervisor.load("b")

    play(story())


def test_a_look_that_fails_is_logged_and_models_run_one_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        card = Card()
        card.broken = True
        supervisor, runs = stage(card)
        run = await loaded(supervisor, runs, "a")
        other = Asked()
        supervisor.arrive("b", other)
        await run.told_to_stop.wait()
        await run.end()
        card.broken = False
        await runs.next_ready("b")

    play(story())
    assert "memory could not be looked at" in caplog.text
    assert "the driver is gone" in caplog.text


def test_a_device_that_hangs_keeps_nobody_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        class Hanging(Card):
            answers = threading.Event()

            def devices(self) -> tuple[DeviceMemory, ...]:
                self.answers.wait(20)
                return super().devices()

        card, events = Hanging(), asyncio.Queue[Event]()
        looks = MemoryLooks(card, events.put_nowait, wanted=lambda: True)
        looks.measure(["a"])
        assert await events.get() == NOTHING
        looks.measure(["a"])  # it hangs still, and no second thread is given to it
        assert await events.get() == NOTHING
        card.answers.set()
        event: Event = NOTHING
        while event == NOTHING:
            looks.measure(["a"])
            event = await events.get()
        assert isinstance(event, MemorySampled)
        assert event.footprints.keys() == {"a"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_looks, "LONGEST_SECONDS", 0.05)
        play(story())
    assert caplog.text.count("a device has not answered") == 1


def test_where_nobody_looks_every_model_runs_alone() -> None:
    async def story() -> None:
        supervisor, runs = stage(None)
        run = await loaded(supervisor, runs, "a")
        assert supervisor.preview("b").unloads == ("a",)
        supervisor.arrive("b", Asked())
        await run.told_to_stop.wait()

    play(story())


def test_preload_leaves_out_what_does_not_fit_beside_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        supervisor, runs = stage(Card())
        preloading = asyncio.create_task(preload(supervisor))
        await runs.next_ready("a")
        await runs.next_ready("b")
        await preloading
        assert [supervisor.state(model) for model in "abc"] == [ModelState.READY, ModelState.READY, ModelState.STOPPED]

    play(story())
    assert "preload of c left out: it does not fit beside" in caplog.text


def test_what_is_known_anew_is_handed_in_at_once_for_many_and_only_where_it_matters() -> None:
    async def story() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        matters = True
        looks = MemoryLooks(Card(), events.put_nowait, wanted=lambda: matters)
        for model in ("b", "huge", "b", "b"):
            looks.learn_soon(model)
        event = await events.get()
        assert isinstance(event, FootprintsKnown)
        assert {model: found.on("gpu0") // GIB for model, found in event.footprints.items()} == {"b": 4, "huge": 9}
        matters = False
        looks.learn_soon("a")
        await looks.learn(["a"])
        assert events.empty()

    play(story())


def test_memory_that_does_not_come_back_is_a_finding(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        supervisor, _ = stage(Card())
        supervisor.looks.tell_missing({"gpu0": 3 * GIB, "ram": GIB})

    caplog.set_level(logging.WARNING)
    play(story())
    assert "3.0 GiB of gpu0 and 1.0 GiB of ram that models which have ended held did not come back" in caplog.text


def test_at_the_end_no_look_is_handed_in_any_more() -> None:
    async def story() -> None:
        supervisor, runs = stage(Card())
        waiting = Asked()
        supervisor.arrive("a", waiting)
        await supervisor.shut_down(0.0)
        assert isinstance(waiting.answer, ClaraCoreError)
        assert runs.runs == []

    play(story())
