"""How does a build of an engine come to this machine, and go again?

Ask what there is, choose, fetch, check, unpack beside, try, rename: in this order, under one lock for all processes of
this user, so that two who install wait for each other and the second finds the work done. Whatever goes wrong leaves
what was there as it was. Fetching is `library/transfer.py`, as for models: what was fetched before a failure is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from claracore.core.engines.choose import BuildChoice, newest, wanted_backend
from claracore.core.engines.installed import InstalledEngine, check_removable, find_installed
from claracore.core.engines.job import EngineJob, EngineStage, EngineWish
from claracore.core.engines.machine import EngineMachine
from claracore.core.engines.release import ReleaseAsset
from claracore.core.engines.sources import USUAL, EngineSource, source_of
from claracore.core.engines.updating import why_to_stay
from claracore.core.pull.reference import Reference
from claracore.core.units import gb
from claracore.errors import BadRequest, ClaraCoreError, Conflict, DiskFull
from claracore.host.disk_space import free_at
from claracore.host.engines.engine_machine import read_engine_machine
from claracore.host.engines.installed import DOWNLOADS, INSTALL_LOCK, EngineFolders, EnginesFolderUnusable
from claracore.host.engines.members import HostileArchive
from claracore.host.engines.trial import DoesNotRun, program_in, try_out
from claracore.host.engines.unpack import unpack
from claracore.host.library.download_files import SPARE_BYTES
from claracore.host.locks import FileLock

if TYPE_CHECKING:
    from claracore.host.engines.releases import ReleasesClient

LOOK_SECONDS: Final = 0.25
"""Between two looks at whether the other who installs is ready."""

Changed = Callable[[EngineJob], None]


class NoDigest(ClaraCoreError):
    """The place does not say which bytes a file has, so that it cannot be checked; 502."""

    status = 502
    code = "no_digest"
    cause = "The place of releases does not say which bytes the file has, so that it cannot be checked."
    way_out = "Take a release that has digests, or put a `llama-server` on PATH yourself."


class EngineManager:
    """What is installed for this user, and how that changes; for one event loop."""

    def __init__(
        self,
        folders: EngineFolders,
        environ: Mapping[str, str],
        machine: Callable[[], EngineMachine] = read_engine_machine,
    ) -> None:
        self.folders = folders
        self._environ = environ
        self._machine = machine

    async def plan(self, wish: EngineWish) -> tuple[BuildChoice, list[str]]:
        """Return what would be installed, and which graphics devices are here.

        Raises as `ReleasesClient.candidates`, NoBuild, BadRequest.
        """
        source = source_of(wish.name)
        wanted_backend(wish.backend)
        async with self._releases() as releases:
            choice = await self._choice(releases, source, wish)
        machine = await asyncio.to_thread(self._machine)
        return choice, [gpu.name for gpu in machine.gpus]

    async def install(self, job: EngineJob, changed: Changed) -> InstalledEngine:
        """Install what a job wishes, and return it; also when it was there already. Raises ClaraCoreError."""
        return await self._carry_out(job, changed, None)

    async def update(self, job: EngineJob, changed: Changed) -> InstalledEngine:
        """Install the newest build with the backend in use, and use it.

        Raises Conflict where nothing is in use, and for a build that was given up.
        """
        present = await asyncio.to_thread(self.folders.in_use, source_of(job.wish.name).name)
        if present is None:
            raise Conflict(f"no build of {job.wish.name} is in use: `claracore engines install` installs one")
        job.wish = EngineWish(present.name, job.wish.version, present.backend, use=True, build=present.is_built_here)
        return await self._carry_out(job, changed, present)

    async def _carry_out(self, job: EngineJob, changed: Changed, present: InstalledEngine | None) -> InstalledEngine:
        """Install; `present` is what an update may leave as it is."""
        source = source_of(job.wish.name)
        wanted_backend(job.wish.backend)
        if job.wish.build:
            return await self._built(source, job, changed)
        async with self._alone(job, changed), self._releases() as releases:
            _at(job, EngineStage.ASKING, changed)
            choice = await self._choice(releases, source, job.wish)
            engine = offered = _offered(source, choice, present)
            stay = why_to_stay(present, offered, self.folders.use(), job.wish.version) if present is not None else None
            if present is not None and stay is not None:
                engine, job.note = present, stay
            job.version, job.backend, job.reason = engine.version, engine.backend, engine.reason
            if engine is offered:
                job.fallback, job.total_bytes = choice.fallback, choice.total_bytes
                changed(job)
                engine = await self._got(releases, source, choice, offered, job, changed)
            await asyncio.to_thread(self._put_in_use, engine, job.wish.use)
            job.engine = engine.id
            return engine

    async def _built(self, source: EngineSource, job: EngineJob, changed: Changed) -> InstalledEngine:
        """Compile a build here. Raises as `SourceBuilder`, BadRequest for an engine that is not llama.cpp."""
        from claracore.core.engines.source_build import build_id  # noqa: PLC0415 - for who builds only
        from claracore.host.engines.source_build import SourceBuilder  # noqa: PLC0415 - as above

        if source.name != USUAL:
            raise BadRequest(f"only {USUAL} is compiled here", param="build")

        def progress(fraction: float) -> None:
            job.fraction = fraction
            changed(job)

        builder = SourceBuilder(self.folders, self._environ)
        async with self._alone(job, changed):
            _at(job, EngineStage.ASKING, changed)
            code, plan = await builder.plan(job.wish.version, job.wish.backend)
            job.version, job.backend, job.reason = code.tag, str(plan.backend), plan.reason
            engine = next((each for each in self.folders.engines() if each.id == build_id(code, plan)), None)
            if engine is None:
                _at(job, EngineStage.BUILDING, changed)
                engine = await builder.build(code, plan, progress)
            await asyncio.to_thread(self._put_in_use, engine, job.wish.use)
            job.engine = engine.id
            return engine

    async def _got(  # noqa: PLR0917 - one step of the above
        self,
        releases: ReleasesClient,
        source: EngineSource,
        choice: BuildChoice,
        offered: InstalledEngine,
        job: EngineJob,
        changed: Changed,
    ) -> InstalledEngine:
        """Return the build that is offered: the one that is here already, or a new one."""
        found = await asyncio.to_thread(self.folders.find, offered.id)
        if found is not None:
            return found
        archives = await self._fetched(releases, source, choice, job, changed)
        return await self._made(source, offered, archives, job, changed)

    def use(self, text: str) -> InstalledEngine:
        """Put a build in use, after it was tried. Blocking. Raises NoSuchEngine, DoesNotRun, BadRequest."""
        engine = find_installed(self.folders.engines(), text)
        try_out(self.folders.program(engine), source_of(engine.name))
        self._put_in_use(engine, use=True)
        return engine

    def remove(self, text: str) -> InstalledEngine:
        """Delete a build. Blocking. Raises NoSuchEngine, Conflict for the one in use, BadRequest."""
        with self.folders.changing():
            engine = find_installed(self.folders.engines(), text)
            check_removable(engine, self.folders.use())
            self.folders.remove(engine)
        return engine

    def _put_in_use(self, engine: InstalledEngine, use: bool | None) -> None:  # noqa: FBT001 - a wish
        with self.folders.changing():
            now = self.folders.use()
            if use or (use is None and engine.name not in now.current):
                self.folders.keep_use(now.using(engine))

    async def _choice(self, releases: ReleasesClient, source: EngineSource, wish: EngineWish) -> BuildChoice:
        found = await releases.candidates(source, wish.version)
        machine = await asyncio.to_thread(self._machine)
        return newest(found, source, machine, wish.backend)

    async def _fetched(
        self, releases: ReleasesClient, source: EngineSource, choice: BuildChoice, job: EngineJob, changed: Changed
    ) -> list[Path]:
        """Fetch each archive. Raises NoDigest, DiskFull, WrongBytes and what the place says."""
        from claracore.host.engines.releases import asset_file  # noqa: PLC0415 - with httpx2, for who installs only
        from claracore.host.library.transfer import Job, TransferEvents, fetch  # noqa: PLC0415 - as above

        for asset in choice.assets:
            if asset.sha256 is None:
                raise NoDigest(
                    f"{releases.endpoint} names no SHA-256 of {asset.name}: what cannot be checked is not run"
                )
        folder = self._downloads(source) / choice.release.tag
        await asyncio.to_thread(self._check_room, folder, choice)
        _at(job, EngineStage.DOWNLOADING, changed)
        done: dict[str, int] = {}

        def events_for(asset: ReleaseAsset) -> TransferEvents:
            def bytes_came(number: int) -> None:
                done[asset.name] = number
                job.done_bytes = sum(done.values())
                changed(job)

            def checking(is_hashed: bool) -> None:  # noqa: FBT001 - as TransferEvents has it
                _at(job, EngineStage.CHECKING if is_hashed else EngineStage.DOWNLOADING, changed)

            def trouble(what: str | None) -> None:
                job.trouble = what
                changed(job)

            return TransferEvents(bytes_came, checking, trouble)

        for asset in choice.assets:
            if asset.sha256 is None:
                raise NoDigest(
                    f"{releases.endpoint} names no SHA-256 of {asset.name}: what cannot be checked is not run"
                )
            wanted = Job(Reference(asset.name), asset_file(asset), folder / asset.name)
            try:
                await fetch(releases, wanted, events_for(asset), asyncio.sleep)
            except Conflict:  # what lies there is none of this release, and ours
                await asyncio.to_thread(wanted.path.unlink)
                await fetch(releases, wanted, events_for(asset), asyncio.sleep)
        return [folder / asset.name for asset in choice.assets]

    def _check_room(self, folder: Path, choice: BuildChoice) -> None:
        free = free_at(folder)
        if choice.total_bytes + SPARE_BYTES > free:
            raise DiskFull(
                f"{gb(choice.total_bytes)} are to be fetched, and {gb(free)} are free in {self.folders.root}"
            )

    async def _made(
        self, source: EngineSource, offered: InstalledEngine, archives: list[Path], job: EngineJob, changed: Changed
    ) -> InstalledEngine:
        """Unpack and try in a thread, which ends soon when the job is cancelled."""
        going = threading.Event()
        going.set()

        loop = asyncio.get_running_loop()

        def stage(now: EngineStage) -> None:
            loop.call_soon_threadsafe(_at, job, now, changed)

        making = asyncio.ensure_future(asyncio.to_thread(self._make, source, offered, archives, going.is_set, stage))
        try:
            engine, note = await asyncio.shield(making)
        except asyncio.CancelledError:
            going.clear()
            await asyncio.gather(making, return_exceptions=True)
            raise
        job.note = note
        return engine

    def _make(
        self,
        source: EngineSource,
        offered: InstalledEngine,
        archives: list[Path],
        keep_going: Callable[[], bool],
        stage: Callable[[EngineStage], None],
    ) -> tuple[InstalledEngine, str]:
        stage(EngineStage.UNPACKING)
        with self.folders.writing(), self.folders.new_folder() as folder:
            try:
                for archive in archives:
                    unpack(archive, folder, keep_going)
                stage(EngineStage.TRYING)
                program = program_in(folder, source)
                trial = try_out(program, source)
            except (HostileArchive, DoesNotRun):
                self._forget_downloads(source)
                raise
            engine = replace(
                offered,
                binary=str(program.relative_to(folder)),
                says=trial.says,
                size_bytes=self.folders.size(folder),
                installed_at=time.time(),
            )
            self.folders.put(folder, engine)
        self._forget_downloads(source)
        blind = engine.backend != "cpu" and trial.devices == ()
        return engine, f"this {engine.backend} build sees no graphics device here" if blind else ""

    def _forget_downloads(self, source: EngineSource) -> None:
        shutil.rmtree(self._downloads(source), ignore_errors=True)

    def _downloads(self, source: EngineSource) -> Path:
        return self.folders.root / DOWNLOADS / source.name

    @contextlib.asynccontextmanager
    async def _alone(self, job: EngineJob, changed: Changed) -> AsyncIterator[None]:
        """Wait until nobody else installs, in whichever process."""
        try:
            root = self.folders.root
            await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
            lock = FileLock(root / INSTALL_LOCK)
        except OSError as error:
            raise EnginesFolderUnusable(f"{self.folders.root} cannot be written: {error.strerror or error}") from error
        try:
            while not lock.acquire(0):
                _at(job, EngineStage.WAITING, changed)
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.folders.sweep)
            yield
        finally:
            lock.close()

    @contextlib.asynccontextmanager
    async def _releases(self) -> AsyncIterator[ReleasesClient]:
        client = await asyncio.to_thread(_client, self._environ)
        try:
            yield client
        finally:
            await client.aclose()


def _client(environ: Mapping[str, str]) -> ReleasesClient:
    """Open a client, in a thread: importing the library and reading certificates takes 0.25 s."""
    from claracore.host.engines.releases import ReleasesClient  # noqa: PLC0415 - see above

    return ReleasesClient(environ)


def _offered(source: EngineSource, choice: BuildChoice, present: InstalledEngine | None) -> InstalledEngine:
    """Return a choice as the build that it would be; of an update the reason is what was chosen before."""
    return InstalledEngine(
        source.name,
        choice.release.tag,
        str(choice.backend),
        source.binary,
        source=source.repository,
        sha256=tuple(asset.sha256 or "" for asset in choice.assets),
        reason=present.reason if present is not None else choice.reason,
    )


def _at(job: EngineJob, stage: EngineStage, changed: Changed) -> None:
    if job.stage is not stage:
        job.stage = stage
        changed(job)
