"""How does a person get models from the hub?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.host.library.views import DownloadView, PlanView, download_view, gone_view, plan_view
from claracore.http.api.dependencies import DestinationsDep, DownloadsDep, SurveyorDep
from claracore.http.api.events.snapshot import SNAPSHOT

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


@router.get("", dependencies=SNAPSHOT)
async def downloads(downloads: DownloadsDep, destinations: DestinationsDep) -> DownloadsView:
    """List the downloads."""
    token = await asyncio.to_thread(downloads.hub.tokens.find)
    return DownloadsView(
        downloads=[download_view(download) for download in downloads.all],
        folder=str(destinations.usual()),
        token_source=token.source if token else None,
    )


@router.post("")
async def start(downloads: DownloadsDep, destinations: DestinationsDep, wish: DownloadWish) -> DownloadView:
    """Fetch a model; answers when the hub has said what it consists of, and goes on by itself."""
    folder = destinations.chosen(wish.to)
    plan, _files = await downloads.hub.look(wish.ref, projector=wish.projector)
    return download_view(await downloads.add(plan, folder))


@router.post("/plan")
async def plan(
    downloads: DownloadsDep, destinations: DestinationsDep, surveyor: SurveyorDep, wish: DownloadWish
) -> PlanView:
    """Say what would be fetched, and what else the repository has; nothing is."""
    folder = destinations.chosen(wish.to)
    found, files = await downloads.hub.look(wish.ref, projector=wish.projector)
    return await asyncio.to_thread(plan_view, found, files, folder, await surveyor.budget())


@router.put("/token")
async def keep_token(downloads: DownloadsDep, wish: TokenWish) -> TokenView:
    """Keep a token for gated models, readable by this user only."""
    await asyncio.to_thread(downloads.hub.tokens.keep, wish.token)
    token = await asyncio.to_thread(downloads.hub.tokens.find)
    return TokenView(source=token.source if token else None)


@router.get("/{download_id}")
async def download(downloads: DownloadsDep, download_id: str) -> DownloadView:
    """Show one download."""
    return download_view(downloads.get(download_id))


@router.post("/{download_id}/pause")
async def pause(downloads: DownloadsDep, download_id: str) -> DownloadView:
    """Stop fetching; what is here stays."""
    return download_view(downloads.pause(download_id))


@router.post("/{download_id}/resume")
async def resume(downloads: DownloadsDep, download_id: str) -> DownloadView:
    """Go on with what was paused or has failed."""
    return download_view(downloads.resume(download_id))


@router.delete("/{download_id}")
async def remove(downloads: DownloadsDep, download_id: str, files: bool = False) -> DownloadView:  # noqa: FBT001, FBT002 - as the query gives it
    """Cancel: stop, and delete what was fetched.

    A finished download is only taken off the list; with `files` what it has fetched is deleted, too.
    """
    gone = downloads.get(download_id)
    await (downloads.delete([gone]) if files else downloads.remove(download_id))
    return gone_view(gone)
