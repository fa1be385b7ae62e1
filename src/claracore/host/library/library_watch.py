"""Which models appear and vanish while we run?

The kernel tells what was touched (watchfiles); a touched file is looked at when it has been quiet for `QUIET_SECONDS`,
so that a file whose space was reserved in advance is not announced half-written, while a finished one is announced
well within 2 s of its last byte. Every `SWEEP_SECONDS` the folders are scanned anyway: network drives tell nothing. A
scan with a warm cache costs milliseconds and runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import watchfiles

from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import Library, LibraryModel
from claracore.host.library.scan import BEING_WRITTEN, scan

QUIET_SECONDS: Final = 0.8
SWEEP_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LibraryChange:
    """What is different since the last time."""

    library: Library
    appeared: tuple[LibraryModel, ...]
    changed: tuple[LibraryModel, ...]
    """The same id, but other contents, another path or another projector."""
    vanished: tuple[LibraryModel, ...]


def compare(old: Library, new: Library) -> LibraryChange | None:
    """Return the difference between two libraries; None when there is none."""
    before = {model.id: model for model in old.models}
    after = {model.id: model for model in new.models}
    appeared = tuple(model for model in new.models if model.id not in before)
    changed = tuple(model for model in new.models if model.id in before and before[model.id] != model)
    vanished = tuple(model for model in old.models if model.id not in after)
    if not (appeared or changed or vanished or old.left_out != new.left_out):
        return None
    return LibraryChange(new, appeared, changed, vanished)


class Quiet:
    """Which files have been touched too lately to be looked at? Pure: time is an argument."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._until: dict[Path, float] = {}

    def touched(self, path: Path, now: float) -> None:
        """Note that a file was written to."""
        self._until[path] = now + self._quiet_seconds

    def gone(self, path: Path, now: float) -> None:
        """Note that a file was removed: it is no longer busy."""
        self._until[path] = now

    def busy(self, now: float) -> frozenset[Path]:
        """Return the files that are still being written, and forget the others."""
        self._until = {path: until for path, until in self._until.items() if until > now}
        return frozenset(self._until)

    def next_look(self) -> float | None:
        """Return when it is worth looking again; None when nothing was touched."""
        return min(self._until.values(), default=None)


def without_busy(new: Library, old: Library, busy: frozenset[Path]) -> Library:
    """Return `new`, where files that are being written stay what they were in `old`: a model, left out, or nothing."""
    if not busy:
        return new
    before = {model.id: model for model in old.models}
    kept: list[LibraryModel] = []
    for model in new.models:
        if not busy.intersection(files_of(model)):
            kept.append(model)
        elif model.id in before:
            kept.append(before[model.id])
    left_out = [left for left in new.left_out if left.path not in busy]
    left_out += [left for left in old.left_out if left.path in busy]
    return Library(tuple(kept), tuple(sorted(left_out, key=lambda left: (left.path, left.reason))), new.heads)


def files_of(model: LibraryModel) -> Iterable[Path]:
    """Return all files of a model, its projector included."""
    return (*model.paths, model.projector.path) if model.projector else model.paths


async def watch(
    folders: Sequence[Path], *, library: Library, cache: ReadingCache, stop: asyncio.Event
) -> AsyncIterator[LibraryChange]:
    """Yield a change whenever the models in `folders` differ from `library` (what the caller already knows).

    Ends when `stop` is set. Folders that do not exist are watched for at every sweep.
    """
    clock = asyncio.get_running_loop().time
    quiet = Quiet()
    woken = asyncio.Event()
    listener = asyncio.create_task(_listen(folders, quiet, woken, stop, clock), name="library watch: listen")
    try:
        while not stop.is_set():
            found = await _look(folders, library, cache, quiet.busy(clock()))
            for left in found.left_out:
                if left.reason == BEING_WRITTEN:  # closing a file is not told: look again soon
                    quiet.touched(left.path, clock())
            change = compare(library, found)
            if change is not None:
                library = change.library
                yield change
            await _next_look(quiet, woken, stop, clock)
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def _look(folders: Sequence[Path], old: Library, cache: ReadingCache, busy: frozenset[Path]) -> Library:
    new = await asyncio.to_thread(scan, folders, cache=cache, missing_ok=True)
    return without_busy(new, old, busy)


async def _next_look(quiet: Quiet, woken: asyncio.Event, stop: asyncio.Event, clock: Callable[[], float]) -> None:
    """Wait until a file has become quiet, or a sweep is due, or `stop`."""
    sweep = clock() + SWEEP_SECONDS
    while not stop.is_set():
        woken.clear()
        due = quiet.next_look()
        due = sweep if due is None else min(due, sweep)
        if due <= clock():
            return
        try:
            async with asyncio.timeout_at(due):
                await woken.wait()
        except TimeoutError:
            return


async def _listen(
    folders: Sequence[Path], quiet: Quiet, woken: asyncio.Event, stop: asyncio.Event, clock: Callable[[], float]
) -> None:
    """Note what the kernel says was touched, for as long as there is something to listen to."""

    def note(kind: watchfiles.Change, name: str) -> None:
        (quiet.gone if kind is watchfiles.Change.deleted else quiet.touched)(Path(name), clock())

    while not stop.is_set():
        there = await asyncio.to_thread(to_watch, folders)
        # Look once more when we listen: what came since the last look was not told.
        quiet.touched(folders[0], clock())
        woken.set()
        try:
            async with contextlib.aclosing(_touches(there, stop)) as touches:
                async for changes in touches:
                    for kind, name in changes:
                        note(kind, name)
                    woken.set()
                    if await asyncio.to_thread(to_watch, folders) != there:
                        break  # a link to another folder: listen there, too
                else:
                    await _sweep(stop)
        except OSError as error:
            _log.warning("cannot watch the model folders (%s); looking every %g s instead", error, SWEEP_SECONDS)
            await _sweep(stop)
    woken.set()


async def _sweep(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SWEEP_SECONDS):
            await stop.wait()


def to_watch(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that exist, and those that links in them lead to: the kernel does not follow links."""
    found = [folder for folder in folders if folder.exists()]
    known = {folder.resolve() for folder in found}
    for folder in found:  # grows while it is walked
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if path.is_symlink() and not any(path.resolve().is_relative_to(each) for each in known):
                    known.add(path.resolve())
                    found.append(path.resolve())
    return found


async def _touches(folders: Sequence[Path], stop: asyncio.Event) -> AsyncGenerator[set[tuple[watchfiles.Change, str]]]:
    """Yield what was touched, at most 0.2 s late; end at `stop`, or at once when there is nothing to watch."""
    if folders:
        async for changes in watchfiles.awatch(
            *folders, watch_filter=None, debounce=200, step=50, stop_event=stop, ignore_permission_denied=True
        ):
            yield changes
