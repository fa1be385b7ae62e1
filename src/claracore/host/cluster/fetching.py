"""How do the files of the head's models come to this machine, and how far are they?

What is missing becomes downloads like any other: queued, locked, resumed after whatever has happened, and checked as a
whole. What went wrong is tried again when the head is heard of: at once when it had been away, else later each time,
once a minute in the end. Files that have come stay when their model goes; what had only been begun is deleted then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from claracore.core.cluster.model import NodeFile, NodeModel
from claracore.core.cluster.part import Fetch, Part, SharedFile, SharedModel
from claracore.core.cluster.wanted import (
    HeadDoor,
    Shipment,
    WantedModel,
    outlook,
    path_on_hub,
    shipments,
    wanted,
)
from claracore.core.pull.choice import Variant
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.plan import FileToFetch, Plan
from claracore.core.pull.reference import Reference, parse
from claracore.errors import ClaraCoreError
from claracore.host.cluster.held_files import held_files
from claracore.host.cluster.shared_files import header_of
from claracore.host.library.download import OPEN, Download, DownloadStatus, FileState
from claracore.host.library.downloads import Downloads
from claracore.host.library.hub_errors import HubUnreachable, TransientFailure
from claracore.host.library.partial import WrongBytes

logger = logging.getLogger("claracore.cluster")

AWAY_SECONDS: Final = 3.0
"""The head asks once a second; one that has not for so long was away."""
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 60.0


class ModelFolders(Protocol):
    """Where this machine has model files (`held_files.Shelves`)."""

    @property
    def folder(self) -> Path:
        """Where what is fetched goes."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that are looked through."""


