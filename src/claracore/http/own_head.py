"""Which machine has this one joined, does that one know it still, and how do the two part?

The node's side. The head is asked twice a minute whether it knows this machine: one that has forgotten it while it was
away could not tell it. Then, and when a person has it leave, the same follows: the head's key opens nothing here, Ray
ends, and what the head has given is taken away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claracore.core.cluster.joined import HeadOfNode, Parted, Remembered, Standing
from claracore.errors import ClaraCoreError, Conflict, Forbidden, NotFound

if TYPE_CHECKING:
    from claracore.host.cluster.nodes_file import NodesFile
    from claracore.http.access.keys import Grant
    from claracore.http.access.named_keys import NamedKeys
    from claracore.http.ray_here import RayHere

logger = logging.getLogger("claracore.cluster")

ASK_SECONDS: Final = 30.0
FIRST_ASK_SECONDS: Final = 2.0
"""After the start: the head may have been started with it."""


@dataclass(frozen=True, slots=True)
class HasLeft:
    """What came of leaving: which machine it was, and why it could not be told (empty: it was)."""

    url: str
    name: str
    untold: str


class OwnHead:
    """The machine that this one has joined."""

    def __init__(self, file: NodesFile, ray: RayHere, keys: NamedKeys) -> None:
        self._file = file
        self._ray = ray
        self._keys = keys
        self._asking: asyncio.Task[None] | None = None
        self.known = asyncio.Event()
        """Set when it is known, after a start, whether this machine has a head, and which."""
        self.head: HeadOfNode | None = None
        self.standing = Standing.UNHEARD
        self.parted: Parted | None = None
        """The last head, if it has forgotten this machine."""
        self.on_parted: list[Callable[[], Awaitable[None]]] = []
        """Called when this machine has a head no more."""

    async def begin(self, known: Remembered) -> None:
        """Go on with the head of the last run."""
        self.parted, self.head = known.parted, known.head
        self.known.set()
        if known.head is not None:
            await self._have(known.head)

    async def close(self) -> None:
        """Ask no more."""
        await self._ask_no_more()

    async def joined(self, head: HeadOfNode, token: str) -> None:
        """Note that this machine has joined another one; the key of a former one, or of a former time, is removed."""
        former = (await asyncio.to_thread(self._file.load)).head
        await asyncio.to_thread(self._file.change, lambda known: known.with_head(head))
        self.parted = None
        await self._have(head, token)
        if former is not None:
            await self._without_key(former)

    async def leave(self) -> HasLeft:
        """Leave the head, or take note that it has forgotten this machine. Raises NotFound, FileUnusable, DiskFull."""
        from claracore.host.cluster.parting import tell_left  # noqa: PLC0415 - its client of HTTP takes a while

        head, parted = self.head, self.parted
        if head is None:
            if parted is None:
                raise NotFound("this machine has joined no other one")
            await asyncio.to_thread(self._file.change, Remembered.left)
            self.parted = None
            return HasLeft(parted.url, parted.name, "")
        untold = await tell_left(head)
        await self._part(head, Remembered.left)
        logger.info("this machine has left %s", head.url)
        return HasLeft(head.url, head.name, untold)

    async def was_forgotten(self, grant: Grant | None) -> None:
        """Take in that the head, whose key asks, has forgotten this machine. Raises NotFound, Forbidden, Conflict."""
        head = self.head
        if head is None:
            raise NotFound("this machine has joined no other one")
        if grant is None or grant.name != head.key_name:
            raise Forbidden(f"only {head.url} itself says so; to leave it, `claracore leave`")
        await self._forgotten(head)

    async def _forgotten(self, head: HeadOfNode) -> None:
        logger.warning("%s has forgotten this machine (%s)", head.url, head.name)
        await self._part(head, lambda known: known.was_forgotten(round(time.time(), 3)))

    async def _part(self, head: HeadOfNode, edit: Callable[[Remembered], Remembered]) -> None:
        """Have the head no more. Raises Conflict where there is another one by now, FileUnusable, DiskFull."""
        if self.head is not head:
            raise Conflict(f"this machine has parted from {head.url} already")
        self.head = None
        self.parted = (await asyncio.to_thread(self._file.change, edit)).parted
        await self._without_key(head)
        await self._ray.leave()
        for act in self.on_parted:
            try:
                await act()
            except (ClaraCoreError, OSError) as error:  # the others are done all the same
                logger.error("not all that %s has given could be taken away: %s", head.url, error)  # noqa: TRY400
        await self._ask_no_more()

    async def _without_key(self, head: HeadOfNode) -> None:
        with suppress(NotFound):
            await self._keys.remove(head.key_name)

    # --- does it know us ---------------------------------------------------------------------------------------------

    async def _have(self, head: HeadOfNode, token: str = "") -> None:
        await self._ask_no_more()
        self.head, self.standing = head, Standing.UNHEARD
        if head.gcs:
            await self._ray.be_node(head, token)
        if head.secret:
            self._asking = asyncio.create_task(self._ask(head), name="does the head know us")

    async def _ask_no_more(self) -> None:
        task, self._asking = self._asking, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ask(self, head: HeadOfNode) -> None:
        from claracore.host.cluster.parting import ask_standing  # noqa: PLC0415 - its client of HTTP takes a while

        pause = FIRST_ASK_SECONDS
        while self.head is head:
            await asyncio.sleep(pause)
            pause = ASK_SECONDS
            try:
                await self._take(head, await ask_standing(head))
            except Exception:
                logger.exception("what the head says of this machine could not be taken in")

    async def _take(self, head: HeadOfNode, found: Standing) -> None:
        """Act by what the head says of this machine."""
        if found is Standing.FORGOTTEN:
            await self._forgotten(head)
            return
        was = self.standing
        if found is not Standing.UNHEARD or was is not Standing.STRANGER:
            self.standing = found
        if not head.gcs or was is self.standing:
            return
        if self.standing is Standing.STRANGER:
            logger.warning("another ClaraCore answers at %s than this machine has joined; Ray ends here", head.url)
            await self._ray.close()
        elif was is Standing.STRANGER:
            await self._ray.be_node(head)
