"""How does a person point ClaraCore at model files and get a configuration from it?"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import psutil
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from claracore.core.config.lines import read_plain
from claracore.core.fit.catalog import Chosen
from claracore.core.fit.memory import RAM
from claracore.core.fit.plan import Placement
from claracore.core.gguf.model import ModelFacts
from claracore.errors import NotFound
from claracore.host.engines.find import find_engine
from claracore.host.library.cache import ReadingCache
from claracore.host.library.scan import Progress
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.survey import Survey, survey
from claracore.host.setup.write import SetupReport, proposed, proposed_for_file
from claracore.host.state import home_folder
from claracore.host.store import files
from claracore.http.api.config import WrittenView, change_config, file_of, without_model
from claracore.http.api.context import Context, Here
from claracore.http.api.hardware import HardwareView, hardware_view

router = APIRouter(prefix="/api/setup", tags=["setup"])

MOST_FOLDERS = 2_000
MOST_FILES = 20_000


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
    vram_gb: Annotated[float | None, Field(ge=0, le=100_000)] = None
    ram_gb: Annotated[float | None, Field(ge=0, le=100_000)] = None
    context: Annotated[int | None, Field(ge=256, le=10_000_000)] = None
    parallel: Annotated[int | None, Field(ge=1, le=1024)] = None
    auto_draft: bool = False
    realtime: bool = False
    """Plan with the memory that is free now."""


class ScanWish(BaseModel):
    """Folders with model files on this machine, and which models of them are to be served; null means all."""

    folders: Annotated[list[str], Field(min_length=1, max_length=100)]
    options: SetupWishes = SetupWishes()
    models: list[str] | None = None


class ApplyWish(ScanWish):
    """The same; `hash` names the text of the file that this is based on."""

    hash: str | None = None


class FitRow(BaseModel):
    """One part of what a model takes."""

    what: str
    bytes: int
    where: str


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


@router.get("/browse")
async def browse(
    here: Here, path: Annotated[str | None, Query(description="Empty: the home folder.")] = None
) -> BrowseView:
    """Look into a folder of this machine."""
    return await asyncio.to_thread(_browse, path or str(home_folder()), here.followed)


@router.post("/scan")
async def scan(here: Here, wish: ScanWish) -> ScanView:
    """Look at model files and this machine, and say what would be written; nothing is."""
    found = await _survey(here, wish)
    report = await asyncio.to_thread(proposed_for_file, found)
    text = await asyncio.to_thread(_text, report, wish)
    models = [
        *(_found(here, report, chosen) for chosen in report.catalog.chosen),
        *(
            _refused(refused.candidate.id, refused.candidate.facts, refused.placement)
            for refused in report.catalog.refused
        ),
    ]
    known = _known(report)
    for model in models:
        model.known = model.id in known
    return ScanView(
        models=models,
        left_out=[LeftOutView(path=str(its.path), reason=its.reason) for its in report.left_out],
        hardware=hardware_view(report.hardware),
        yaml=text,
        diff=replace(report, text=text, old_text=report.old_text or "").diff,
        hash=files.digest(report.old_text) if report.old_text is not None else "",
    )


@router.post("/apply")
async def apply(here: Here, wish: ApplyWish) -> WrittenView:
    """Write the configuration that a scan has shown, with all or some of its models, and take it over.

    Without a `hash` the models go into the file as it is when they have been looked at.
    """
    found = await _survey(here, wish)
    return await change_config(here, lambda old: _text(proposed(found, old), wish), wish.hash or "*")


async def _survey(here: Context, wish: ScanWish) -> Survey:
    return await survey_for(here, [_expanded(folder) for folder in wish.folders], wish.options, _teller(here))


async def survey_for(here: Context, folders: Sequence[Path], its: SetupWishes, tell: Progress | None = None) -> Survey:
    """Look at the models in folders (or files), for the configuration file; nothing is written."""
    options = await options_of(here, its)
    file = file_of(here)

    def look() -> Survey:
        cache = ReadingCache.in_folder(here.state_dir)
        engine = find_engine(here.config.engine)
        return survey(SetupRequest(folders, file, options, engine, cache, dry_run=True, on_progress=tell))

    return await asyncio.to_thread(look)


async def options_of(here: Context, its: SetupWishes) -> SetupOptions:
    """Return what to plan with: what is wished now, else what was saved."""
    saved = await asyncio.to_thread(here.settings.load)
    return SetupOptions(
        backend=its.backend or (saved.backend if saved and saved.backend != "auto" else None),
        vram_gb=its.vram_gb if its.vram_gb is not None else (saved.vram_gb or None if saved else None),
        ram_gb=its.ram_gb if its.ram_gb is not None else (saved.ram_gb or None if saved else None),
        context=its.context or (saved.preferred_context or None if saved else None),
        parallel=its.parallel,
        jinja=saved.enable_jinja if saved else True,
        auto_draft=its.auto_draft,
        realtime=its.realtime,
        listen_port=here.listen.port,
    )


def _teller(here: Context) -> Progress:
    """Return what tells followers how many of the model files have been read; for any thread."""
    loop = asyncio.get_running_loop()

    def publish(done: int, total: int, name: str) -> None:
        here.hub.publish("setup", {"done": done, "total": total, "file": name}, key="progress")

    def tell(done: int, total: int, path: Path) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(publish, done, total, path.name)

    return tell


def _text(report: SetupReport, wish: ScanWish) -> str:
    """Return the text without the models that are new and not wanted."""
    text = report.text
    if wish.models is None:
        return text
    known = _known(report)
    for model_id in read_plain(text).get("models") or {}:
        if model_id not in known and model_id not in wish.models:
            text = without_model(text, model_id)
    return text


def _known(report: SetupReport) -> Collection[str]:
    """Return the ids of the models that the file has already."""
    models = read_plain(report.old_text).get("models") if report.old_text else None
    return models if isinstance(models, dict) else ()


def _found(here: Context, report: SetupReport, chosen: Chosen) -> FoundModel:
    candidate, placement = chosen.candidate, chosen.placement
    model_id = report.ids.get(candidate.path, candidate.id)
    found = _refused(model_id, candidate.facts, placement)
    found.context = placement.settings.context
    found.group = chosen.group
    found.quantization = candidate.quantization or found.quantization
    found.port = here.keeper.plan.assignment.get(model_id)
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
    )


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise NotFound(f"{path}: {error}") from error


def _browse(path: str, followed: Iterable[Path]) -> BrowseView:
    try:
        folder = _expanded(path).resolve(strict=True)
        entries = sorted(
            (entry for entry in os.scandir(folder) if _is_folder(entry)), key=lambda entry: entry.name.lower()
        )
    except (OSError, ValueError) as error:
        raise NotFound(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    shown = [entry for entry in entries if not entry.name.startswith(".")][:MOST_FOLDERS]
    return BrowseView(
        path=str(folder),
        parent=str(folder.parent) if folder.parent != folder else None,
        folders=[FolderView(name=entry.name, path=entry.path, models=_models_in(Path(entry.path))) for entry in shown],
        roots=_roots(),
        followed=[str(its) for its in followed],
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _models_in(folder: Path) -> int:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sum(entry.name.endswith(".gguf") for entry, _ in zip(entries, range(MOST_FILES), strict=False))
    return 0


def _roots() -> list[str]:
    """Return the home folder and what is mounted, without the system's own."""
    mounts = {
        part.mountpoint for part in psutil.disk_partitions() if not part.mountpoint.startswith(("/boot", "/snap"))
    }
    return list(dict.fromkeys([str(home_folder()), *sorted(path for path in mounts if Path(path).is_dir())]))
