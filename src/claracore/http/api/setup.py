"""How does a person point ClaraCore at model files and get a configuration from it?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from claracore.core.fit.catalog import Chosen
from claracore.core.fit.limits import LEAST_CONTEXT, MOST_CONTEXT, MOST_GB, MOST_PARALLEL
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement
from claracore.core.fit.speed import ModelSpeed, SpeedSource
from claracore.core.gguf.model import ModelFacts
from claracore.core.memory.measured import LastLoad
from claracore.host.library.model import LeftOut
from claracore.host.library.scan import Progress
from claracore.host.setup import browse as folders
from claracore.host.setup.choice_views import ChoiceView, PlacementSettings
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.setup_choices import FoundChoices
from claracore.host.setup.speeds import speeds_of
from claracore.host.setup.survey import Survey
from claracore.host.setup.survey_for_config import Surveyor, known_models, text_with
from claracore.host.setup.write import SetupReport, proposed, proposed_for_file
from claracore.host.store import files
from claracore.http.api.config import WrittenView, change_config
from claracore.http.api.dependencies import EventsDep, InstallationDep, RuntimeDep, SurveyorDep
from claracore.http.api.events.announcer import Announcer
from claracore.http.api.hardware import HardwareView, hardware_view

router = APIRouter(prefix="/api/setup", tags=["setup"])


class FolderView(BaseModel):
    """A folder, and how many model files lie directly in it (not below)."""

    name: str
    path: str
    models: int


class BrowseView(BaseModel):
    """A folder of this machine and the folders in it; `roots` are places to begin at.

    `followed` are the folders whose models are kept in the configuration while we run.
    """

    path: str
    parent: str | None
    folders: list[FolderView]
    roots: list[str]
    followed: list[str]


class SetupWishes(BaseModel):
    """What to plan with instead of what is found; null leaves the choice to ClaraCore."""

    backend: str | None = None
    vram_gb: Annotated[float | None, Field(ge=0, le=MOST_GB)] = None
    ram_gb: Annotated[float | None, Field(ge=0, le=MOST_GB)] = None
    context: Annotated[int | None, Field(ge=LEAST_CONTEXT, le=MOST_CONTEXT)] = None
    parallel: Annotated[int | None, Field(ge=1, le=MOST_PARALLEL)] = None
    auto_draft: bool = False
    realtime: bool = False
    """Plan with the memory that is free now."""


class ScanWish(BaseModel):
    """Folders with model files on this machine, and which models of them are to be served; null means all."""

    folders: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=100)]
    options: SetupWishes = SetupWishes()
    models: list[str] | None = None
    choices: Annotated[dict[str, PlacementSettings], Field(max_length=10_000)] = {}
    """Of these models another way to run them than the recommended one, as POST /api/setup/choices names it."""


class ChoicesWish(BaseModel):
    """A model that a scan of these folders has found."""

    folders: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=100)]
    options: SetupWishes = SetupWishes()
    model: str


class FoundChoicesView(BaseModel):
    """The ways in which it can be run, the fastest first."""

    model: str
    choices: list[ChoiceView]
    current: int | None
    """Which of them the proposed configuration says; null where a person has written another placement."""


class ApplyWish(ScanWish):
    """The same; `hash` names the text of the file that this is based on."""

    hash: str | None = None


class FitRow(BaseModel):
    """One part of what a model takes."""

    what: str
    bytes: int
    where: str


class SpeedView(BaseModel):
    """Tokens per second of one answer at a time, measured of past answers or predicted; null where it is not known."""

    reading: float | None
    writing: float | None
    source: SpeedSource
    answers: int
    """Of how many answers a measured speed is the median."""
    words: str


class FoundModel(BaseModel):
    """One model, how it would run, and why."""

    id: str
    known: bool
    """Whether the configuration names it already; it is taken out there."""
    kind: str
    quantization: str
    size_bytes: int
    context: int | None
    placement: str
    group: str | None
    port: int | None
    reasons: list[str]
    fit: list[FitRow]
    last_load: LastLoad | None
    """What it took when it was loaded last in this way, beside what was expected then; null when it never was."""
    speed: SpeedView | None
    """How fast it answers; null for one that is not served."""


class LeftOutView(BaseModel):
    """A file that is not served, and why."""

    path: str
    reason: str


class ScanView(BaseModel):
    """What was found, and the configuration that would be written."""

    models: list[FoundModel]
    left_out: list[LeftOutView]
    hardware: HardwareView
    yaml: str
    diff: str
    hash: str


class StoreView(BaseModel):
    """A folder in which another program keeps models; `configured` of them are in the configuration already."""

    store: str
    path: str
    models: int
    configured: int
    bytes: int


class StoresView(BaseModel):
    """The models that are on this machine, by who keeps them; in the sums copies count once."""

    found: list[StoreView]
    models: int
    configured: int
    bytes: int
    unusable: list[LeftOutView]
    """Places that are there but cannot be looked at, and why."""
    left_out: list[LeftOutView]


@router.get("/stores")
async def stores(surveyor: SurveyorDep) -> StoresView:
    """Look for models where other programs keep theirs; `apply` takes the paths as folders."""
    found, configured = await surveyor.stores()
    return StoresView(
        found=[
            StoreView(
                store=store.store,
                path=str(store.path),
                models=len(store.models),
                configured=sum(model.id in configured for model in store.models),
                bytes=store.bytes,
            )
            for store in found.stores
        ],
        models=len(found.models),
        configured=len(configured),
        bytes=found.bytes,
        unusable=_left_out(found.unusable),
        left_out=_left_out(found.left_out),
    )


def _left_out(files: Iterable[LeftOut]) -> list[LeftOutView]:
    return [LeftOutView(path=str(file.path), reason=file.reason) for file in files]


@router.get("/browse")
async def browse(
    installation: InstallationDep, path: Annotated[str | None, Query(description="Empty: the home folder.")] = None
) -> BrowseView:
    """Look into a folder of this machine."""
    found = await asyncio.to_thread(folders.browse, path)
    return BrowseView(**asdict(found), followed=[str(folder) for folder in installation.followed])


@router.post("/scan")
async def scan(runtime: RuntimeDep, surveyor: SurveyorDep, events: EventsDep, wish: ScanWish) -> ScanView:
    """Look at model files and this machine, and say what would be written; nothing is."""
    found = await _survey(surveyor, events.announcer, wish)
    report = await asyncio.to_thread(proposed_for_file, found)
    text = await asyncio.to_thread(_text, found, report, wish)
    speeds = await asyncio.to_thread(speeds_of, report, surveyor.state_dir)
    ports = runtime.keeper.plan.assignment
    models = [
        *(_chosen(report, chosen, ports, speeds[chosen.candidate.path]) for chosen in report.catalog.chosen),
        *(
            _refused(refused.candidate.id, refused.candidate.facts, refused.placement)
            for refused in report.catalog.refused
        ),
    ]
    known = known_models(report)
    for model in models:
        model.known = model.id in known
    return ScanView(
        models=models,
        left_out=_left_out(report.left_out),
        hardware=hardware_view(report.hardware),
        yaml=text,
        diff=replace(report, text=text, old_text=report.old_text or "").diff,
        hash=files.digest(report.old_text) if report.old_text is not None else "",
    )


@router.post("/apply")
async def apply(runtime: RuntimeDep, surveyor: SurveyorDep, events: EventsDep, wish: ApplyWish) -> WrittenView:
    """Write the configuration that a scan has shown, with all or some of its models, and take it over.

    Without a `hash` the models go into the file as it is when they have been looked at.
    """
    found = await _survey(surveyor, events.announcer, wish)
    surveyor.forget()
    return await change_config(
        runtime.configuration, lambda old: _text(found, proposed(found, old), wish), wish.hash or "*"
    )


def _text(found: Survey, report: SetupReport, wish: ScanWish) -> str:
    return FoundChoices(found, report).text_with(text_with(report, wish.models), wish.choices)


@router.post("/choices")
async def choices(surveyor: SurveyorDep, wish: ChoicesWish) -> FoundChoicesView:
    """Show the ways in which a model that a scan has found can be run on this machine, and what each costs."""
    paths = [folders.expanded(folder) for folder in wish.folders]
    found = await surveyor.surveyed(paths, SetupOptions(**wish.options.model_dump()))

    def look() -> tuple[list[ChoiceView], int | None]:
        return FoundChoices(found, proposed_for_file(found)).of(wish.model)

    views, current = await asyncio.to_thread(look)
    return FoundChoicesView(model=wish.model, choices=views, current=current)


async def _survey(surveyor: Surveyor, announcer: Announcer, wish: ScanWish) -> Survey:
    paths = [folders.expanded(folder) for folder in wish.folders]
    return await surveyor.survey(paths, SetupOptions(**wish.options.model_dump()), _progress(announcer))


def _progress(announcer: Announcer) -> Progress:
    """Return what announces how many of the model files have been read; for any thread."""
    loop = asyncio.get_running_loop()

    def progress(done: int, total: int, path: Path) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(announcer.setup_progress, done, total, path.name)

    return progress


def _chosen(report: SetupReport, chosen: Chosen, ports: Mapping[str, int], speed: ModelSpeed) -> FoundModel:
    candidate, placement = chosen.candidate, chosen.placement
    model_id = report.ids.get(candidate.path, candidate.id)
    found = _refused(model_id, candidate.facts, placement)
    found.context = placement.settings.context
    found.group = chosen.group
    found.quantization = candidate.quantization or found.quantization
    found.port = ports.get(model_id)
    found.speed = SpeedView(
        reading=speed.reading, writing=speed.writing, source=speed.source, answers=speed.answers, words=speed.words
    )
    found.last_load = report.learnt.last_load(candidate.path, candidate.facts.dealt_layers, placement.settings)
    return found


def _refused(model_id: str, facts: ModelFacts, placement: Placement) -> FoundModel:
    return FoundModel(
        id=model_id,
        known=False,
        kind=str(facts.kind),
        quantization=facts.quantization or "",
        size_bytes=facts.file_bytes,
        context=None,
        placement=str(placement.verdict),
        group=None,
        port=None,
        reasons=[reason for reason in (placement.reason, placement.context_reason) if reason],
        fit=[
            FitRow(what=row.what, bytes=row.bytes, where="RAM" if row.place == RAM else f"GPU {row.place}")
            for row in placement.estimate.rows
        ],
        last_load=None,
        speed=None,
    )
