"""How does a model come here that a client of Ollama pulls?

A name that means a model already is not asked for anywhere: Codex pulls whatever `/api/tags` does not list by exactly
the name that it was told. All else is a download like any other, whose model gets the name as an alias. A client that
leaves stops the download that it began, which goes on at the next try, as with Ollama; what somebody else began goes
on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
from fastapi import Request

from claracore.core.config.tags import resolved, tagged
from claracore.core.pull.choice import is_projector
from claracore.errors import ClaraCoreError
from claracore.host.library.destinations import Destinations
from claracore.host.library.download import OPEN, Download, DownloadStatus, FileState
from claracore.host.library.downloads import Downloads
from claracore.http.api.parts import Runtime
from claracore.http.wire.error_shapes import encoded

VERIFYING, WRITING, SUCCESS = ("verifying sha256 digest", "writing manifest", "success")
Line = dict[str, Any]


class PullFailed(ClaraCoreError):
    """A model could not be fetched, or not be served; 502."""

    status = 502
    code = "pull_failed"
    cause = "Ollama's client asked for a model that could not be fetched or served."
    way_out = "The message has the reason; `claracore pull` shows the same with more words."


class Pull:
    """One request for a model."""

    def __init__(self, runtime: Runtime, downloads: Downloads, destinations: Destinations, name: str) -> None:
        self._runtime = runtime
        self._downloads = downloads
        self._destinations = destinations
        self._name = name

    async def lines(self, gone: Coroutine[None, None, None]) -> AsyncGenerator[Line]:
        """Give what Ollama says while it pulls; `gone` ends when the client leaves. Raises ClaraCoreError."""
        leaving = asyncio.ensure_future(gone)
        try:
            async for line in self._lines(leaving):
                yield line
        finally:
            leaving.cancel()

    async def _lines(self, leaving: asyncio.Future[None]) -> AsyncGenerator[Line]:
        yield {"status": "pulling manifest"}
        if resolved(self._name, self._runtime.config.resolve) is None:
            download, is_ours = await self._begun()
            try:
                async for line in self._progress(download, leaving):
                    yield line
            finally:
                if is_ours and download.status in OPEN and download in self._downloads.all:
                    self._downloads.pause(download.id)
        yield {"status": SUCCESS}

    async def _begun(self) -> tuple[Download, bool]:
        """Return the download of the model, and whether nobody was fetching it before."""
        hub, name = self._downloads.hub, tagged(self._name)
        if hub.is_on_hub(self._name):
            plan, _files = await hub.look(self._name)
        else:
            plan = await hub.look_up(self._name)
        open_before = {download.id for download in self._downloads.all if download.status in OPEN}
        download = await self._downloads.add(replace(plan, names=(name,)), self._destinations.usual())
        return download, download.id not in open_before

    async def _progress(self, download: Download, leaving: asyncio.Future[None]) -> AsyncGenerator[Line]:
        last_lines: dict[str, Line] = {}
        while True:
            changed = self._downloads.next_change(download.id)
            for line in _states(download):
                if last_lines.get(line["status"]) != line:
                    last_lines[line["status"]] = line
                    yield line
            if download.status not in OPEN or download not in self._downloads.all:
                break
            await asyncio.wait({changed, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
        if download not in self._downloads.all:
            raise PullFailed("the download was cancelled")
        if download.status is DownloadStatus.PAUSED:
            raise PullFailed("the download was paused; pull again to go on")
        if download.error or download.note:
            raise PullFailed(download.error or download.note or "")


def _states(download: Download) -> Iterator[Line]:
    """Give how far a download is: the files up to the one that is being fetched, then what comes after them."""
    for file in sorted(download.files, key=lambda file: not is_projector(file.remote)):  # as they are fetched
        yield _file(file)
        if not file.complete:
            return
    yield {"status": VERIFYING}
    yield {"status": WRITING}


def _file(file: FileState) -> Line:
    remote = file.remote
    digest = f"sha256:{remote.sha256}" if remote.sha256 is not None else f"sha1:{remote.blob}"
    line = {"status": f"pulling {digest.partition(':')[2][:12]}", "digest": digest, "total": remote.size}
    return {**line, "completed": file.done} if file.done else line


async def until_gone(request: Request) -> None:
    """Return when a client that has sent its whole request leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def as_bytes(lines: AsyncGenerator[Line]) -> AsyncIterator[bytes]:
    """Give the lines as JSON; what goes wrong is the last one."""
    async with aclosing(lines):
        try:
            async for line in lines:
                yield msgspec.json.encode(line) + b"\n"
        except ClaraCoreError as error:
            yield encoded(error, "ollama") + b"\n"
