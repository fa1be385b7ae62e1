"""Which nodes have the files of shared models that this machine, the head, does not have?

Nodes are asked when there is something to look for: all of them every half minute, and at once when one is there anew.
What they have said is kept over a restart, so that a model does not become another one because a machine is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from claracore.core.cluster.elsewhere import (
    FoundSet,
    Holders,
    SoughtSet,
    chosen,
    found_as_json,
    found_of_json,
    givers,
    identity,
    with_answer,
)
from claracore.core.cluster.model import NodeState
from claracore.core.cluster.part import SharedFile
from claracore.host.cluster.json_there import json_of
from claracore.host.cluster.relaying import FileRelay, Giver
from claracore.host.state_file import StateFile

if TYPE_CHECKING:
    from claracore.core.config.routing import PeerConfig
    from claracore.host.cluster.cluster import Cluster

FILE: Final = "files-elsewhere.json"
PATH: Final = "/api/node/files"
EVERY_SECONDS: Final = 30.0
READING_SECONDS: Final = 3.0
"""After so long a node is asked again that reads a file for its checksum, or has not answered."""
NOT_FOUND: Final = 404
ANSWER_SECONDS: Final = 30.0

logger = logging.getLogger("claracore.cluster")


class FilesOfNodes:
    """What nodes have of what this machine does not have."""

    def __init__(self, cluster: Cluster, state_dir: Path | None) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called when other files are meant than before."""
        self._cluster = cluster
        path = state_dir / FILE if state_dir is not None else None
        self._file = StateFile(
            path, _holders_of_json, encode=_holders_as_json, flush=True, without="nodes are asked for files anew"
        )
        self._loop = asyncio.get_running_loop()
        self._sought: tuple[SoughtSet, ...] = ()
        self._holders: dict[str, Holders] | None = None
        """By the first path of each set; None: not read yet."""
        self._asked: dict[str, str] = {}
        """Which run of each node was asked."""
        self._wake = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    # --- what is looked for -------------------------------------------------------------------------------------------

    def found(self) -> Mapping[str, FoundSet]:
        """Return what nodes have, by the first path of each set. Blocking, the first time."""
        if self._holders is None:
            self._holders = self._file.read() or {}
        return {path: chosen(holders) for path, holders in self._holders.items()}

    def seek(self, sought: tuple[SoughtSet, ...]) -> None:
        """Look for these from now on, and for no others. In whichever thread, after `found`."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._seek, sought)

    def _seek(self, sought: tuple[SoughtSet, ...]) -> None:
        if sought == self._sought:
            return
        self._sought = sought
        self._wake.set()
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="ask nodes for files")

    def node_changed(self, name: str) -> None:
        """Note that a node is another than before."""
        if self._sought and name in (there := self._there()) and self._asked.get(name) != there[name]:
            self._wake.set()

    async def close(self) -> None:
        """Ask no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self) -> None:
        pause: float | None = None
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                pause = await self._ask_all() if self._sought else None
            except Exception:
                logger.exception("nodes could not be asked for files")
                pause = EVERY_SECONDS

    async def _ask_all(self) -> float:
        """Ask all nodes that are there; return after how many seconds they are asked again."""
        await self._cluster.complete.wait()
        sought, asked = self._sought, self._there()
        self._asked |= asked
        peers = self._cluster.peers
        answers = await asyncio.gather(*(self._ask(name, peers[name], sought) for name in asked))
        before = self._holders or {}
        changed = {files[0].path: before.get(files[0].path, {}) for files in sought}
        if await asyncio.to_thread(_any_is_here, sought):
            self.on_change()
        reading = None in answers
        for name, answer in zip(asked, answers, strict=True):
            if answer is not None:
                reading = reading or answer[1]
                for files, found in zip(sought, answer[0], strict=True):
                    changed[files[0].path] = with_answer(changed[files[0].path], name, found)
        if sought is self._sought:
            await self._use({path: _of(holders, peers) for path, holders in changed.items()})
        return READING_SECONDS if reading else EVERY_SECONDS

    def _there(self) -> dict[str, str]:
        """Return the nodes that may be asked, and which run of each is there."""
        nodes = [self._cluster.nodes[name] for name in self._cluster.peers if name in self._cluster.nodes]
        return {
            node.name: node.report.identity
            for node in nodes
            if node.state is NodeState.UP and node.report and node.report.part and node.report.part.accepts
        }

    async def _ask(
        self, name: str, peer: PeerConfig, sought: tuple[SoughtSet, ...]
    ) -> tuple[list[FoundSet], bool] | None:
        """Return what a node has, and whether it is still reading; None where it does not say."""
        import httpx2  # noqa: PLC0415 - takes a while

        from claracore.host.cluster.polled import client_of  # noqa: PLC0415 - as above

        holders = (self._holders or {}).values()
        known = {each.version: each.sha256 for kept in holders for each in kept.get(name, ())}
        sets = [[{"name": file.name, "path": file.path} for file in files] for files in sought]
        try:
            async with await client_of(peer) as client:
                wish = {"sets": sets, "known": known}
                answer = await client.post(PATH, json=wish, timeout=ANSWER_SECONDS)
            if answer.status_code == NOT_FOUND:  # it is older than such questions
                return [() for _ in sought], False
            return _answer_of(json_of(answer.raise_for_status()), sought)
        except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s does not say which files it has: %s", name, error or type(error).__name__)
            return None

    async def _use(self, holders: dict[str, Holders]) -> None:
        before, self._holders = self._holders or {}, holders
        if holders != before:
            await asyncio.to_thread(self._file.save, holders)
        if any(identity(chosen(each)) != identity(chosen(before.get(path, {}))) for path, each in holders.items()):
            self.on_change()

    # --- what is relayed ----------------------------------------------------------------------------------------------

    async def relay(self, file: SharedFile, begin: int, end: int) -> FileRelay:
        """Begin to read the bytes from `begin` to before `end` of a file that a node has. Raises NoGiver."""
        relay = FileRelay(file.name, self._givers(file), begin, end)
        await relay.open()
        return relay

    def _givers(self, file: SharedFile) -> list[Giver]:
        for files in self._sought:
            for number, each in enumerate(files):
                if each.path == file.path:
                    holders = (self._holders or {}).get(files[0].path, {})
                    names = givers(holders, number, file.sha256)
                    return [Giver(name, self._cluster.peers[name], f"{PATH}/{holders[name][number].version}")
                            for name in names if name in self._there()]  # fmt: skip
        return []