class Fetching:
    """The files of the head's models on this machine."""

    def __init__(self, downloads: Downloads, shelves: ModelFolders) -> None:
        self._downloads = downloads
        self._shelves = shelves
        self.on_files: Callable[[], Awaitable[None]] | None = None
        """Called when files have come: another model may be ready."""
        self.door: Callable[[], HeadDoor | None] = lambda: None
        """Says where the head has files for us; None where there is none."""
        self.models: tuple[WantedModel, ...] = ()
        self._shared: tuple[SharedModel, ...] = ()
        self._looked_for: dict[str, SharedModel] = {}
        self._lacking: dict[str, WantedModel] = {}
        self._problems: dict[str, str] = {}
        """By model: why its files could not even be asked for."""
        self._settling = asyncio.Lock()
        self._heard_at: float | None = None
        self._tried_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, models: Sequence[SharedModel]) -> tuple[WantedModel, ...]:
        """Have the files of these models here, and of no others; return how they are now. Fetching goes on after it."""
        async with self._settling:
            self._shared = tuple(models)
            await self._look()
            await self._settle()
        return self.models

    def paths_of(self, part: Part) -> Mapping[str, str]:
        """Return where this machine has, or will have, each file of a part, by its name. Blocking."""
        folder = self._shelves.folder
        files = [file for model in part.models for file in model.files]
        held = held_files(files, folder, self._shelves.folders) if files else []
        found = {name: path for model in wanted(part.models, held, str(folder)) for name, path in model.paths.items()}
        return {file.name: found.get(file.name) or str(folder / file.name) for file in files}

    async def close(self) -> None:
        """Begin nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what is fetched ------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        files = [file for model in self._shared for file in model.files]
        folder, folders = self._shelves.folder, self._shelves.folders
        held = await asyncio.to_thread(held_files, files, folder, folders) if files else []
        self.models = wanted(self._shared, held, str(folder))
        self._looked_for = {model.name: model for model in self._shared}
        self._lacking = {model.name: model for model in self.models if not model.is_ready}

    async def _settle(self) -> None:
        """Have what is missing fetched, and nothing else."""
        await self._downloads.hub.use_head(self.door())
        self._problems = {}
        self._tried_at = asyncio.get_running_loop().time()
        begun: set[str] = set()
        for shipment in shipments(self.models):
            try:
                begun.add((await self._begin(shipment)).id)
            except ClaraCoreError as error:
                logger.warning("files of %s cannot be fetched: %s", shipment.model, error.message)
                self._problems[shipment.model] = error.message
        for download in self._downloads.all:
            finished = download.status is DownloadStatus.FINISHED
            if download.shared and not finished and download.id not in begun and not self._still_wanted(download):
                await self._downloads.remove(download.id)

    def _still_wanted(self, download: Download) -> bool:
        """Whether files of a download that could not be begun again are among those that are missing."""
        missing = {each.file.name for model in self.models for each in model.files if each.source is not Fetch.NO}
        return any(file.place in missing for file in download.files)

    async def _begin(self, shipment: Shipment) -> Download:
        plan = await self._plan(shipment)
        folder = self._shelves.folder
        for file in plan.files:
            await self._make_way(folder / file.place)
        paused = next((each for each in self._downloads.all if each.shared and _fetches(each, plan, folder)), None)
        if paused is not None and paused.status is DownloadStatus.PAUSED:
            return paused
        return await self._downloads.add(plan, folder, shared=True)

    async def _make_way(self, path: Path) -> None:
        """Take away what was fetched for the head's models under this name before: it is another file there by now."""
        former = [each for each in self._downloads.fetched(path) if each.shared]
        for download in former:
            await self._downloads.remove(download.id)
        if former:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _plan(self, shipment: Shipment) -> Plan:
        """Return what is to be fetched. Raises HubUnreachable, NotFound, Forbidden, BadRequest."""
        if shipment.source is Fetch.HEAD:
            reference = Reference(shipment.model, source="head")
            remotes = [RemoteFile(file.name, file.size, file.sha256 or None) for file in shipment.files]
        else:
            reference = parse(shipment.repository)
            remotes = await self._listed(reference, shipment.files)
        targets = (
            FileToFetch(remote, PurePosixPath(file.name)) for remote, file in zip(remotes, shipment.files, strict=True)
        )
        return Plan(reference, Variant(tuple(remotes), "", shipment.model), tuple(targets))

    async def _listed(self, reference: Reference, files: Iterable[SharedFile]) -> list[RemoteFile]:
        async with self._downloads.hub.client(None) as hub:
            listing = {remote.path: remote for remote in await hub.listing(reference)}
        found = []
        for file in files:
            remote = listing.get(path_on_hub(file))
            if remote is None or remote.size != file.size:
                raise HubUnreachable(f"the hub has no {file.source} any more that is {file.size:,} bytes long")
            found.append(remote)
        return found

    # --- what becomes of it ----------------------------------------------------------------------------------------

    async def arrived(self, download: Download) -> None:
        """Check that what has come is what the head has announced. Raises WrongBytes."""
        known = {file.name: file for model in self._shared for file in model.files}
        for state, path in zip(download.files, download.paths, strict=True):
            file = known.get(state.place)
            if file is not None and await asyncio.to_thread(header_of, path) != file.header:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                state.complete = False
                raise WrongBytes(f"{state.place} is another file by now than the head has announced; it was deleted")

    def changed(self, download: Download) -> None:
        """Take a download that is in another state: when its files are here, models may be ready."""
        if download.shared and download.status is DownloadStatus.FINISHED:
            self._soon(self._files_came())

    async def _files_came(self) -> None:
        async with self._settling:
            await self._look()
        if self.on_files is not None:
            await self.on_files()

    def heard_of_head(self) -> None:
        """Note that the head has asked how we are: what went wrong is tried again."""
        now = asyncio.get_running_loop().time()
        was_away = self._heard_at is None or now - self._heard_at > AWAY_SECONDS
        self._heard_at = now
        if was_away:
            self._pause = FIRST_PAUSE_SECONDS
        if not self._has_trouble:
            self._tried_at = now
        elif was_away or now - self._tried_at > self._pause:
            self._tried_at, self._pause = now, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._soon(self._try_again())

    @property
    def _has_trouble(self) -> bool:
        return bool(self._problems) or any(
            each.shared and each.status is DownloadStatus.FAILED and each.error_code != WrongBytes.code
            for each in self._downloads.all
        )

    async def _try_again(self) -> None:
        before = self.models
        async with self._settling:
            await self._look()
            await self._settle()
        if self.models != before and self.on_files is not None:  # a person has brought a file
            await self.on_files()

    def _soon(self, what: Awaitable[None]) -> None:
        task = asyncio.ensure_future(what)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("files of the head's models could not be seen to", exc_info=error)

    # --- what is said of it ------------------------------------------------------------------------------------------

    def files(self) -> tuple[NodeFile, ...]:
        """Return how each file is, once."""
        found: dict[str, NodeFile] = {}
        for model in self.models:
            for each in model.files:
                if each.path:
                    found.setdefault(each.file.name, NodeFile(each.file.name, each.file.size, each.file.size))
                else:
                    why = each.why or self._problems.get(model.name, "")
                    begins = not why and each.source is not Fetch.NO and self._settling.locked()
                    found.setdefault(each.file.name, self._missing(each.file, why, begins=begins))
        return tuple(found.values())

    def has_looked_for(self, model: SharedModel) -> bool:
        """Whether the files of a model, as it is now, have been looked for."""
        return self._looked_for.get(model.name) == model

    def lacking(self, name: str) -> NodeModel | None:
        """Return how a model is of which files are missing; None for any other."""
        model = self._lacking.get(name)
        return outlook(model, {file.name: file for file in self.files()}) if model is not None else None

    def not_ready(self) -> tuple[NodeModel, ...]:
        """Return how the models are of which files are missing."""
        files = {file.name: file for file in self.files()}
        return tuple(outlook(model, files) for model in self._lacking.values())

    def _missing(self, file: SharedFile, why: str, *, begins: bool) -> NodeFile:
        for download in self._downloads.all:
            state = next((each for each in download.files if each.place == file.name), None)
            if download.shared and state is not None and download.status is not DownloadStatus.FINISHED:
                return _under_way(file, download, state)
        return NodeFile(file.name, file.size, 0, fetching=begins, why="" if begins else why or "it is not here")


def _fetches(download: Download, plan: Plan, folder: Path) -> bool:
    return download.folder == folder and [each.remote for each in download.files] == [
        each.remote for each in plan.files
    ]


def _under_way(file: SharedFile, download: Download, state: FileState) -> NodeFile:
    """Return how a file is that is being fetched; so is one whose fetching is to be tried again by itself."""
    speed = download.bytes_per_second
    left = (file.size - state.done) / speed if speed else None
    why = "paused there" if download.status is DownloadStatus.PAUSED else download.error or ""
    comes = download.status in OPEN or (
        download.status is DownloadStatus.FAILED and download.error_code == TransientFailure.code
    )
    return NodeFile(file.name, file.size, state.done, fetching=comes, left_seconds=left, why=why)
