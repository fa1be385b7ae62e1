"""How are engines, and what is being done about them, shown as JSON?

`/api/engines` answers with these, and `claracore engines --json` prints them, also without a server.
"""

from __future__ import annotations

from pydantic import BaseModel

from claracore.core.engines.choose import BuildChoice
from claracore.core.engines.installed import EngineUse, InstalledEngine, engine_id
from claracore.core.engines.job import ENDED, EngineAction, EngineJob, EngineStage
from claracore.core.engines.order import EnginePlace, PlaceKind, active_place, explained_order
from claracore.core.engines.sources import SOURCES
from claracore.host.engines.find import engine_places
from claracore.host.engines.installed import EngineFolders


class InstalledView(BaseModel):
    """One build that is installed."""

    id: str
    name: str
    version: str
    backend: str
    in_use: bool
    """Whether it is what `llama-server` in a command means, as far as installed builds are asked."""
    previous: bool
    """Whether it was in use before: what a rollback goes back to."""
    path: str
    """The program."""
    says: str
    """What its `--version` prints."""
    source: str
    size_bytes: int
    installed_at: float
    """Unix seconds."""
    reason: str
    """Why this build was chosen."""


class EnginePlaceView(BaseModel):
    """One place where an engine may be; `path` is empty where there is none, `problem` where it runs."""

    kind: PlaceKind
    path: str
    problem: str


class RolledBackView(BaseModel):
    """A build that was given up for the one before, because it could not load a model that the one before could."""

    name: str
    given_up: str
    model: str
    reason: str
    at: float


class EngineJobView(BaseModel):
    """A build on its way: `stage` says how far, `error` why it failed, `trouble` what it waits for to pass."""

    id: str
    action: EngineAction
    name: str
    stage: EngineStage
    ended: bool
    version: str
    """What was chosen; empty until then, and so are `backend` and the two reasons."""
    backend: str
    reason: str
    fallback: str
    """Why it is not the backend that would be best here."""
    done_bytes: int
    total_bytes: int
    fraction: float | None
    """How far the compiler is, from 0 to 1; null where nothing is compiled."""
    trouble: str | None
    error: str | None
    error_code: str | None
    engine: str | None
    """The id of the build that is there now."""
    note: str
    begun_at: float
    ended_at: float | None


class EnginesView(BaseModel):
    """All engines of this user, and which one is meant by `llama-server`."""

    engines: list[InstalledView]
    active: EnginePlaceView | None
    """What the bare word `llama-server` in a command means; null where no engine runs."""
    active_id: str | None
    """The id of the installed build that this is; null where it is none."""
    places: list[EnginePlaceView]
    """Where an engine may be, in the order in which they are asked."""
    explained: list[str]
    """The same in words."""
    rolled_back: list[RolledBackView]
    jobs: list[EngineJobView]
    folder: str | None
    """Where engines are installed; null for a user without a home."""
    sources: list[str]
    """Which engines can be installed."""


class EngineFileView(BaseModel):
    """One archive that would be fetched."""

    name: str
    bytes: int
    sha256: str | None


class RejectedView(BaseModel):
    """A build that would not be taken, and why."""

    name: str
    backend: str
    reason: str
    elsewhere: bool
    """Whether it is for another system or processor."""


class EnginePlanView(BaseModel):
    """What would be installed here."""

    id: str
    name: str
    version: str
    backend: str
    reason: str
    fallback: str
    files: list[EngineFileView]
    total_bytes: int
    """To be fetched."""
    installed: bool
    in_use: bool
    devices: list[str]
    """The graphics devices of this machine."""
    rejected: list[RejectedView]


class EngineCheckView(BaseModel):
    """Whether a build runs, and what it says: `problem` is empty where it does."""

    id: str
    problem: str
    says: str
    devices: list[str] | None
    """Graphics devices that it sees; null where it does not tell."""


class EnginesCheckView(BaseModel):
    """How the builds are, and whether there is a newer one than the one in use."""

    checks: list[EngineCheckView]
    newest: EnginePlanView | None
    newest_problem: str
    """Why it is not known what is the newest; empty where it is."""


def installed_view(engine: InstalledEngine, use: EngineUse, folders: EngineFolders) -> InstalledView:
    """Return how a build is shown."""
    return InstalledView(
        id=engine.id,
        name=engine.name,
        version=engine.version,
        backend=engine.backend,
        in_use=use.current.get(engine.name) == engine.id,
        previous=use.previous.get(engine.name) == engine.id,
        path=str(folders.program(engine)),
        says=engine.says,
        source=engine.source,
        size_bytes=engine.size_bytes,
        installed_at=engine.installed_at,
        reason=engine.reason,
    )


def engines_view(folders: EngineFolders, configured: str | None, jobs: list[EngineJob]) -> EnginesView:
    """Return how all engines are shown; blocking, as `find_engine`. `configured`: `engine` of the configuration."""
    use, places = folders.use(), engine_places(configured)
    installed = [installed_view(engine, use, folders) for engine in folders.engines()]
    active = active_place(places)
    return EnginesView(
        engines=installed,
        active=_place_view(active) if active is not None else None,
        active_id=next((view.id for view in installed if active is not None and view.path == active.path), None),
        places=[_place_view(place) for place in places],
        explained=explained_order(places),
        rolled_back=[
            RolledBackView(name=name, given_up=one.given_up, model=one.model, reason=one.reason, at=one.at)
            for name, one in use.rolled_back.items()
        ],
        jobs=[job_view(job) for job in jobs],
        folder=folders.name,
        sources=list(SOURCES),
    )


def plan_view(choice: BuildChoice, name: str, folders: EngineFolders, devices: list[str]) -> EnginePlanView:
    """Return how it is shown what would be installed."""
    id_ = engine_id(name, choice.release.tag, str(choice.backend))
    return EnginePlanView(
        id=id_,
        name=name,
        version=choice.release.tag,
        backend=str(choice.backend),
        reason=choice.reason,
        fallback=choice.fallback,
        files=[EngineFileView(name=asset.name, bytes=asset.size, sha256=asset.sha256) for asset in choice.assets],
        total_bytes=choice.total_bytes,
        installed=any(engine.id == id_ for engine in folders.engines()),
        in_use=folders.use().current.get(name) == id_,
        devices=devices,
        rejected=[
            RejectedView(name=one.name, backend=str(one.backend), reason=one.reason, elsewhere=one.elsewhere)
            for one in choice.rejected
        ],
    )


def job_view(job: EngineJob) -> EngineJobView:
    """Return how a job is shown."""
    return EngineJobView(
        id=job.id,
        action=job.action,
        name=job.wish.name,
        stage=job.stage,
        ended=job.stage in ENDED,
        version=job.version,
        backend=job.backend,
        reason=job.reason,
        fallback=job.fallback,
        done_bytes=job.done_bytes,
        total_bytes=job.total_bytes,
        fraction=job.fraction,
        trouble=job.trouble,
        error=job.error,
        error_code=job.error_code,
        engine=job.engine,
        note=job.note,
        begun_at=job.begun_at,
        ended_at=job.ended_at,
    )


def _place_view(place: EnginePlace) -> EnginePlaceView:
    return EnginePlaceView(kind=place.kind, path=place.path, problem=place.problem)