def _holders_of_json(kept: Any) -> dict[str, Holders]:  # noqa: ANN401 - whatever is there
    """Return what a file says. Raises AttributeError, TypeError, ValueError."""
    return {
        str(path): {str(node): found_of_json(found) for node, found in holders.items()}
        for path, holders in kept.items()
    }


def _holders_as_json(holders: Mapping[str, Holders]) -> dict[str, Any]:
    return {path: {node: found_as_json(found) for node, found in each.items()} for path, each in holders.items()}


def _any_is_here(sought: tuple[SoughtSet, ...]) -> bool:
    return any(all(os.path.exists(file.path) for file in files) for files in sought)  # noqa: PTH110 - text


def _of(holders: Holders, peers: Mapping[str, PeerConfig]) -> Holders:
    """Return those that are not forgotten."""
    return {name: found for name, found in holders.items() if name in peers}


def _answer_of(found: Any, sought: tuple[SoughtSet, ...]) -> tuple[list[FoundSet], bool]:  # noqa: ANN401 - whatever came
    """Return what a node's answer says. Raises KeyError, TypeError, ValueError."""
    sets = [found_of_json(each) for each in found["sets"]]
    if any(each and len(each) != len(files) for each, files in zip(sets, sought, strict=True)):
        raise ValueError("an answer to another question")
    return sets, bool(found["reading"])
