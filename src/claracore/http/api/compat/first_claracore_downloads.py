"""How do clients of the first ClaraCore (the program in Go) fetch models?

`/api/models/download*` and `/api/settings/hf-api-key`, with the keys that it read and wrote. Where it did not work, we
do what was meant: ids have no slash, which made its paths with an id a 404 for every model; all shards of a model are
one download; to cancel a download that is not there is 404 and not 200; the token is kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from claracore.errors import BadRequest
from claracore.host.library.download import DownloadStatus
from claracore.host.library.hub_tokens import HubToken
from claracore.host.library.views import DownloadView, download_view
from claracore.http.api.compat.numbers import rfc3339
from claracore.http.api.dependencies import DestinationsDep, DownloadsDep

router = APIRouter(tags=["first ClaraCore"], include_in_schema=False)

STATUS = {
    DownloadStatus.QUEUED: "pending",
    DownloadStatus.DOWNLOADING: "downloading",
    DownloadStatus.CHECKING: "downloading",
    DownloadStatus.PAUSED: "paused",
    DownloadStatus.FINISHED: "completed",
    DownloadStatus.FAILED: "failed",
}


class DownloadBody(BaseModel):
    """Which model to fetch. The hub is asked for what belongs together, so one address is enough."""

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
        named = {"filename": first} if isinstance(first, str) else first
        url = self.url or str(named.get("url") or "")
        filename = self.filename or str(named.get("filename") or named.get("path") or "")
        if url:
            return url
        if self.model_id and filename:
            return f"{self.model_id}/{filename}"
        if self.model_id:
            return f"{self.model_id}:{self.quantization}" if self.quantization else self.model_id
        raise BadRequest("url is required: the address of a .gguf file on the hub", param="url")


class DownloadIdBody(BaseModel):
    """A download that is named in a body."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    download_id: str


class HubKeyBody(BaseModel):
    """A token for the hub."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    api_key: str = Field("", max_length=1000)


@router.post("/api/models/download")
async def start(downloads: DownloadsDep, destinations: DestinationsDep, body: DownloadBody) -> dict[str, Any]:
    """Fetch a model."""
    token = HubToken(body.hf_api_key.strip(), "hfApiKey of the request") if body.hf_api_key.strip() else None
    folder = destinations.chosen(body.destination_path or None)
    plan, _files = await downloads.hub.look(body.reference, token=token)
    download = await downloads.add(plan, folder, token=token)
    common = {"status": "started", "modelId": body.model_id or plan.reference.repo}
    if body.is_multi_part or len(plan.variant.files) > 1:
        parts = {"quantization": download.quantization, "partCount": len(plan.variant.files)}
        return {"downloadId": download.id, "downloadIds": [download.id], **common, **parts}
    return {"downloadId": download.id, **common, "filename": plan.files[0].name}


@router.post("/api/models/download/cancel")
async def cancel(downloads: DownloadsDep, body: DownloadIdBody) -> dict[str, str]:
    """Cancel a download."""
    await downloads.remove(body.download_id)
    return {"status": "cancelled", "downloadId": body.download_id}


@router.get("/api/models/downloads")
async def all_downloads(downloads: DownloadsDep) -> dict[str, dict[str, Any]]:
    """List the downloads, by id."""
    return {download.id: download_info(download_view(download)) for download in downloads.all}


@router.get("/api/models/downloads/{download_id}")
async def download(downloads: DownloadsDep, download_id: str) -> dict[str, Any]:
    """Show a download."""
    return download_info(download_view(downloads.get(download_id)))


@router.post("/api/models/downloads/{download_id}/pause")
async def pause(downloads: DownloadsDep, download_id: str) -> dict[str, str]:
    """Stop fetching; what is here stays."""
    downloads.pause(download_id)
    return {"status": "paused", "downloadId": download_id}


@router.post("/api/models/downloads/{download_id}/resume")
async def resume(downloads: DownloadsDep, download_id: str) -> dict[str, str]:
    """Go on with a download that was paused or has failed."""
    downloads.resume(download_id)
    return {"status": "resumed", "downloadId": download_id}


@router.get("/api/models/download-destinations")
async def download_destinations(destinations: DestinationsDep) -> dict[str, Any]:
    """Show where downloads may go: the usual folder, and those that are followed."""
    usual = destinations.usual()
    rows = [_destination(str(usual), "Downloads", "default", "where downloads go")]
    rows += [
        _destination(str(folder), folder.name, "folder", "followed: models in it are served")
        for folder in destinations.followed
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
async def key(downloads: DownloadsDep) -> dict[str, Any]:
    """Show whether there is a token; never the token."""
    return {"apiKey": "", "configured": await asyncio.to_thread(downloads.hub.tokens.find) is not None}


@router.post("/api/settings/hf-api-key")
async def keep_key(downloads: DownloadsDep, body: HubKeyBody) -> dict[str, str]:
    """Keep a token."""
    await asyncio.to_thread(downloads.hub.tokens.keep, body.api_key)
    return {"status": "saved"}


def download_info(view: DownloadView) -> dict[str, Any]:
    """Return a download as the first ClaraCore showed it."""
    first = view.files[0]
    info = {
        "id": view.id,
        "modelId": view.repo,
        "filename": first.name,
        "url": view.page,
        "status": "cancelled" if view.removed else STATUS[view.status],
        "progress": round(100 * view.done_bytes / view.total_bytes, 1) if view.total_bytes else 100.0,
        "downloadedBytes": view.done_bytes,
        "totalBytes": view.total_bytes,
        "speed": round(view.bytes_per_second or 0),
        "eta": round(view.eta_seconds or 0),
        "startTime": rfc3339(view.created_at),
        "filePath": first.path,
        "retryCount": 0,
    }
    return {**info, "error": view.error} if view.error else info
