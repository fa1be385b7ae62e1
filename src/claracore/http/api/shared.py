"""How does a machine that has joined get the files of models that are shared with it?

What lets in is a secret of that machine's own (`nodes.json`), which opens nothing else: it is no key.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from claracore.core.cluster.part import SharedFile
from claracore.errors import ClaraCoreError, Unauthorized
from claracore.host.cluster.relaying import NoGiver
from claracore.host.cluster.shared_files import OpenedFile, SharedFiles
from claracore.http.api.dependencies import SharedFilesDep

router = APIRouter(tags=["nodes"])

logger = logging.getLogger("claracore.cluster")

PIECE_BYTES: Final = 512 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


class RangeUnusable(ClaraCoreError):
    """A range that is not in the file; 416."""

    status = 416
    type = "invalid_request_error"
    code = "range_unusable"
    cause = "A part of a file was asked for that is not in it."
    way_out = "Ask for `bytes=N-` with an N below the size of the file."


@router.head("/api/shared/{name:path}", include_in_schema=False)
@router.get("/api/shared/{name:path}", response_class=Response)
async def shared_file(files: SharedFilesDep, request: Request, name: str) -> Response:
    """Send a file of a shared model, or a range of it; with `?sha256` its checksum. For machines that have joined."""
    _check(files, request, name)
    away = files.elsewhere(name)
    if "sha256" in request.query_params:
        return JSONResponse({"sha256": await files.sha256(name) if away is None else away.sha256})
    if away is not None:
        return await _relayed(files, away, request)
    found = await files.open(name)
    if request.method != "HEAD":
        files.read_soon(name)
    return answer_with(found, request)


def answer_with(found: OpenedFile, request: Request) -> Response:
    """Return what is asked for of an open file, which is closed then. Raises RangeUnusable."""
    try:
        piece = _piece(request, found.size, found.version)
    except BaseException:
        os.close(found.descriptor)
        raise
    ending = AsyncExitStack()
    ending.callback(os.close, found.descriptor)
    end = piece.begin if request.method == "HEAD" else piece.end
    return PieceResponse(_pieces(found.descriptor, piece.begin, end), piece, ending)


async def _relayed(files: SharedFiles, file: SharedFile, request: Request) -> Response:
    """Return what is asked for of a file that another machine has; it is the same version on each that has it."""
    piece = _piece(request, file.size, file.sha256)
    if request.method == "HEAD":
        return Response(None, piece.status, piece.headers)
    relay = await files.relay(file, piece.begin, piece.end)
    ending = AsyncExitStack()
    ending.push_async_callback(relay.aclose)
    return PieceResponse(relay.pieces(), piece, ending)


@dataclass(frozen=True, slots=True)
class Piece:
    """Which bytes of a file are sent, and what is said of them."""

    begin: int
    end: int
    """Excluded."""
    status: int
    headers: dict[str, str]


def _piece(request: Request, size: int, version: str) -> Piece:
    begin, end = _range(request, size, version)
    is_part = end - begin < size
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{version}"',
        "content-length": str(end - begin),
        "content-type": "application/octet-stream",
        **({"content-range": f"bytes {begin}-{end - 1}/{size}"} if is_part else {}),
    }
    return Piece(begin, end, 206 if is_part else 200, headers)


class PieceResponse(StreamingResponse):
    """A piece of a file; `ending` is done when it is sent, or cannot be."""

    def __init__(self, pieces: AsyncIterator[bytes], piece: Piece, ending: AsyncExitStack) -> None:
        """Send what is given."""
        super().__init__(pieces, piece.status, piece.headers)
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; what breaks off in the middle can be no other answer any more, and breaks off for the client."""
        async with self._ending:
            try:
                await super().__call__(scope, receive, send)
            except (NoGiver, OSError) as error:
                logger.warning("%s is not sent to its end: %s", scope["path"], error)


def _check(files: SharedFiles, request: Request, name: str) -> None:
    """Raise Unauthorized for whoever has not joined, and NotFound for whom the file is not meant."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    machine = files.machine_of(secret.strip()) if scheme.lower() == "bearer" else None
    if machine is None:
        raise Unauthorized("files of shared models are for machines that have joined (`claracore join`)")
    files.check_meant(machine, name)


def _range(request: Request, size: int, known: str) -> tuple[int, int]:
    """Return which bytes are asked for; all of them for a range of another version, or one that we do not read."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    version = request.headers.get("if-range")
    if match is None or (version is not None and version.strip() != f'"{known}"'):
        return 0, size
    begin, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    if begin >= end:
        raise RangeUnusable(f"the file has {size} bytes")
    return begin, end


async def _pieces(descriptor: int, begin: int, end: int) -> AsyncIterator[bytes]:
    """Give the bytes, which are read as fast as they are taken. Raises OSError when the file has become shorter."""
    while begin < end:
        data = await asyncio.to_thread(os.pread, descriptor, min(PIECE_BYTES, end - begin), begin)
        if not data:
            raise OSError("the file has become shorter")
        begin += len(data)
        yield data
