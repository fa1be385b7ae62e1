"""How do the machines that have joined get their parts of this configuration?

The head's side. What a node has it says itself (`core.cluster.part_state` decides whether it is sent to), so nothing is
remembered of what was sent. A part that could not be brought is tried again; one that was refused is not, until
something has changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from claracore.core.cluster.part import Part, part_as_json
from claracore.core.cluster.part_state import WantedPart, is_to_be_sent
from claracore.core.cluster.shared import SharedOut, models_for
from claracore.core.units import counted
from claracore.host.cluster.shared_files import FilesNotKnown

if TYPE_CHECKING:
    from claracore.core.config.routing import PeerConfig
    from claracore.host.cluster.machines import Machines

PATH: Final = "/api/node/part"
TAKES_SECONDS: Final = 60.0
"""A node checks thousands of models before it answers."""
AGAIN_SECONDS: Final = 10.0
REFUSED_STATUS: Final = 422
UNREAD_STATUS: Final = frozenset({400, 413})
"""What a node answers to a part that it does not read, and would not read the next time either."""

logger = logging.getLogger("claracore.cluster")

WithFiles = Callable[[tuple[SharedOut, ...]], tuple[SharedOut, ...]]
"""Puts files in place of the paths that models name; may read them."""


class PartSender:
    """Sends each node its part when it has another one."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._shared: tuple[SharedOut, ...] = ()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, asyncio.TimerHandle] = {}
        self._working_out: asyncio.Task[None] | None = None
        self.with_files: WithFiles | None = None

    def reconfigure(self, shared: tuple[SharedOut, ...]) -> None:
        """Share these models from now on, with the machines that are followed now."""
        if self.with_files is None:
            self._use(shared)
            return
        if self._working_out is not None:
            self._working_out.cancel()
        self._working_out = asyncio.create_task(self._work_out(shared, self.with_files), name="look at shared files")

    async def _work_out(self, shared: tuple[SharedOut, ...], with_files: WithFiles) -> None:
        try:
            self._use(await asyncio.to_thread(with_files, shared))
        except Exception:
            logger.exception("the files of shared models could not be looked at")

    def _use(self, shared: tuple[SharedOut, ...]) -> None:
        self._shared = shared
        by_name, made = _by_name(shared), dict[tuple[str, ...], WantedPart]()
        wanted = {}
        for name, peer in self._machines.cluster.peers.items():
            models = models_for(name, shared if peer.joined else by_name)
            key = tuple(model.name for model in models)
            # Most nodes have the same: with hundreds of them and thousands of models it is worked out once.
            found = made.get(key) or made.setdefault(key, WantedPart.of(Part(models)))
            before = self._machines.parts.get(name)
            is_same = before is not None and before.part.revision == found.part.revision
            wanted[name] = before if before is not None and is_same and before.refused else found
        self._machines.parts = wanted
        for name in self._machines.parts:
            self.look(name)

    def is_meant(self, name: str, file: str) -> bool:
        """Whether a model that a node is to have needs a file. Raises FilesNotKnown as long as that is found out."""
        if (wanted := self._machines.parts.get(name)) is None:
            raise FilesNotKnown
        return any(file == each.name for model in wanted.part.models for each in model.files)

    def look(self, name: str) -> None:
        """See whether a node is to be sent its part, and send it."""
        node, wanted = self._machines.cluster.nodes.get(name), self._machines.parts.get(name)
        if node is None or wanted is None or name in self._sending or not is_to_be_sent(node, wanted):
            return
        if (again := self._again.pop(name, None)) is not None:
            again.cancel()
        peer = self._machines.cluster.peers[name]
        task = asyncio.create_task(self._send(name, peer, wanted), name=f"send {name} its part of the configuration")
        self._sending[name] = task

    async def _send(self, name: str, peer: PeerConfig, wanted: WantedPart) -> None:
        try:
            why, is_final = await _put(peer, part_as_json(wanted.part))
        except Exception:
            logger.exception("%s could not be sent its part of the configuration", name)
            why = ""
        else:
            models = counted(len(wanted.models), "model")
            if is_final:
                self._note_refusal(name, wanted, why)
            if why:
                logger.warning("%s has not taken its part of the configuration (%s): %s", name, models, why)
            else:
                logger.info("%s has its part of the configuration: %s", name, models)
        del self._sending[name]
        self._machines.cluster.look_soon(name)
        loop = asyncio.get_running_loop()
        self._again[name] = loop.call_later(AGAIN_SECONDS, self._look_again, name)

    def _note_refusal(self, name: str, wanted: WantedPart, why: str) -> None:
        """Have a part be refused, for this reason, until it or the node's ClaraCore is another one."""
        node, parts = self._machines.cluster.nodes.get(name), self._machines.parts
        if parts.get(name) is wanted and node is not None and node.report is not None:
            refused = replace(wanted, refused=why, refused_by=node.report.identity)
            self._machines.parts = {**parts, name: refused}

    def _look_again(self, name: str) -> None:
        self._again.pop(name, None)
        self.look(name)

    async def close(self) -> None:
        """Send nothing any more."""
        for handle in self._again.values():
            handle.cancel()
        tasks = [*self._sending.values(), *([self._working_out] if self._working_out is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _by_name(shared: tuple[SharedOut, ...]) -> tuple[SharedOut, ...]:
    """Return what is shared with machines by their names: `all` are those that have joined."""
    return tuple(each for each in shared if each.nodes != "all")


async def _put(peer: PeerConfig, part: dict[str, Any]) -> tuple[str, bool]:
    """Give a node its part; return why it was not taken, empty when it was, and whether it never will be, unread."""
    import httpx2  # noqa: PLC0415 - takes a while

    from claracore.host.cluster.orders import message_of  # noqa: PLC0415 - as above
    from claracore.host.cluster.polled import client_of  # noqa: PLC0415 - as above

    try:
        async with await client_of(peer) as client:
            answer = await client.put(PATH, json=part, timeout=TAKES_SECONDS)
    except (httpx2.HTTPError, OSError, ValueError) as error:
        return str(error) or type(error).__name__, False
    if answer.status_code == REFUSED_STATUS:
        return "it has refused it; `claracore nodes` says why", False
    return "" if answer.is_success else message_of(answer), answer.status_code in UNREAD_STATUS
