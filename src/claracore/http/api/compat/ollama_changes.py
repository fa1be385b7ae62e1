"""How do clients of Ollama fetch, delete and name models?

`POST /api/pull` (how it goes is in `ollama_pull.py`), `DELETE /api/delete` and `POST /api/copy`, by the downloader and
in the configuration that everything else uses. What would make or publish a model (`/api/create`, `/api/push`,
`/api/blobs/...`) is not offered, and says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from claracore.core.config.aliases import with_aliases, without_alias
from claracore.core.config.tags import has_tag, other_spelling, resolved, tagged
from claracore.core.config.without_model import without_model
from claracore.core.fit.model_paths import model_paths
from claracore.errors import BadRequest, ClaraCoreError, Conflict
from claracore.host.supervisor.edits import careful
from claracore.http.api.compat.any_media import described_as, read_as
from claracore.http.api.compat.ollama import named
from claracore.http.api.compat.ollama_pull import SUCCESS, Pull, as_bytes, until_gone
from claracore.http.api.dependencies import DestinationsDep, DownloadsDep, RuntimeDep
from claracore.http.api.parts import Runtime
from claracore.http.wire.error_shapes import NDJSON

router = APIRouter(tags=["Ollama"])

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]{0,299}")


class NotOffered(ClaraCoreError):
    """A call of another API that has no counterpart here; 501 with what to do instead."""

    status = 501
    type = "invalid_request_error"
    code = "not_implemented"
    cause = "The call belongs to another program's API and has no counterpart here."
    way_out = "The message says what to do instead."


class PullWish(BaseModel):
    """Which model to fetch (`name` is how older clients say it), and whether progress is wanted as lines of JSON."""

    model: str = ""
    name: str = ""
    stream: bool = True


class DeleteWish(BaseModel):
    """Which model to delete (`name` is how older clients say it)."""

    model: str = ""
    name: str = ""


class CopyWish(BaseModel):
    """Which model gets another name."""

    source: str = ""
    destination: str = ""


class PullStatus(BaseModel):
    """How a fetch went; on a line of its own, `digest` tells which file has `completed` bytes of `total`."""

    status: str


PullBody = Annotated[PullWish, Depends(read_as(PullWish))]
DeleteBody = Annotated[DeleteWish, Depends(read_as(DeleteWish))]
CopyBody = Annotated[CopyWish, Depends(read_as(CopyWish))]


@router.post("/api/pull", response_model=PullStatus, openapi_extra=described_as(PullWish))
async def pull(
    request: Request, runtime: RuntimeDep, downloads: DownloadsDep, destinations: DestinationsDep, wish: PullBody
) -> Response:
    """Fetch a model of Ollama's library or of the hub, and have it served; tells how far it is."""
    lines = Pull(runtime, downloads, destinations, named(wish.model, wish.name)).lines(until_gone(request))
    if wish.stream:
        return StreamingResponse(as_bytes(lines), media_type=NDJSON)
    async with aclosing(lines):
        async for _line in lines:
            pass
    return JSONResponse({"status": SUCCESS})


@router.delete("/api/delete", response_model=None, openapi_extra=described_as(DeleteWish))
async def delete(runtime: RuntimeDep, downloads: DownloadsDep, wish: DeleteBody) -> Response:
    """Delete a model that was fetched here, with its files; of a name that is only an alias, the alias.

    A model that was copied is known by another name as well: then the name goes with which it was fetched, as with
    Ollama, and the model stays.
    """
    name = named(wish.model, wish.name)
    model_id = runtime.resolve(name)
    alias = name if runtime.config.resolve(name) == model_id else other_spelling(name)
    path = _path_in(runtime.config.models[model_id].cmd)
    fetched = downloads.fetched(Path(path))
    pulled = {name for download in fetched for name in download.names}
    if alias != model_id and (tagged(alias) not in pulled or _copies(runtime, model_id) - pulled):
        downloads.forget_name(tagged(alias))
        await _change(runtime, model_id, lambda text: without_alias(text, model_id, alias))
        return Response(status_code=200)
    if not fetched:
        raise Conflict(why_it_stays(runtime, model_id))
    if others := _sharing(runtime, model_id, path):
        raise Conflict(f"model {model_id!r} cannot be deleted: its file is also that of {', '.join(others)}")
    await _change(runtime, model_id, lambda text: without_model(text, model_id))
    await downloads.delete(fetched)
    return Response(status_code=200)


@router.post("/api/copy", response_model=None, openapi_extra=described_as(CopyWish))
async def copy(runtime: RuntimeDep, wish: CopyBody) -> Response:
    """Give a model another name: an alias in the configuration."""
    model_id, alias = runtime.resolve(named(wish.source, "")), tagged(wish.destination.strip())
    if NAME.fullmatch(alias) is None:
        raise BadRequest(f"{wish.destination[:100]!r} cannot be the name of a model", param="destination")
    owner = resolved(alias, runtime.config.resolve)
    if owner not in {None, model_id}:
        raise Conflict(f"{wish.destination!r} is already a name of model {owner!r}: delete that first")
    if owner is None:
        await _change(runtime, model_id, lambda text: with_aliases(text, model_id, [alias]))
    return Response(status_code=200)


@router.post("/api/create")
async def create() -> None:
    """Say that models are not made here."""
    raise NotOffered(
        "ClaraCore makes no models: put a GGUF file into a folder that it serves, or pull one; "
        "parameters and templates of a model are options of its command in the configuration"
    )


@router.post("/api/push")
async def push() -> None:
    """Say that models are not published from here."""
    raise NotOffered("ClaraCore publishes no models: use `hf upload`, or Ollama itself")


@router.get("/api/blobs/{digest}", include_in_schema=False)
@router.post("/api/blobs/{digest}")
async def blobs(digest: str) -> None:
    """Say that models are not made here."""
    raise NotOffered(f"ClaraCore makes no models, so it takes no blobs ({digest[:80]}): pull a model instead")


def _path_in(command: str) -> str:
    """Return the model file that a command names, absolute; empty when it names none."""
    found = model_paths({"": command}).get("")
    return os.path.abspath(found) if found else ""  # noqa: PTH100 - text, as written


def _copies(runtime: Runtime, model_id: str) -> set[str]:
    """Return the further names of a model that are names in Ollama's manner, as copies have them."""
    return {alias for alias in runtime.config.models[model_id].plain_aliases if has_tag(alias)}


def _sharing(runtime: Runtime, model_id: str, path: str) -> list[str]:
    """Return the other models whose commands name the same file."""
    return [id_ for id_, model in runtime.config.models.items() if id_ != model_id and _path_in(model.cmd) == path]


def why_it_stays(runtime: Runtime, model_id: str) -> str:
    """Say why a model cannot be deleted here."""
    peer_id = runtime.config.peer_of(model_id)
    if peer_id is not None:
        return f"model {model_id!r} cannot be deleted here: it is served by {peer_id}"
    return (
        f"model {model_id!r} cannot be deleted: ClaraCore has not fetched its file (or the download was taken off its "
        "list), so that stays where it is. To serve it no more, take it out of the configuration: on its page, or by "
        f"DELETE /api/config/models/{model_id}"
    )


async def _change(runtime: Runtime, model_id: str, edit: Callable[[str], str]) -> None:
    """Change the configuration about a model. Raises Conflict for one that a peer brings, and as `careful`."""
    peer_id = runtime.config.peer_of(model_id)
    if peer_id is not None:
        raise Conflict(f"the names of model {model_id!r} cannot be changed here: it is served by {peer_id}")
    await runtime.configuration.change(careful(runtime.configuration, edit))
