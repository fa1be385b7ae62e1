"""Which models are being fetched, in which order, and how far are they?

A download is one model: all its files, one after another, in a folder. Two run at a time, the others wait for their
turn. The list is kept on disk at every change of state, so that a restart goes on where it was. Nobody needs to stay
connected: whoever wants to know is a `DownloadsListener`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from claracore.core.pull.choice import NoSuchFile, is_projector
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.plan import Plan, part_of, plan
from claracore.core.pull.reference import HUB, Reference, parse
from claracore.errors import ClaraCoreError, Conflict, DiskFull
from claracore.host.library.download import OPEN, RUNNING, Book, Download, DownloadStatus, FileState, NoSuchDownload
from claracore.host.library.hub_errors import Passing
from claracore.host.library.part import device_of, free_bytes, size_of
from claracore.host.library.tokens import Token, Tokens

if TYPE_CHECKING:
    from claracore.host.library.hub import HubClient

AT_ONCE: Final = 2
TELL_SECONDS: Final = 0.5
SPEED_SECONDS: Final = 8.0
"""The speed is that of the last so many seconds."""
ASKED: Final = 3
"""Times that the hub is asked what it has, when it is busy."""
PATIENCE_SECONDS: Final = 10
SPARE_BYTES: Final = 256 * 1024 * 1024
"""Disk space that a download leaves alone."""

T = TypeVar("T")

_log = logging.getLogger("claracore.downloads")


class DownloadsListener(Protocol):
    """Who is told how downloads go. Called on the event loop."""

    def changed(self, download: Download) -> None:
        """Take a download that is further, or in another state."""

    def removed(self, download: Download) -> None:
        """Take a download that is not on the list any more."""

    async def complete(self, download: Download) -> None:
        """Take a download whose files are all there; it counts as finished when this returns."""


class Nobody:
    """A listener that does nothing: the files are left where they are."""

    def changed(self, download: Download) -> None:
        """Ignore it."""

    def removed(self, download: Download) -> None:
        """Ignore it."""

    async def complete(self, download: Download) -> None:
        """Ignore it."""


class Downloads:
    """All downloads of one ClaraCore."""

    def __init__(
        self,
        environ: Mapping[str, str],
        tokens: Tokens,
        book: Book,
        listener: DownloadsListener | None = None,
        *,
        at_once: int = AT_ONCE,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._listener = listener or Nobody()
        self.tokens = tokens
        self._environ = environ
        self._book = book
        self._at_once = at_once
        self._wait = wait
        self._all = {download.id: download for download in book.load()}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._own_tokens: dict[str, Token] = {}
        """Tokens that came with a download; in memory only."""
        self._hub: HubClient | None = None
        self._opening = asyncio.Lock()
        self._adding = asyncio.Lock()
        self._tellers: dict[str, asyncio.TimerHandle] = {}
        """Who is told of progress at the next beat."""

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
        """Go on with what an earlier run has left."""
        for download in self._all.values():
            if download.status in OPEN:
                download.status = DownloadStatus.QUEUED
        self._next()

    async def look(
        self, text: str, *, projector: bool = True, token: Token | None = None
    ) -> tuple[Plan, list[RemoteFile]]:
        """Ask the hub what a reference means. Raises BadRequest, NotFound, Forbidden, HubUnreachable."""
        reference = parse(text, hosts=_hosts(self._environ))
        async with self._hub_for(token) as hub:
            files = await self._patiently(lambda: hub.listing(reference))
            try:
                wanted = plan(reference, files, projector=projector)
            except NoSuchFile as error:
                raise NoSuchFile(error.message + await _others(hub, reference, files), param="ref") from error
            # The listing of a gated repository is open to everybody, and its files are not.
            await self._patiently(lambda: hub.admitted(reference, wanted.variant.path))
            return wanted, files

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the hub, and again when it is busy for a moment; somebody waits for the answer."""
        for attempt in range(1, ASKED):
            try:
                return await ask()
            except ClaraCoreError as error:
                pause = error.retry_after_seconds if error.retry_after_seconds is not None else attempt
                if not isinstance(error, Passing) or pause > PATIENCE_SECONDS:
                    raise
                await self._wait(pause)
        return await ask()

    async def add(self, wanted: Plan, folder: Path, *, token: Token | None = None) -> Download:
        """Queue a model; one that is being fetched to the same place already is gone on with.

        Raises DiskFull, FolderUnusable.
        """
        async with self._adding:
            return await self._add(wanted, folder, token)

    async def _add(self, wanted: Plan, folder: Path, token: Token | None) -> Download:
        files = [FileState(target.remote, str(target.place)) for target in wanted.targets]
        for known in self._all.values():
            if known.folder == folder and [f.remote for f in known.files] == [f.remote for f in files]:
                if known.status in {DownloadStatus.PAUSED, DownloadStatus.FAILED}:
                    self.resume(known.id)
                if known.status is not DownloadStatus.FINISHED:
                    return known
        quantization = wanted.variant.quantization
        download = Download(secrets.token_hex(6), wanted.reference, quantization, folder, files, created_at=time.time())
        await asyncio.to_thread(_look_at_parts, download)
        await asyncio.to_thread(self._look_for_room, download)
        if token is not None:
            self._own_tokens[download.id] = token
        self._all[download.id] = download
        self._changed(download)
        self._next()
        return download

    def pause(self, download_id: str) -> Download:
        """Stop fetching and keep what is here. Raises NoSuchDownload, Conflict when it has ended."""
        download = self.get(download_id)
        if download.status not in OPEN | {DownloadStatus.PAUSED}:
            raise Conflict(f"the download has {download.status}; only one that goes on can be paused")
        download.status = DownloadStatus.PAUSED
        download.error = None
        self._changed(download)
        if (task := self._tasks.get(download_id)) is not None:
            task.cancel()
        return download

    def resume(self, download_id: str) -> Download:
        """Go on with what was paused, or failed. Raises NoSuchDownload, Conflict when it is finished."""
        download = self.get(download_id)
        if download.status is DownloadStatus.FINISHED:
            raise Conflict("the download is finished")
        if download.status not in OPEN:
            download.status, download.error, download.ended_at = DownloadStatus.QUEUED, None, None
            self._changed(download)
            self._next()
        return download

    async def remove(self, download_id: str) -> Download:
        """Cancel a download and delete what it has fetched; one that is finished is only taken off the list."""
        download = self.get(download_id)
        del self._all[download_id]
        self._own_tokens.pop(download_id, None)
        if (teller := self._tellers.pop(download_id, None)) is not None:
            teller.cancel()
        task = self._tasks.get(download_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if download.status is not DownloadStatus.FINISHED:
            await asyncio.to_thread(_delete_fetched, download)
        self._book.save(self._all.values())
        self._listener.removed(download)
        self._next()
        return download

    async def idle(self) -> None:
        """Wait until nothing goes on any more."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def close(self) -> None:
        """Stop; what was under way goes on at the next start."""
        self._at_once = 0
        for teller in self._tellers.values():
            teller.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._hub is not None:
            await self._hub.aclose()
            self._hub = None

    def _next(self) -> None:
        """Begin what has its turn."""
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
            self._fail(download, f"an internal error ({type(error).__name__}); the log says more")
        self._next()

    async def _run(self, download: Download) -> None:
        """Fetch the files of a download; whatever goes wrong is its state."""
        self._status(download, DownloadStatus.DOWNLOADING)
        try:
            await asyncio.to_thread(_look_at_parts, download)
            await asyncio.to_thread(self._look_for_room, download)
            await self._fetch_files(download)
            await self._listener.complete(download)
        except ClaraCoreError as error:
            self._fail(download, error.message)
        else:
            download.ended_at = time.time()
            self._status(download, DownloadStatus.FINISHED)
            _log.info("downloaded %s to %s", download.reference, download.folder)

    async def _fetch_files(self, download: Download) -> None:
        from claracore.host.library.transfer import Job, Told, fetch  # noqa: PLC0415 - see _client

        async with self._hub_for(self._own_tokens.get(download.id)) as hub:
            # The projector first: whoever watches the folder finds it beside the model.
            for file in sorted(download.files, key=lambda file: not is_projector(file.remote)):
                if file.complete:
                    continue
                told = Told(
                    partial(self._moved, download, file),
                    partial(self._checking, download),
                    partial(self._trouble, download),
                )
                job = Job(download.reference, file.remote, download.folder / file.place)
                fetched = await fetch(hub, job, told, self._wait)
                file.done, file.complete, file.found = file.remote.size, True, not fetched
                self._changed(download)

    @contextlib.asynccontextmanager
    async def _hub_for(self, token: Token | None) -> AsyncIterator[HubClient]:
        """Give a client of the hub; those that share the usual token share connections."""
        if token is not None:
            own = await asyncio.to_thread(_client, self._environ, lambda: token)
            try:
                yield own
            finally:
                await own.aclose()
            return
        async with self._opening:
            hub = self._hub
            if hub is None:
                hub = self._hub = await asyncio.to_thread(_client, self._environ, self.tokens.find)
        yield hub

    def _look_for_room(self, download: Download) -> None:
        """Raise DiskFull when the rest does not fit beside what others that run have still to write there."""
        free, device = free_bytes(download.folder), device_of(download.folder)
        others = [
            other
            for other in self.all
            if other is not download and other.status in RUNNING and device_of(other.folder) == device
        ]
        promised = sum(other.total - other.done for other in others)
        needed = download.total - download.done
        if needed + promised + SPARE_BYTES > free and needed > 0:
            beside = f" beside {_gb(promised)} for downloads under way" if promised else ""
            raise DiskFull(
                f"{download.reference} needs {_gb(needed)} more in {download.folder}{beside}, where {_gb(free)} are "
                "free; make room, or choose another folder",
                param="to",
            )

    def _moved(self, download: Download, file: FileState, done: int) -> None:
        file.done = done
        now = asyncio.get_running_loop().time()
        samples = download.samples
        samples.append((now, download.done))
        del samples[: bisect_left(samples, (now - SPEED_SECONDS, 0))]
        if download.id not in self._tellers:
            self._tellers[download.id] = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell, download)

    def _tell(self, download: Download) -> None:
        self._tellers.pop(download.id).cancel()
        self._announce(download)

    def _checking(self, download: Download, its: bool) -> None:  # noqa: FBT001 - called with the news alone
        self._status(download, DownloadStatus.CHECKING if its else DownloadStatus.DOWNLOADING)

    def _trouble(self, download: Download, trouble: str | None) -> None:
        if download.error != trouble:
            download.error = trouble
            download.samples.clear()
            self._announce(download)

    def _fail(self, download: Download, message: str) -> None:
        download.error, download.ended_at = message, time.time()
        self._status(download, DownloadStatus.FAILED)
        _log.warning("the download of %s failed: %s", download.reference, message)

    def _status(self, download: Download, status: DownloadStatus) -> None:
        if download.status is not status and download.id in self._all and download.status is not DownloadStatus.PAUSED:
            download.status = status
            download.samples.clear()
            self._changed(download)

    def _changed(self, download: Download) -> None:
        self._book.save(self._all.values())
        self._announce(download)

    def _announce(self, download: Download) -> None:
        """Tell how a download is, as long as it is on the list."""
        if download.id in self._all:
            self._listener.changed(download)


async def _others(hub: HubClient, reference: Reference, files: Sequence[RemoteFile]) -> str:
    """Return words about repositories that have files for us, when this one has none."""
    if any(file.path.lower().endswith(".gguf") for file in files):
        return ""
    with contextlib.suppress(ClaraCoreError):
        near = [repo for repo in await hub.search(reference.repo.partition("/")[2]) if repo != reference.repo]
        return f"; others have: {', '.join(near)}" if near else ""
    return ""


def _client(environ: Mapping[str, str], token: Callable[[], Token | None]) -> HubClient:
    """Open a client of the hub, in a thread: importing the library and reading certificates takes 0.25 s."""
    from claracore.host.library.hub import HubClient  # noqa: PLC0415 - see above

    return HubClient(environ, token)


def _hosts(environ: Mapping[str, str]) -> list[str]:
    """Return the names under which people write the hub that HF_ENDPOINT names."""
    _scheme, _, rest = (environ.get("HF_ENDPOINT") or HUB).strip().lower().partition("://")
    authority = rest.partition("/")[0]
    return [authority, authority.rpartition(":")[0]] if ":" in authority else [authority]


def _look_at_parts(download: Download) -> None:
    """Note what an earlier attempt has left on the disk."""
    for file, path in zip(download.files, download.paths, strict=True):
        size, whole = size_of(path), file.remote.size
        file.complete = file.complete and size == whole
        file.done = min(size if size is not None else size_of(path.with_name(part_of(path))) or 0, whole)


def _delete_fetched(download: Download) -> None:
    """Delete what was fetched for a download, and the folders that it leaves empty."""
    for file, path in zip(download.files, download.paths, strict=True):
        with contextlib.suppress(OSError):
            path.with_name(part_of(path)).unlink(missing_ok=True)
            if file.complete and not file.found:
                path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == download.folder:
                break
            with contextlib.suppress(OSError):
                folder.rmdir()


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
