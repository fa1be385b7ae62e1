"""Each way in which editors, package managers and Kubernetes change a file is told, and told once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest

from claracore.host.supervisor.config_watch import ConfigWatch

SECONDS_BEFORE_GIVING_UP = 20.0
NEVER_SECONDS = 3600.0

Change = Callable[[], object]


@contextlib.asynccontextmanager
async def told(watch: ConfigWatch) -> AsyncIterator[Callable[[Change], asyncio.Task[None]]]:
    """Give a function that makes a change once the watch looks, and returns the wait for the next item."""
    stop = asyncio.Event()
    changes = cast("AsyncGenerator[None, None]", watch.changes(stop))
    waiting: list[asyncio.Task[None]] = []

    async def after(change: Change) -> None:
        next_item = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)  # the first step of the watch runs up to its wait
        change()
        await asyncio.wait_for(next_item, SECONDS_BEFORE_GIVING_UP)

    def ask(change: Change) -> asyncio.Task[None]:
        waiting.append(asyncio.ensure_future(after(change)))
        return waiting[-1]

    try:
        yield ask
    finally:
        stop.set()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await changes.aclose()


def watching(*paths: Path, poll_seconds: float = NEVER_SECONDS) -> ConfigWatch:
    return ConfigWatch(paths, quiet_seconds=0.05, poll_seconds=poll_seconds)


def replace_by_rename(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_editing_in_place_and_replacing_by_rename_are_told_each_time(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("one")

    async def scene() -> None:
        async with told(watching(path)) as ask:
            await ask(lambda: path.write_text("two, in place"))
            await ask(lambda: replace_by_rename(path, "three, renamed"))
            await ask(lambda: path.write_text("four, the new inode in place"))
            await ask(lambda: replace_by_rename(path, "five, renamed again"))

    asyncio.run(scene())


def test_a_change_between_construction_and_watching_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("one")

    async def scene() -> None:
        watch = watching(path)
        path.write_text("two, while starting")
        async with told(watch) as ask:
            await ask(lambda: None)

    asyncio.run(scene())


def test_kubernetes_swaps_the_folder_behind_a_link(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("v1")
    path = tmp_path / "config.yaml"
    path.symlink_to(Path("..data") / "config.yaml")

    def swap() -> None:
        (tmp_path / "..data_tmp").symlink_to("v2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    async def scene() -> None:
        async with told(watching(path)) as ask:
            await ask(swap)
            await ask(lambda: (tmp_path / "v2" / "config.yaml").write_text("edited behind the links"))

    asyncio.run(scene())


def test_the_target_of_a_link_in_another_folder_is_watched(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.yaml"
    real.parent.mkdir()
    real.write_text("one")
    folder = tmp_path / "here"
    folder.mkdir()
    path = folder / "config.yaml"
    path.symlink_to(real)

    async def scene() -> None:
        async with told(watching(path)) as ask:
            await ask(lambda: replace_by_rename(real, "two, renamed"))

    asyncio.run(scene())


def test_a_burst_of_edits_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("start")

    def burst() -> None:
        for number in range(10):
            path.write_text("x" * number)

    async def scene() -> None:
        async with told(watching(path)) as ask:
            await ask(burst)
            another = ask(lambda: None)
            await asyncio.wait([another], timeout=0.3)  # an upper bound on waiting for nothing
            assert not another.done()

    asyncio.run(scene())


def test_a_file_that_vanishes_is_quiet_and_its_return_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("one")

    async def scene() -> None:
        async with told(watching(path)) as ask:
            gone = ask(path.unlink)
            await asyncio.wait([gone], timeout=0.3)
            assert not gone.done()
            path.write_text("back again")
            await gone

    asyncio.run(scene())


def test_a_file_that_is_not_there_yet_may_come(tmp_path: Path) -> None:
    path = tmp_path / "later" / "config.yaml"

    def come() -> None:
        path.parent.mkdir()
        path.write_text("here")

    async def scene() -> None:
        async with told(watching(path)) as ask:
            await ask(come)

    asyncio.run(scene())


def test_a_folder_may_come_before_its_file(tmp_path: Path) -> None:
    path = tmp_path / "later" / "config.yaml"

    async def scene() -> None:
        async with told(watching(path)) as ask:
            nothing_yet = ask(path.parent.mkdir)
            await asyncio.wait([nothing_yet], timeout=0.3)
            assert not nothing_yet.done()
            path.write_text("here")
            await nothing_yet

    asyncio.run(scene())


def test_a_folder_tells_of_its_yaml_files_only(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")

    async def scene() -> None:
        async with told(watching(tmp_path)) as ask:
            await ask(lambda: (tmp_path / "b.yml").write_text("new"))
            await ask((tmp_path / "a.yaml").unlink)
            other = ask(lambda: (tmp_path / "notes.txt").write_text("no configuration"))
            await asyncio.wait([other], timeout=0.3)
            assert not other.done()

    asyncio.run(scene())


def test_a_file_system_that_tells_nobody_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "share" / "config.yaml"
    path.parent.mkdir()
    path.write_text("one")
    silent = tmp_path / "silent"
    silent.mkdir()
    monkeypatch.setattr(ConfigWatch, "_watched", lambda _self: {silent})

    async def scene() -> None:
        async with told(watching(path, poll_seconds=0.05)) as ask:
            await ask(lambda: path.write_text("two, unheard"))

    asyncio.run(scene())


def test_stopping_ends_the_watch(tmp_path: Path) -> None:
    async def scene() -> list[None]:
        stop = asyncio.Event()
        stop.set()
        return [item async for item in watching(tmp_path / "config.yaml").changes(stop)]

    assert asyncio.run(scene()) == []


class Hasty(ConfigWatch):
    """A watch in whose way the file goes after it was looked at and before the kernel is asked to watch it."""

    goes: Path | None = None

    def _watched(self) -> set[Path]:
        watched = super()._watched()
        if self.goes is not None:
            self.goes.unlink()
            self.goes = None
        return watched


def test_a_file_that_goes_while_it_begins_to_be_watched_is_seen_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("one")

    async def scenario() -> None:
        watch = Hasty([path], quiet_seconds=0.05, poll_seconds=NEVER_SECONDS)
        watch.goes = path
        async with told(watch) as after:
            await after(lambda: replace_by_rename(path, "another"))
            await after(lambda: replace_by_rename(path, "and one more"))

    asyncio.run(scenario())
