"""How did clients of the first ClaraCore fetch models? (COMPAT, part 2 section 4)

The same downloads in their shapes. Ids have no slash any more, so that the paths with an id work; all shards of a model
are one download; what is not known is 404 and not 200.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from claracore.errors import BadRequest
from claracore.host.library.download import DownloadStatus
from claracore.host.library.hub_tokens import HubToken
from claracore.http.api.context import Here
from claracore.http.api.download_views import DownloadView, download_view
from claracore.http.api.downloads import download_folder, folder_of

router = APIRouter(tags=["old clients"], include_in_schema=False)

STATUS = {
    DownloadStatus.QUEUED: "pending",
    DownloadStatus.DOWNLOADING: "downloading",
    DownloadStatus.CHECKING: "downloading",
    DownloadStatus.PAUSED: "paused",
    DownloadStatus.FINISHED: "completed",
    DownloadStatus.FAILED: "failed",
}


class OldWish(BaseModel):
    """What they send. The hub is asked for what belongs together, so one address is enough."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    url: str = ""
    model_id: str = ""
    filename: str = ""
    hf_api_key: str = ""
    destination_path: str = ""
    is_multi_part: bool = False
    files: list[dict[str, Any] | str] = Field(default_factory=list, max_length=1000)
    quantization: str = ""

    @property
    def reference(self) -> str:
        """The model as a reference. Raises BadRequest when nothing is named."""
        first = self.files[0] if self.files else {}
        told = {"filename": first} if isinstance(first, str) else first
        url = self.url or str(told.get("url") or "")
        filename = self.filename or str(told.get("filename") or told.get("path") or "")
        if url:
            return url
        if self.model_id and filename:
            return f"{self.model_id}/{filename}"
        if self.model_id:
            return f"{self.model_id}:{self.quantization}" if self.quantization else self.model_id
        raise BadRequest("url is required: the address of a .gguf file on the hub", param="url")


class OldId(BaseModel):
    """A download that is named in a body."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    download_id: str


class OldKey(BaseModel):
    """A token for the hub."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    api_key: str = Field("", max_length=1000)


@router.post("/api/models/download")
async def start(here: Here, wish: OldWish) -> dict[str, Any]:
    """Fetch a model."""
    token = HubToken(wish.hf_api_key.strip(), "hfApiKey of the request") if wish.hf_api_key.strip() else None
    folder = folder_of(here, wish.destination_path or None)
    plan, _files = await here.downloads.hub.look(wish.reference, token=token)
    download = await here.downloads.add(plan, folder, token=token)
    common = {"status": "started", "modelId": wish.model_id or plan.reference.repo}
    if wish.is_multi_part or len(plan.variant.files) > 1:
        parts = {"quantization": download.quantization, "partCount": len(plan.variant.files)}
        return {"downloadId": download.id, "downloadIds": [download.id], **common, **parts}
    return {"downloadId": download.id, **common, "filename": plan.files[0].name}


@router.post("/api/models/download/cancel")
async def cancel(here: Here, wish: OldId) -> dict[str, str]:
    """Cancel a download."""
    await here.downloads.remove(wish.download_id)
    return {"status": "cancelled", "downloadId": wish.download_id}


@router.get("/api/models/downloads")
async def downloads(here: Here) -> dict[str, dict[str, Any]]:
    """List the downloads, by id."""
    return {download.id: old_info(download_view(download)) for download in here.downloads.all}


@router.get("/api/models/downloads/{download_id}")
async def download(here: Here, download_id: str) -> dict[str, Any]:
    """Show a download."""
    return old_info(download_view(here.downloads.get(download_id)))


@router.post("/api/models/downloads/{download_id}/pause")
async def pause(here: Here, download_id: str) -> dict[str, str]:
    """Stop fetching; what is here stays."""
    here.downloads.pause(download_id)
    return {"status": "paused", "downloadId": download_id}


@router.post("/api/models/downloads/{download_id}/resume")
async def resume(here: Here, download_id: str) -> dict[str, str]:
    """Go on."""
    here.downloads.resume(download_id)
    return {"status": "resumed", "downloadId": download_id}


@router.get("/api/models/download-destinations")
async def destinations(here: Here) -> dict[str, Any]:
    """Show where downloads may go: the usual folder, and those that are followed."""
    usual = download_folder(here)
    rows = [_destination(str(usual), "Downloads", "default", "where downloads go")]
    rows += [
        _destination(str(folder), folder.name, "folder", "followed: models in it are served")
        for folder in here.followed
        if folder != usual
    ]
    return {"destinations": rows, "count": len(rows)}


def _destination(path: str, name: str, type_: str, description: str) -> dict[str, Any]:
    return {
        "path": path,
        "name": name,
        "type": type_,
        "enabled": True,
        "modelCount": 0,
        "description": description,
    }


@router.get("/api/settings/hf-api-key")
async def key(here: Here) -> dict[str, Any]:
    """Show whether there is a token; never the token."""
    return {"apiKey": "", "configured": await asyncio.to_thread(here.downloads.hub.tokens.find) is not None}


@router.post("/api/settings/hf-api-key")
async def keep_key(here: Here, wish: OldKey) -> dict[str, str]:
    """Keep a token."""
    await asyncio.to_thread(here.downloads.hub.tokens.keep, wish.api_key)
    return {"status": "saved"}


def old_info(view: DownloadView) -> dict[str, Any]:
    """Return a download in its old shape."""
    first = view.files[0]
    info = {
        "id": view.id,
        "modelId": view.repo,
        "filename": first.name,
        "url": f"https://huggingface.co/{quote(view.repo)}",
        "status": "cancelled" if view.removed else STATUS[view.status],
        "progress": round(100 * view.done_bytes / view.total_bytes, 1) if view.total_bytes else 100.0,
        "downloadedBytes": view.done_bytes,
        "totalBytes": view.total_bytes,
        "speed": round(view.bytes_per_second or 0),
        "eta": round(view.eta_seconds or 0),
        "startTime": datetime.fromtimestamp(view.created_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "filePath": first.path,
        "retryCount": 0,
    }
    return {**info, "error": view.error} if view.error else info
