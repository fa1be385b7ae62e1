"""How does a person get models from the hub?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.api.context import Context, Here
from claracore.api.setup import SetupWishes, options_of
from claracore.engines.find import EngineMissing, find_engine
from claracore.errors import BadRequest
from claracore.fit.budget import Budget, budget_of
from claracore.fit.size import SizeVerdict, by_size
from claracore.library.download import Download, DownloadStatus
from claracore.library.part import free_bytes
from claracore.pull.choice import Variant, projector_for, variants_of
from claracore.pull.listing import RemoteFile
from claracore.pull.plan import Plan
from claracore.store.setup import SetupOptions, machine_for

router = APIRouter(prefix="/api/downloads", tags=["downloads"])

DEFAULT_FOLDER = "downloads"


class DownloadWish(BaseModel):
    """A model of the hub (`org/repo`, `org/repo:Q4_K_M`, the address of a file); `to` is a folder of this machine."""

    ref: Annotated[str, Field(min_length=1, max_length=2000)]
    to: Annotated[str | None, Field(max_length=4000)] = None
    projector: bool = True
    """Whether the eyes or ears (mmproj) of the model come along."""


class DownloadFileView(BaseModel):
    """One file of a download."""

    name: str
    path: str
    """Where it is, or will be."""
    total_bytes: int
    done_bytes: int
    complete: bool


class DownloadView(BaseModel):
    """One model that is, or was, fetched."""

    id: str
    ref: str
    repo: str
    quantization: str
    folder: str
    status: DownloadStatus
    error: str | None
    """Why it failed; while it goes on: what it is waiting for to pass."""
    note: str | None
    """Why the finished model cannot be used yet."""
    models: list[str]
    """Ids under which the finished model can be used."""
    files: list[DownloadFileView]
    total_bytes: int
    done_bytes: int
    bytes_per_second: float | None
    eta_seconds: float | None
    created_at: float
    ended_at: float | None
    removed: bool = False
    """Whether it was taken off the list."""


class DownloadsView(BaseModel):
    """All downloads, the oldest first; where new ones go to; and where the token for the hub comes from, if any."""

    downloads: list[DownloadView]
    folder: str
    token_source: str | None


class PlannedFile(BaseModel):
    """One file that would be fetched."""

    name: str
    bytes: int
    sha256: str | None
    path: str


class VariantView(BaseModel):
    """One model of a repository. `ref` asks for exactly this one; `fit` is judged by the size of its files."""

    ref: str
    label: str
    quantization: str
    file: str
    shards: int
    missing: int
    bytes: int
    fit: SizeVerdict
    chosen: bool


class PlanView(BaseModel):
    """What a reference means, what would be fetched, and what else is there."""

    ref: str
    repo: str
    quantization: str
    folder: str
    files: list[PlannedFile]
    total_bytes: int
    free_bytes: int
    fit: SizeVerdict
    variants: list[VariantView]


class TokenWish(BaseModel):
    """A token for the hub; an empty one forgets the one that was stored."""

    token: Annotated[str, Field(max_length=1000)]


class TokenView(BaseModel):
    """Where the token that counts comes from; null when there is none. The token itself is never shown."""

    source: str | None


@router.get("")
async def downloads(here: Here) -> DownloadsView:
    """List the downloads."""
    token = await asyncio.to_thread(here.downloads.tokens.find)
    return DownloadsView(
        downloads=[download_view(download) for download in here.downloads.all],
        folder=str(download_folder(here)),
        token_source=token.source if token else None,
    )


@router.post("")
async def start(here: Here, wish: DownloadWish) -> DownloadView:
    """Fetch a model; answers when the hub has said what it consists of, and goes on by itself."""
    folder = folder_of(here, wish.to)
    plan, _files = await here.downloads.look(wish.ref, projector=wish.projector)
    return download_view(await here.downloads.add(plan, folder))


@router.post("/plan")
async def plan(here: Here, wish: DownloadWish) -> PlanView:
    """Say what would be fetched, and what else the repository has; nothing is."""
    folder = folder_of(here, wish.to)
    found, files = await here.downloads.look(wish.ref, projector=wish.projector)
    options = await options_of(here, SetupWishes())
    room = await asyncio.to_thread(room_for, here.config.engine, options)
    return await asyncio.to_thread(plan_view, found, files, folder, room)


@router.put("/token")
async def keep_token(here: Here, wish: TokenWish) -> TokenView:
    """Keep a token for gated models, readable by this user only."""
    await asyncio.to_thread(here.downloads.tokens.keep, wish.token)
    token = await asyncio.to_thread(here.downloads.tokens.find)
    return TokenView(source=token.source if token else None)


@router.get("/{download_id}")
async def download(here: Here, download_id: str) -> DownloadView:
    """Show one download."""
    return download_view(here.downloads.get(download_id))


@router.post("/{download_id}/pause")
async def pause(here: Here, download_id: str) -> DownloadView:
    """Stop fetching; what is here stays."""
    return download_view(here.downloads.pause(download_id))


@router.post("/{download_id}/resume")
async def resume(here: Here, download_id: str) -> DownloadView:
    """Go on with what was paused or has failed."""
    return download_view(here.downloads.resume(download_id))


@router.delete("/{download_id}")
async def remove(here: Here, download_id: str) -> DownloadView:
    """Cancel: stop, and delete what was fetched. A finished download is only taken off the list."""
    return gone_view(await here.downloads.remove(download_id))


def download_view(download: Download) -> DownloadView:
    """Return a download as JSON shows it."""
    speed, eta = download.bytes_per_second, download.eta_seconds
    return DownloadView(
        id=download.id,
        ref=str(download.reference),
        repo=download.reference.repo,
        quantization=download.quantization,
        folder=str(download.folder),
        status=download.status,
        error=download.error,
        note=download.note,
        models=download.models,
        files=[
            DownloadFileView(
                name=path.name,
                path=str(path),
                total_bytes=file.remote.size,
                done_bytes=file.done,
                complete=file.complete,
            )
            for file, path in zip(download.files, download.paths, strict=True)
        ],
        total_bytes=download.total,
        done_bytes=download.done,
        bytes_per_second=round(speed) if speed is not None else None,
        eta_seconds=round(eta, 1) if eta is not None else None,
        created_at=download.created_at,
        ended_at=download.ended_at,
    )


def gone_view(download: Download) -> DownloadView:
    """Return a download that is not on the list any more."""
    return download_view(download).model_copy(update={"removed": True})


def folder_of(here: Context, to: str | None) -> Path:
    """Return where a download goes. Raises BadRequest for a folder that is not told in full."""
    if to is None or not to.strip():
        return download_folder(here)
    try:
        folder = Path(to.strip()).expanduser()
    except RuntimeError as error:
        raise BadRequest(f"{to}: {error}", param="to") from error
    if not folder.is_absolute() or "\0" in to:
        raise BadRequest(f"{to!r}: write the whole path of the folder", param="to")
    return Path(os.path.normpath(folder))


def download_folder(here: Context) -> Path:
    """Return where downloads go when nobody says: `downloadDir`, a folder that is followed, or `downloads`."""
    sources = here.configuration.sources
    beside = Path(os.path.abspath(sources.file.parent if sources.file else sources.folder or Path()))  # noqa: PTH100 - links stay
    if here.config.download_dir:
        return Path(os.path.normpath(beside / Path(here.config.download_dir).expanduser()))
    return here.followed[0] if here.followed else beside / DEFAULT_FOLDER


def room_for(configured_engine: str | None, options: SetupOptions) -> Budget:
    """Return how much memory models may use on this machine, with what a person has said about it. Blocking."""
    try:
        engine = find_engine(configured_engine)
    except EngineMissing:
        engine = None
    return budget_of(machine_for(engine, options))


def plan_view(plan: Plan, files: list[RemoteFile], folder: Path, room: Budget) -> PlanView:
    """Return a plan as JSON shows it. Blocking."""
    return PlanView(
        ref=str(plan.reference),
        repo=plan.reference.repo,
        quantization=plan.variant.quantization,
        folder=str(folder),
        files=[
            PlannedFile(
                name=target.name, bytes=target.remote.size, sha256=target.remote.sha256, path=str(folder / target.place)
            )
            for target in plan.targets
        ],
        total_bytes=plan.size,
        free_bytes=free_bytes(folder),
        fit=by_size(plan.size, room),
        variants=[_variant(variant, plan, files, room) for variant in variants_of(files)],
    )


def _variant(variant: Variant, plan: Plan, files: list[RemoteFile], room: Budget) -> VariantView:
    eyes = projector_for(variant, files)
    reference = plan.reference
    revision = "" if reference.revision == "main" else f"@{reference.revision}"
    return VariantView(
        ref=f"{reference.repo}{revision}/{variant.path}",
        label=variant.label,
        quantization=variant.quantization,
        file=variant.path,
        shards=len(variant.files) + variant.missing,
        missing=variant.missing,
        bytes=variant.size,
        fit=by_size(variant.size + (eyes.size if eyes else 0), room),
        chosen=variant == plan.variant,
    )
