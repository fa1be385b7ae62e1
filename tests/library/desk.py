"""A desk at which a test fetches models: downloads, a hub of our own, and pauses that are over at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from claracore.host.library.download import Download, DownloadStatus, DownloadStore
from claracore.host.library.downloads import Downloads, NoListener
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.hub_tokens import HubTokens
from fakes.fake_hub import FakeHub, Fault

BODY = bytes(range(256)) * 8192  # 2 MiB
REPO = "org/tiny-GGUF"
NAME = "tiny-Q4_K_M.gguf"
PLACE = f"{REPO}/{NAME}"


class Desk(NoListener):
    """Downloads with a clock that does not run: pauses are noted and over at once."""

    def __init__(self, hub: FakeHub, folder: Path, *, store: DownloadStore | None = None, **environ: str) -> None:
        self.folder = folder
        self.pauses: list[float] = []
        self.statuses: list[tuple[str, DownloadStatus]] = []
        tokens = HubTokens(folder / "state", hub.environ(**environ))
        access = HubAccess(hub.environ(**environ), tokens, wait=self.wait)
        self.downloads = Downloads(access, store or DownloadStore(), self)
        self._changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def changed(self, download: Download) -> None:
        self.statuses.append((download.id, download.status))
        self._changed.set()

    async def start(self, reference: str = REPO, **more: Any) -> Download:
        plan, _files = await self.downloads.hub.look(reference)
        return await self.downloads.add(plan, self.folder, **more)

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not wanted():
                self._changed.clear()
                await self._changed.wait()

    async def pull(self, reference: str = REPO) -> Download:
        download = await self.start(reference)
        await self.downloads.idle()
        return download

    async def resumed(self, download: Download) -> DownloadStatus:
        """Go on with a download and wait for what comes of it."""
        self.downloads.resume(download.id)
        await self.downloads.idle()
        return download.status

    @property
    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and "state" not in path.parts
        )


def at_desk(
    hub: FakeHub,
    folder: Path,
    talk: Callable[[Desk], Coroutine[Any, Any, None]],
    store: DownloadStore | None = None,
    **env: str,
) -> Desk:
    async def main() -> Desk:
        desk = Desk(hub, folder, store=store, **env)
        try:
            await talk(desk)
        finally:
            await desk.downloads.close()
        return desk

    return asyncio.run(main())


async def held(fault: Fault) -> None:
    assert await asyncio.to_thread(fault.held.wait, 60)
