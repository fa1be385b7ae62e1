"""New models are announced when they are whole, vanished ones at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from claracore.host.library.cache import ReadingCache
from claracore.host.library.library_watch import LibraryChange, Quiet, compare, to_watch, watch, without_busy
from claracore.host.library.model import Library
from claracore.host.library.scan import BEING_WRITTEN, scan
from zoo.families import mmproj
from zoo.synthetic import Shape, write
from zoo.templates import CHATML

SMALL = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)
PATIENCE_SECONDS = 20.0
"""How long a test waits for what normally takes one second: machines can be busy."""


def test_a_file_is_quiet_some_time_after_it_was_touched_last() -> None:
    quiet, path = Quiet(1.0), Path("a.gguf")
    assert quiet.next_look() is None
    quiet.touched(path, 10.0)
    quiet.touched(path, 10.5)
    assert (quiet.busy(11.4), quiet.next_look()) == (frozenset({path}), 11.5)
    assert (quiet.busy(11.5), quiet.next_look()) == (frozenset(), None)


def test_a_removed_file_needs_no_wait() -> None:
    quiet, path = Quiet(1.0), Path("a.gguf")
    quiet.touched(path, 10.0)
    quiet.gone(path, 10.1)
    assert (quiet.next_look(), quiet.busy(10.1)) == (10.1, frozenset())


def test_each_file_waits_for_itself() -> None:
    quiet = Quiet(1.0)
    quiet.touched(Path("finished.gguf"), 10.0)
    for moment in range(10, 20):
        quiet.touched(Path("growing.gguf"), float(moment))
    assert quiet.busy(19.5) == {Path("growing.gguf")}


EMPTY = Library((), ())


def test_libraries_are_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "a-7b.gguf", SMALL.image())
    one = scan([tmp_path])
    assert compare(one, one) is None
    assert compare(EMPTY, one) == LibraryChange(one, one.models, (), ())
    assert compare(one, EMPTY) == LibraryChange(EMPTY, (), (), one.models)
    write(tmp_path / "mmproj-a-7b.gguf", mmproj(64))
    seeing = scan([tmp_path])
    assert compare(one, seeing) == LibraryChange(seeing, (), seeing.models, ())
    path.unlink()
    assert [model.id for model in (compare(one, scan([tmp_path])) or LibraryChange(one, (), (), ())).vanished]


def test_busy_files_stay_as_they_were(tmp_path: Path) -> None:
    path = write(tmp_path / "a-7b.gguf", SMALL.image())
    old = scan([tmp_path])
    write(path, Shape("llama", 3, 64, 2, 2, 128, 96, 512, "Q8_0").image())
    new = scan([tmp_path])
    assert without_busy(new, old, frozenset({path})).models == old.models
    assert without_busy(new, EMPTY, frozenset({path})).models == ()
    assert without_busy(new, old, frozenset()).models == new.models


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[AsyncIterator[LibraryChange]]:
    cache, stop = ReadingCache(), asyncio.Event()
    changes = watch([folder], library=scan([folder], cache=cache), cache=cache, stop=stop)
    queue: asyncio.Queue[LibraryChange] = asyncio.Queue()

    async def collect() -> None:
        async for change in changes:
            queue.put_nowait(change)

    async def announced() -> AsyncIterator[LibraryChange]:
        while True:
            async with asyncio.timeout(PATIENCE_SECONDS):
                change = await queue.get()
            yield change

    task = asyncio.create_task(collect())
    try:
        yield announced()
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await task


def test_models_appear_grow_and_vanish(tmp_path: Path) -> None:
    async def story() -> None:
        image = SMALL.image()
        async with watching(tmp_path) as changes:
            probe = write(tmp_path / "probe-7b.gguf", image)
            assert [model.path for model in (await anext(changes)).appeared] == [probe]

            path = tmp_path / "sub" / "b-7b.gguf"
            path.parent.mkdir()
            path.write_bytes(image.header)
            assert [left.path for left in (await anext(changes)).library.left_out] == [path]
            write(path, image)
            change = await anext(changes)
            assert [model.id for model in change.appeared] == ["b-7b-q8_0"]
            assert change.library.left_out == ()

            probe.rename(tmp_path / "moved-7b.gguf")
            appeared: set[str] = set()
            vanished: set[str] = set()
            while not (appeared and vanished):
                change = await anext(changes)
                appeared |= {model.id for model in change.appeared}
                vanished |= {model.id for model in change.vanished}
            assert (appeared, vanished) == ({"moved-7b-q8_0"}, {"probe-7b-q8_0"})

            path.unlink()
            assert [model.id for model in (await anext(changes)).vanished] == ["b-7b-q8_0"]

    asyncio.run(story())


def test_watching_ends_when_told_even_without_a_folder(tmp_path: Path) -> None:
    async def story() -> None:
        stop = asyncio.Event()
        folder = tmp_path / "nowhere"
        library = scan([folder], missing_ok=True)
        changes = watch([folder], library=library, cache=ReadingCache(), stop=stop)
        first = asyncio.ensure_future(anext(changes, None))
        await asyncio.sleep(0)
        stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await first is None

    asyncio.run(story())


def test_a_file_whose_space_was_reserved_is_not_announced_before_it_is_closed(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells who writes")

    async def story() -> None:
        image = SMALL.image()
        async with watching(tmp_path) as changes:
            with (tmp_path / "a-7b.gguf").open("wb") as stream:
                stream.truncate(image.size)
                stream.write(image.header)
                stream.flush()
                change = await anext(changes)
                assert [left.reason for left in change.library.left_out] == [BEING_WRITTEN]
            assert [model.id for model in (await anext(changes)).appeared] == ["a-7b-q8_0"]

    asyncio.run(story())


def test_a_file_that_grew_to_its_end_is_announced_although_it_is_open(tmp_path: Path) -> None:
    async def story() -> None:
        image = SMALL.image()
        async with watching(tmp_path) as changes:
            with (tmp_path / "a-7b.gguf").open("wb") as stream:
                stream.write(image.header)
                stream.flush()
                assert "truncated" in (await anext(changes)).library.left_out[0].reason
                stream.write(bytes(image.data_size))
                stream.flush()
                assert [model.id for model in (await anext(changes)).appeared] == ["a-7b-q8_0"]

    asyncio.run(story())


def test_folders_behind_links_are_watched(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "models"
    (store / "deep").mkdir(parents=True)
    folder.mkdir()

    async def story() -> None:
        async with watching(folder) as changes:
            write(folder / "probe-7b.gguf", SMALL.image())
            assert [model.id for model in (await anext(changes)).appeared] == ["probe-7b-q8_0"]
            (folder / "link").symlink_to(store)
            write(folder / "second-7b.gguf", SMALL.image())
            assert [model.id for model in (await anext(changes)).appeared] == ["second-7b-q8_0"]
            write(store / "deep" / "b-7b.gguf", SMALL.image())
            # A file that came while the watch was extended may be told as changed before: it was seen half written.
            while not (appeared := (await anext(changes)).appeared):
                pass
            assert [model.path for model in appeared] == [folder / "link/deep/b-7b.gguf"]

    asyncio.run(story())


def test_links_in_a_circle_are_watched_once(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "models"
    store.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(store)
    (folder / "self").symlink_to(folder)
    (store / "back").symlink_to(folder)
    assert to_watch([folder, tmp_path / "nowhere"]) == [folder, store]
