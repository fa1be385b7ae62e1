"""Has the configuration changed on disk?

Files are edited in place, replaced by rename, swapped behind a symbolic link (Kubernetes' `..data`) or changed on the
other side of a bind mount. So the folder of each link on the way to a file is watched, and the file itself (a bind
mount reports only to watches of the file), and whatever wakes us, the truth is a comparison of what is there with
what was there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from claracore.host.disk_space import nearest_folder
from claracore.host.store.files import SUFFIXES

MOST_LINKS = 40
LONGEST_BURST_SECONDS = 5.0

FileState = tuple[str, int, int, int, int]
"""Name, device, inode, time of the last change in nanoseconds, size."""
PathState = tuple[FileState, ...]
"""Of a file, or of the configuration files in a folder; another value when one of them has changed."""
States = dict[Path, PathState | None]
"""None for what is not there."""


class ConfigWatch:
    """Watches configuration files and folders of them. Changes count from the moment of construction."""

    def __init__(self, paths: Sequence[Path], *, quiet_seconds: float = 0.3, poll_seconds: float = 2.0) -> None:
        """Watch `paths`. A change counts once nothing has changed for `quiet_seconds`.

        File systems that report no changes (network shares, some containers) are looked at every `poll_seconds`.
        """
        self._paths = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow links
        self._quiet_seconds = quiet_seconds
        self._poll_seconds = poll_seconds
        self._present = self._look()
        self._known = dict(self._present)

    async def changes(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Give one item for each burst of changes, until `stop` is set. A file that vanishes is no change."""
        while not stop.is_set():
            await self._next_difference(stop)
            if not stop.is_set() and self._take_over():
                yield

    async def _next_difference(self, stop: asyncio.Event) -> None:
        """Return when what is there is no longer what was there, and has come to rest; or when `stop` is set."""
        found = self._look()
        if found != self._present:
            await self._rest(found, stop)
            return
        from watchfiles import awatch  # noqa: PLC0415 - nothing waits for it: what has changed meanwhile is seen

        watched = self._watched()
        events = awatch(
            *watched,
            watch_filter=None,
            debounce=round(LONGEST_BURST_SECONDS * 1000),
            step=round(self._quiet_seconds * 1000),
            rust_timeout=round(self._poll_seconds * 1000),
            yield_on_timeout=True,
            recursive=False,
            stop_event=stop,
        )
        # A file that goes between the look and the watch is being replaced: the caller looks again.
        with contextlib.suppress(FileNotFoundError):
            async with contextlib.aclosing(events):
                async for reported in events:
                    found = self._look()
                    if found == self._present:
                        if reported and self._watched() != watched:
                            return
                        continue
                    if not reported:
                        await self._rest(found, stop)
                    return

    async def _rest(self, found: States, stop: asyncio.Event) -> None:
        """Wait until `found` is what is there still after a quiet time: a burst that no event reported."""
        last: States | None = None
        while found != last and not stop.is_set():
            last = found
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._quiet_seconds)
            found = self._look()

    def _take_over(self) -> bool:
        """Make what is there now the state to compare with; returns whether a file is new or another one."""
        self._present = self._look()
        changed = False
        for path, found in self._present.items():
            if found is not None and found != self._known.get(path):
                self._known[path] = found
                changed = True
        return changed

    def _look(self) -> States:
        return {path: _state_of(path) for path in self._paths}

    def _watched(self) -> set[Path]:
        """Return the files, and the folders of all links on the way to them."""
        watched: set[Path] = set()
        for path in self._paths:
            for step in _steps(path):
                watched.add(nearest_folder(step.parent))
                if step.exists():
                    watched.add(step)
        return watched


def _state_of(path: Path) -> PathState | None:
    """Return what tells one state of a file or folder from another; None if there is nothing."""
    try:
        if not path.is_dir():
            return (_stat(path),)
        inside = sorted(child for child in path.iterdir() if child.suffix in SUFFIXES)
        return tuple(_stat(child) for child in inside if child.is_file()) or None
    except OSError:
        return None


def _stat(path: Path) -> FileState:
    found = path.stat()
    return path.name, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _steps(path: Path) -> list[Path]:
    """Return `path` and what each symbolic link on the way, folders included, leads to."""
    steps, waiting = [path], [path]
    while waiting and len(steps) < MOST_LINKS:
        path = waiting.pop()
        for link in (path, *path.parents):
            if link.is_symlink():
                target = Path(os.path.normpath(link.parent / link.readlink()))
                beyond = target / path.relative_to(link)
                found = [step for step in (target, beyond) if step not in steps]
                steps += found
                waiting += found
    return steps
