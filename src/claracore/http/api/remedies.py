"""What may help a model whose start failed, and what would the configuration be with it?

Nothing is written here: what comes back goes the way of any other text (`POST /api/config/check`, `PUT /api/config`),
and the former one is kept as a backup.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.core.config.tree import Unreadable
from claracore.core.fit.model_paths import model_paths
from claracore.core.loading.remedies import Remedy
from claracore.errors import ConfigError, NotFound
from claracore.host.library.downloads import Downloads
from claracore.host.setup.remedies import remedies_of, with_remedy
from claracore.host.store import files
from claracore.http.api.dependencies import DownloadsDep, RuntimeDep
from claracore.http.api.parts import Runtime

router = APIRouter(tags=["models"])


class RemedyView(BaseModel):
    """One change that may help."""

    id: str
    label: str
    """A button's words."""
    words: str
    """What it brings and costs."""


class RemediesView(BaseModel):
    """What may help a model whose last start failed, the best first; none where nothing is known."""

    model: str
    remedies: list[RemedyView]
    fetched_from: str | None
    """The hub's repository that its file came from, which may have other quantizations; null where it is not known."""


class RemedyWish(BaseModel):
    """Which remedy is meant, by its id."""

    id: str


class RemedyText(BaseModel):
    """The configuration with a remedy, not written yet."""

    yaml: str
    before: str
    """The text as it is."""
    hash: str
    """Of the text as it is: what If-Match of `PUT /api/config` asks for."""


@router.get("/api/models/{name:path}/remedies")
async def remedies(runtime: RuntimeDep, downloads: DownloadsDep, name: str) -> RemediesView:
    """Show what may be changed so that a model starts that did not."""
    model_id = runtime.resolve(name)
    found = await asyncio.to_thread(_found, runtime, model_id)
    views = [RemedyView(id=one.id, label=one.label, words=one.words) for one in found]
    return RemediesView(model=model_id, remedies=views, fetched_from=_fetched_from(runtime, downloads, model_id))


@router.post("/api/models/{name:path}/remedies")
async def remedy(runtime: RuntimeDep, name: str, wish: RemedyWish) -> RemedyText:
    """Return the configuration with a remedy, which is not written."""
    model_id = runtime.resolve(name)
    found = await asyncio.to_thread(_found, runtime, model_id)
    chosen = next((one for one in found if one.id == wish.id), None)
    if chosen is None:
        raise NotFound(f"model {model_id!r} has no remedy {wish.id!r}: its start may have gone otherwise since")
    file = runtime.configuration.sources.one_file()
    text = await asyncio.to_thread(files.read, file)
    try:
        changed = await asyncio.to_thread(with_remedy, text, model_id, chosen)
    except Unreadable as error:
        raise ConfigError([error.finding]) from error
    return RemedyText(yaml=changed, before=text, hash=files.digest(text))


def _fetched_from(runtime: Runtime, downloads: Downloads, model_id: str) -> str | None:
    cmd = runtime.config.models[model_id].cmd
    path = model_paths({model_id: cmd}).get(model_id)
    return next((one.reference.repo for one in downloads.all if path and Path(path) in one.paths), None)


def _found(runtime: Runtime, model_id: str) -> list[Remedy]:
    failure = runtime.supervisor.failure(model_id)
    return remedies_of(runtime.config.models[model_id], failure) if failure is not None else []
