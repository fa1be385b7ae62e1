"""How are downloads, and what a reference to a model of the hub means, shown as JSON?

`/api/downloads` answers with these, and `claracore pull --json` prints them, also without a server.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from claracore.core.fit.budget import Budget
from claracore.core.fit.size import SizeVerdict, by_size
from claracore.core.pull.choice import Variant, projector_for, variants_of
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.plan import Plan
from claracore.host.library.download import Download, DownloadStatus
from claracore.host.library.download_files import free_bytes


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
    page: str
    """Where a browser shows the repository."""
    quantization: str
    folder: str
    status: DownloadStatus
    error: str | None
    """Why it failed; while it goes on: what it is waiting for to pass."""
    error_code: str | None
    """Which kind of error that is, as error answers name it."""
    note: str | None
    """Why the finished model cannot be used yet."""
    models: list[str]
    """Ids under which the finished model can be used."""
    files: list[DownloadFileView]
    total_bytes: int
    done_bytes: int
    bytes_per_second: float | None
    eta_seconds: float | None
    quiet_seconds: int | None
    """For how long no byte has come; null while they come."""
    created_at: float
    ended_at: float | None
    removed: bool = False
    """Whether it was taken off the list."""


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


def download_view(download: Download) -> DownloadView:
    """Return a download as JSON shows it."""
    speed, eta = download.bytes_per_second, download.eta_seconds
    return DownloadView(
        id=download.id,
        ref=str(download.reference),
        repo=download.reference.repo,
        page=download.reference.page,
        quantization=download.quantization,
        folder=str(download.folder),
        status=download.status,
        error=download.error,
        error_code=download.error_code,
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
        quiet_seconds=download.quiet_seconds,
        created_at=download.created_at,
        ended_at=download.ended_at,
    )


def gone_view(download: Download) -> DownloadView:
    """Return a download that is not on the list any more."""
    return download_view(download).model_copy(update={"removed": True})


def plan_view(plan: Plan, files: list[RemoteFile], folder: Path, budget: Budget) -> PlanView:
    """Return a plan as JSON shows it; `files` are all of the repository. Blocking."""
    return PlanView(
        ref=str(plan.reference),
        repo=plan.reference.repo,
        quantization=plan.variant.quantization,
        folder=str(folder),
        files=[
            PlannedFile(
                name=target.name, bytes=target.remote.size, sha256=target.remote.sha256, path=str(folder / target.place)
            )
            for target in plan.files
        ],
        total_bytes=plan.size,
        free_bytes=free_bytes(folder),
        fit=by_size(plan.size, budget),
        variants=[_variant(variant, plan, files, budget) for variant in variants_of(files)],
    )


def _variant(variant: Variant, plan: Plan, files: list[RemoteFile], budget: Budget) -> VariantView:
    projector_file = projector_for(variant, files)
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
        fit=by_size(variant.size + (projector_file.size if projector_file else 0), budget),
        chosen=variant == plan.variant,
    )
