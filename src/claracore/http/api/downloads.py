"""How does a person get models from the hub?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.errors import BadRequest
from claracore.http.api.context import Context, Here
from claracore.http.api.download_views import (
    DEFAULT_FOLDER,
    DownloadView,
    PlanView,
    download_view,
    gone_view,
    plan_view,
    room_for,
)
from claracore.http.api.setup import SetupWishes, options_of

router = APIRouter(prefix="/api/downloads", tags=["downloads"])


class DownloadWish(BaseModel):
    """A model of the hub (`org/repo`, `org/repo:Q4_K_M`, the address of a file); `to` is a folder of this machine."""

    ref: Annotated[str, Field(min_length=1, max_length=2000)]
    to: Annotated[str | None, Field(max_length=4000)] = None
    projector: bool = True
    """Whether the multimodal projector (mmproj) of the model comes along."""


class DownloadsView(BaseModel):
    """All downloads, the oldest first; where new ones go to; and where the token for the hub comes from, if any."""

    downloads: list[DownloadView]
    folder: str
    token_source: str | None


class TokenWish(BaseModel):
    """A token for the hub; an empty one forgets the one that was stored."""

    token: Annotated[str, Field(max_length=1000)]


class TokenView(BaseModel):
    """Where the token that counts comes from; null when there is none. The token itself is never shown."""

    source: str | None


@router.get("")
async def downloads(here: Here) -> DownloadsView:
    """List the downloads."""
    token = await asyncio.to_thread(here.downloads.hub.tokens.find)
    return DownloadsView(
        downloads=[download_view(download) for download in here.downloads.all],
        folder=str(download_folder(here)),
        token_source=token.source if token else None,
    )


@router.post("")
async def start(here: Here, wish: DownloadWish) -> DownloadView:
    """Fetch a model; answers when the hub has said what it consists of, and goes on by itself."""
    folder = folder_of(here, wish.to)
    plan, _files = await here.downloads.hub.look(wish.ref, projector=wish.projector)
    return download_view(await here.downloads.add(plan, folder))


@router.post("/plan")
async def plan(here: Here, wish: DownloadWish) -> PlanView:
    """Say what would be fetched, and what else the repository has; nothing is."""
    folder = folder_of(here, wish.to)
    found, files = await here.downloads.hub.look(wish.ref, projector=wish.projector)
    options = await options_of(here, SetupWishes())
    room = await asyncio.to_thread(room_for, here.config.engine, options)
    return await asyncio.to_thread(plan_view, found, files, folder, room)


@router.put("/token")
async def keep_token(here: Here, wish: TokenWish) -> TokenView:
    """Keep a token for gated models, readable by this user only."""
    await asyncio.to_thread(here.downloads.hub.tokens.keep, wish.token)
    token = await asyncio.to_thread(here.downloads.hub.tokens.find)
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


def folder_of(here: Context, to: str | None) -> Path:
    """Return where a download goes. Raises BadRequest for a folder that is not told in full."""
    if to is None or not to.strip():
        return download_folder(here)
    folder = _expanded(to.strip())
    if not folder.is_absolute() or "\0" in to:
        raise BadRequest(f"{to!r}: write the whole path of the folder", param="to")
    return Path(os.path.normpath(folder))


def download_folder(here: Context) -> Path:
    """Return where downloads go when nobody says: `downloadDir`, a folder that is followed, or `downloads`."""
    sources = here.configuration.sources
    beside = Path(os.path.abspath(sources.file.parent if sources.file else sources.folder or Path()))  # noqa: PTH100 - links stay
    if here.config.download_dir:
        return Path(os.path.normpath(beside / _expanded(here.config.download_dir)))
    return here.followed[0] if here.followed else beside / DEFAULT_FOLDER


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise BadRequest(f"{text}: {error}; write the whole path of the folder", param="to") from error
