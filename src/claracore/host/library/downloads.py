"""Which models are being fetched, in which order, and how far are they?

A download is one model: all its files, one after another, in a folder. Two run at a time, the others wait for their
turn. The list is kept on disk at every change of state, so that a restart goes on where it was. Nobody needs to stay
connected: a `DownloadsListener` is given whatever has changed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from bisect import bisect_left
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from claracore.core.pull.choice import is_projector
from claracore.core.pull.plan import Plan
from claracore.errors import ClaraCoreError, Conflict
from claracore.host.library.download import OPEN, Download, DownloadStatus, DownloadStore, FileState, NoSuchDownload
from claracore.host.library.download_files import (
    check_room,
    delete_fetched,
    delete_files,
    fetched_by,
    look_at_files,
)
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_errors import TransientFailure
from claracore.host.library.hub_tokens import HubToken

AT_ONCE: Final = 2
ANNOUNCE_SECONDS: Final = 0.5
"""Between two announcements of progress."""
SPEED_SECONDS: Final = 8.0
"""The speed is that of the last so many seconds."""
QUIET_SECONDS: Final = 3.0
"""After so long without a byte there is no speed any more."""

_log = logging.getLogger("claracore.downloads")


class DownloadsListener(Protocol):
    """Who is told how downloads go. Called on the event loop."""

    def changed(self, download: Download) -> None:
        """Take a download that is further, or in another state."""

    def removed(self, download: Download) -> None:
        """Take a download that is not on the list any more."""

    async def complete(self, download: Download) -> None:
        """Take a download whose files are all there; it counts as finished when this returns."""


class NoListener:
    """A listener that does nothing: the files are left where they are."""

    def changed(self, download: Download) -> None:
        """Do nothing."""

    def removed(self, download: Download) -> None:
        """Do nothing."""

    async def complete(self, download: Download) -> None:
        """Do nothing."""


class Downloads:
    """All downloads of one ClaraCore."""

    def __init__(
        self,
        hub: HubAccess,
        store: DownloadStore,
        listener: DownloadsListener | None = None,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._listener = listener or NoListener()
        self.hub = hub
        self._store = store
        self._at_once = at_once
        self._all = {download.id: download for download in store.load()}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._own_tokens: dict[str, HubToken] = {}
        """Tokens that came with a download; in memory only."""
        self._adding = asyncio.Lock()
        self._announcements: dict[str, asyncio.TimerHandle] = {}
        """By id: when progress is announced next. What comes in between is announced with it."""
        self._watchers: dict[str, list[asyncio.Future[None]]] = {}
        """By id: who waits for the next change."""

    @property
    def all(self) -> list[Download]:
        """Every download that is known, the oldest first."""
        return list(self._all.values())

    def get(self, download_id: str) -> Download:
        """Return a download. Raises NoSuchDownload."""
        try:
            return self._all[download_id]
        except KeyError:
            raise NoSuchDownload(f"there is no download {download_id!r}; it may have been removed") from None

    def begin(self) -> None:
        """Queue what an earlier run has left unfinished, and begin."""
        for download in self._all.values():
            if download.status in OPEN:
                download.status = DownloadStatus.QUEUED
        self._next()

    async def add(self, wanted: Plan, folder: Path, *, token: HubToken | None = None, shared: bool = False) -> Download:
        """Queue a model and return its download; the one that fetches it to the same folder already, resumed, if any.

        Raises DiskFull, FolderUnusable.
        """
        async with self._adding:
            return await self._add(wanted, folder, token, shared=shared)

    async def _add(self, wanted: Plan, folder: Path, token: HubToken | None, *, shared: bool) -> Download:
        files = [FileState(target.remote, str(target.place)) for target in wanted.files]
        for known in self._all.values():
            if known.folder == folder and [f.remote for f in known.files] == [f.remote for f in files]:
                known.names = list(dict.fromkeys((*known.names, *wanted.names)))
                if known.status in {DownloadStatus.PAUSED, DownloadStatus.FAILED}:
                    self.resume(known.id)
                if known.status is not DownloadStatus.FINISHED:
                    return known
        quantization = wanted.variant.quantization
        download = Download(secrets.token_hex(6), wanted.reference, quantization, folder, files, created_at=time.time())
        download.names, download.shared = list(wanted.names), shared
        await asyncio.to_thread(look_at_files, download)
        await asyncio.to_thread(check_room, download, self.all)
        if token is not None:
            self._own_tokens[download.id] = token
        self._all[download.id] = download
        self._changed(download)
        self._next()
        return download

    def pause(self, download_id: str) -> Download:
        """Stop fetching and keep what was fetched. Raises NoSuchDownload, Conflict when it has ended."""
        download = self.get(download_id)
        if download.status not in OPEN | {DownloadStatus.PAUSED}:
            raise Conflict(f"the download has {download.status}; only one that goes on can be paused")
        download.status = DownloadStatus.PAUSED
        download.error = download.error_code = None
        download.forget_speed()
        self._changed(download)
        if (task := self._tasks.get(download_id)) is not None:
            task.cancel()
        return download

    def resume(self, download_id: str) -> Download:
        """Queue again what was paused, or failed. Raises NoSuchDownload, Conflict when it is finished."""
        download = self.get(download_id)
        if download.status is DownloadStatus.FINISHED:
            raise Conflict("the download is finished")
        if download.status not in OPEN:
            download.status, download.ended_at = DownloadStatus.QUEUED, None
            download.error = download.error_code = None
            self._changed(download)
            self._next()
        return download

    async def remove(self, download_id: str) -> Download:
        """Cancel a download and delete what it has fetched; one that is finished is only taken off the list."""
        async with self._adding:  # what is fetched anew must not be what is deleted here
            return await self._remove(download_id)

    async def _remove(self, download_id: str) -> Download:
        download = self.get(download_id)
        del self._all[download_id]
        self._own_tokens.pop(download_id, None)
        if (announcement := self._announcements.pop(download_id, None)) is not None:
            announcement.cancel()
        task = self._tasks.get(download_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if download.status is not DownloadStatus.FINISHED:
            await asyncio.to_thread(delete_fetched, download)
        self._store.save(self._all.values())
        self._listener.removed(download)
        self._wake(download)
        self._next()
        return download

    def fetched(self, path: Path) -> list[Download]:
        """Return the finished downloads of a file, if one of them has fetched it and did not find it there."""
        found = [each for each in self.all if each.status is DownloadStatus.FINISHED and path in each.paths]
        return found if any(path in fetched_by(each) for each in found) else []

    async def delete(self, gone: Collection[Download]) -> None:
        """Take finished downloads off the list, and delete what they have fetched, but for files that others have."""
        async with self._adding:
            for download in gone:
                await self._remove(download.id)
            kept = {path for other in self.all for path in other.paths}
            for download in gone:
                await asyncio.to_thread(delete_files, fetched_by(download) - kept, download.folder)

    def forget_name(self, name: str) -> None:
        """Let no model that was fetched have this name any more."""
        for download in self._all.values():
            if name in download.names:
                download.names.remove(name)
                self._changed(download)

    def next_change(self, download_id: str) -> asyncio.Future[None]:
        """Return what is done as soon as a download is further, in another state, or off the list."""
        changed = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(download_id, []).append(changed)
        return changed

    async def idle(self) -> None:
        """Wait until nothing goes on any more."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def close(self) -> None:
        """Stop; what was under way goes on at the next start."""
        self._at_once = 0
        for announcement in self._announcements.values():
            announcement.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.hub.close()

    def _next(self) -> None:
        """Begin those whose turn it is: the oldest first, `at_once` of them at a time."""
        for download in self._all.values():
            if len(self._tasks) >= self._at_once:
                return
            if download.status is DownloadStatus.QUEUED and download.id not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._run(download), name=f"download {download.id}")
                self._tasks[download.id] = task
                task.add_done_callback(partial(self._ended, download))

    def _ended(self, download: Download, task: asyncio.Task[None]) -> None:
        del self._tasks[download.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the download of %s ended with an unexpected error", download.reference, exc_info=error)
            self._fail(download, ClaraCoreError(f"an internal error ({type(error).__name__}); the log says more"))
        self._next()

    async def _run(self, download: Download) -> None:
        """Fetch the files of a download; what goes wrong becomes its status and error."""
        self._status(download, DownloadStatus.DOWNLOADING)
        try:
            await asyncio.to_thread(look_at_files, download)
            await asyncio.to_thread(check_room, download, self.all)
            await self._fetch_files(download)
            await self._listener.complete(download)
        except ClaraCoreError as error:
            self._fail(download, error)
        else:
            download.ended_at = time.time()
            self._status(download, DownloadStatus.FINISHED)
            _log.info("downloaded %s to %s", download.reference, download.folder)

    async def _fetch_files(self, download: Download) -> None:
        from claracore.host.library.transfer import Job, TransferEvents, fetch  # noqa: PLC0415 - as in hub_access

        async with self.hub.client_for(download.reference, self._own_tokens.get(download.id)) as hub:
            # The projector first: whoever watches the folder finds it beside the model.
            for file in sorted(download.files, key=lambda file: not is_projector(file.remote)):
                if file.complete:
                    continue
                events = TransferEvents(
                    partial(self._moved, download, file),
                    partial(self._checking, download),
                    partial(self._trouble, download),
                )
                job = Job(download.reference, file.remote, download.folder / file.place)
                fetched = await fetch(hub, job, events, self.hub.wait)
                file.done, file.complete, file.found = file.remote.size, True, not fetched
                self._changed(download)

    def _moved(self, download: Download, file: FileState, done: int) -> None:
        file.done = done
        now = asyncio.get_running_loop().time()
        samples = download.samples
        samples.append((now, download.done))
        download.quiet_seconds = None
        del samples[: bisect_left(samples, (now - SPEED_SECONDS, 0))]
        if download.id not in self._announcements:
            self._announce_later(download)

    def _announce_later(self, download: Download) -> None:
        self._announcements[download.id] = asyncio.get_running_loop().call_later(
            ANNOUNCE_SECONDS, self._announce_progress, download
        )

    def _announce_progress(self, download: Download) -> None:
        """Tell how far it is; also that nothing comes, each second, as long as it is to go on."""
        del self._announcements[download.id]
        if not download.samples or download.status is not DownloadStatus.DOWNLOADING or download.id not in self._all:
            return
        silence = asyncio.get_running_loop().time() - download.samples[-1][0]
        quiet = int(silence) if silence >= QUIET_SECONDS else None
        if quiet is None or quiet != download.quiet_seconds:
            download.quiet_seconds = quiet
            self._announce(download)
        self._announce_later(download)

    def _checking(self, download: Download, is_checking: bool) -> None:  # noqa: FBT001 - as TransferEvents calls it
        self._status(download, DownloadStatus.CHECKING if is_checking else DownloadStatus.DOWNLOADING)

    def _trouble(self, download: Download, trouble: str | None) -> None:
        if download.error != trouble:
            download.error, download.error_code = trouble, TransientFailure.code if trouble is not None else None
            download.forget_speed()
            self._announce(download)

    def _fail(self, download: Download, error: ClaraCoreError) -> None:
        download.error, download.error_code, download.ended_at = error.message, error.code, time.time()
        self._status(download, DownloadStatus.FAILED)
        _log.warning("the download of %s failed: %s", download.reference, error.message)

    def _status(self, download: Download, status: DownloadStatus) -> None:
        if download.status is not status and download.id in self._all and download.status is not DownloadStatus.PAUSED:
            download.status = status
            download.forget_speed()
            self._changed(download)

    def _changed(self, download: Download) -> None:
        self._store.save(self._all.values())
        self._announce(download)

    def _announce(self, download: Download) -> None:
        """Give it to the listener, as long as the download is on the list."""
        if download.id in self._all:
            self._listener.changed(download)
            self._wake(download)

    def _wake(self, download: Download) -> None:
        for changed in self._watchers.pop(download.id, ()):
            if not changed.done():
                changed.set_result(None)
