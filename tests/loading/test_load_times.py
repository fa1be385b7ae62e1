"""Loads of fake servers with real files, as the supervisor's listener sees them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from claracore.core.config.load import load
from claracore.core.config.model import Config
from claracore.core.loading.expected import NOTHING_EXPECTED
from claracore.core.loading.past import ModelFile, PastLoad
from claracore.core.units import GIB
from claracore.errors import QueueFull
from claracore.host.engines.abilities import Abilities
from claracore.host.footprints.make import make_model_memory
from claracore.host.loading.load_times import LoadTimes
from claracore.host.loading.page_cache import cached_share
from claracore.host.loading.remembered_loads import RememberedLoads
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.loop import Supervisor
from claracore.types import ModelState
from fakes.ports import free_run
from loading.files import on_disk
from supervisor.test_loop import Request, fake, run, served, supervising

MODEL = "m.gguf"


def configured(models: Mapping[str, str], more: str = "") -> Config:
    rows = "".join(f"  {name}: {{{rest}, queue: {{limit: 1}}, unloadTimeout: 1}}\n" for name, rest in models.items())
    loaded = load(f"startPort: {free_run(4).start}\nmodels:\n{rows}{more}", env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


def cmd(*flags: str) -> str:
    return f"cmd: '{fake(*flags)}'"


@contextlib.asynccontextmanager
async def following(tmp_path: Path, more: str = "", **models: str) -> AsyncIterator[tuple[Supervisor, LoadTimes]]:
    """A supervisor whose loads are followed, and whose commands have been read."""
    async with supervising(configured(models, more), tmp_path) as supervisor:
        memory = make_model_memory(Commands(None, lambda _: Abilities()), dict(os.environ), tmp_path)
        memory.connect(supervisor)
        await memory.prepare()
        times = LoadTimes(supervisor, memory, os.environ, tmp_path)
        supervisor.follow(times)
        try:
            yield supervisor, times
        finally:
            await times.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - threads set no event here
        await asyncio.sleep(0.005)


def remembered(tmp_path: Path) -> list[PastLoad]:
    return [past for loads in RememberedLoads(tmp_path).loads.values() for past in loads]


@run
async def test_what_a_load_took_is_remembered_and_expected_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(os.urandom(1_000_000))
    async with following(tmp_path, a=cmd("-m", str(path))) as (supervisor, times):
        assert times.expected("a") == NOTHING_EXPECTED
        await supervisor.load("a")
        await until(lambda: bool(remembered(tmp_path)))
        (past,) = remembered(tmp_path)
        assert past.file == ModelFile(1_000_000, 0, str(path.stat().st_dev))
        assert past.seconds > 0
        await supervisor.unload(["a"])
        await until(lambda: times.expected("a").left_seconds == past.seconds)
        assert times.expected("a").progress is None


@run
async def test_a_load_under_way_gets_on_and_requests_are_told_for_how_long_still(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(bytes(1_000_000))
    async with following(tmp_path, a=cmd("-m", str(path), "--loading")) as (supervisor, times):
        await times.look("a")
        command = times._seen["a"].command
        times._kept().add(command, PastLoad(1.0, 1000.0, ModelFile(1_000_000, 0, "")))
        waiting = Request()
        first = supervisor.arrive("a", waiting)
        await until(lambda: times.expected("a").progress is not None)
        expected = times.expected("a")
        assert expected.left_seconds is not None
        assert 900 < expected.left_seconds <= 1000
        refused = Request()
        supervisor.arrive("a", refused)
        assert isinstance(refused.error, QueueFull)
        assert refused.error.retry_after_seconds is not None
        assert 900 < refused.error.retry_after_seconds <= 1000
        supervisor.finish(first)


@run
async def test_a_load_that_is_given_up_teaches_nothing(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(bytes(1_000_000))
    async with following(tmp_path, a=cmd("-m", str(path), "--loading")) as (supervisor, times):
        supervisor.arrive("a", Request())
        await until(lambda: supervisor.running("a") is not None)
        await supervisor.unload(["a"])
        assert times.expected("a").progress is None
        assert remembered(tmp_path) == []


@run
async def test_while_a_model_in_the_way_answers_the_file_of_the_next_is_read(tmp_path: Path) -> None:
    path = on_disk(tmp_path / MODEL)
    async with following(tmp_path, a=cmd(), b=cmd("-m", str(path))) as (supervisor, _):
        busy, _request = await served(supervisor, "a")
        waiting = Request()
        number = supervisor.arrive("b", waiting)
        assert supervisor.state("b") is ModelState.STOPPED
        await until(lambda: cached_share(str(path)) == 1.0)
        assert supervisor.state("b") is ModelState.STOPPED
        supervisor.finish(busy)
        await waiting.told.wait()
        supervisor.finish(number)


@run
async def test_a_model_that_loads_has_its_file_read_beside_its_server(tmp_path: Path) -> None:
    path = on_disk(tmp_path / MODEL)
    async with following(tmp_path, b=cmd("-m", str(path), "--loading")) as (supervisor, _):
        number = supervisor.arrive("b", Request())
        await until(lambda: cached_share(str(path)) == 1.0)
        assert supervisor.state("b") is ModelState.STARTING
        supervisor.finish(number)


@run
async def test_a_request_that_waits_for_a_place_has_nothing_looked_at(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(bytes(1_000_000))
    async with following(tmp_path, a=cmd("-m", str(path)) + ", concurrencyLimit: 1") as (supervisor, times):
        first, _ = await served(supervisor, "a")
        await until(lambda: not times._tasks)
        second = supervisor.arrive("a", Request())
        assert supervisor.position(second) == 1
        assert not times._tasks
        supervisor.finish(second)
        supervisor.finish(first)


@run
async def test_another_command_is_expected_to_take_what_that_took(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(bytes(1_000_000))
    before, after = (cmd("-m", str(path), "-c", context) for context in ("1024", "2048"))
    async with following(tmp_path, a=before) as (supervisor, times):
        await supervisor.load("a")
        await until(lambda: bool(remembered(tmp_path)))
        await supervisor.unload(["a"])
        await until(lambda: times.expected("a") != NOTHING_EXPECTED)
        first = times._seen["a"].command
        supervisor.config = configured({"a": after})
        await times._memory.prepare()
        await until(lambda: times._seen["a"].command != first)


@run
async def test_where_memory_is_kept_for_others_nothing_is_read(tmp_path: Path) -> None:
    path = on_disk(tmp_path / MODEL)
    more = f"routing: {{router: {{settings: {{memory: {{reserve: {{ram: {1_000_000 * GIB}}}}}}}}}}}\n"
    async with following(tmp_path, more, b=cmd("-m", str(path), "--loading")) as (supervisor, times):
        number = supervisor.arrive("b", Request())
        reading = times._next_up._reading
        assert reading is not None
        await until(lambda: reading.is_over)
        assert cached_share(str(path)) == 0.0
        supervisor.finish(number)


@run
async def test_of_a_model_without_a_command_nothing_is_looked_at(tmp_path: Path) -> None:
    async with following(tmp_path, a="proxy: 'http://127.0.0.1:9'") as (supervisor, times):
        del supervisor
        await times.look("a")
        await times.look("unknown")
        assert times.expected("a") == NOTHING_EXPECTED
