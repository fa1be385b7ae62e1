"""What does Ray know of the machines that have joined, and is it there at all?

The head's end of the pipe to `ray_helper.py`. What the helper says becomes the witnesses of `core.cluster.watch`; when
it says nothing for some seconds (it was killed, Ray is away) there is no witness, and silence is judged without one.
Machines are reserved through it as well, by a placement group of Ray: one that has gone with the helper is made anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from claracore.core.cluster.watch import Witness
from claracore.host.cluster.ray_process import KeptProcess

logger = logging.getLogger("claracore.cluster")

SILENT_SECONDS: Final = 6.0
"""The helper speaks every other second, and waits for Links no longer than that."""
ANSWER_SECONDS: Final = 12.0
"""Ray has 5 s to reserve machines, and whoever reserves for another model at the same time has them as well."""
_KINDS: Final = {"there": Witness.THERE, "gone": Witness.GONE, "unsure": Witness.NONE}

OnWitnesses = Callable[[Mapping[str, Witness]], None]


class RayLink:
    """Hears the helper."""

    def __init__(self, on_witnesses: OnWitnesses) -> None:
        """`on_witnesses` gets what is known of each name, whenever the helper says it; nothing when it says nothing."""
        self._on_witnesses = on_witnesses
        self._process: KeptProcess | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._there: frozenset[str] = frozenset()
        self._asked: dict[str, asyncio.Future[tuple[str, ...] | None]] = {}
        self._reserved: dict[str, tuple[str, ...]] = {}
        self._is_new = False

    def begin(self, gcs: str, env: Mapping[str, str], mark: Path) -> None:
        """Start the helper, for Ray at `host:port`."""
        argv = [sys.executable, "-m", "claracore.host.cluster.ray_helper", gcs]
        self._process = KeptProcess("the helper that asks Ray", argv, env, mark=mark, on_line=self.take)
        self._process.ended = self.nothing

    def take(self, line: str) -> None:
        """Take a line of the helper."""
        try:
            found = json.loads(line)
            if "start" in found:
                names = found["reserved"]
                self._answered(str(found["start"]), None if names is None else tuple(map(str, names)))
            else:
                self._witnessed({str(name): _KINDS[each] for name, each in found["nodes"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.debug("the helper that asks Ray has printed: %s", line)

    def _witnessed(self, found: Mapping[str, Witness]) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = asyncio.get_running_loop().call_later(SILENT_SECONDS, self.nothing)
        self._there = frozenset(name for name, each in found.items() if each is Witness.THERE)
        if self._is_new:
            self._is_new = False
            for start, nodes in self._reserved.items():
                self._say({"reserve": start, "nodes": nodes, "count": len(nodes)})
        self._on_witnesses(found)

    # --- reservations (`members.Reservations`) ----------------------------------------------------------------------

    def knows(self, node: str) -> bool:
        """Whether Ray has a machine now."""
        return node in self._there

    async def reserve(self, start: str, nodes: Sequence[str], count: int) -> tuple[str, ...] | None:
        """Reserve so many of these machines, all or none; return which, None when they are not to be had now.

        Where Ray says nothing, nothing is reserved, and the first are returned: no start waits for Ray.
        """
        answer: asyncio.Future[tuple[str, ...] | None] = asyncio.get_running_loop().create_future()
        self._asked[start] = answer
        try:
            if self._say({"reserve": start, "nodes": list(nodes), "count": count}):
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await answer
        except TimeoutError:
            self.give_back(start)
        finally:
            self._asked.pop(start, None)
        logger.warning("Ray has not said whether it reserves machines: none are reserved for this start")
        return tuple(nodes[:count])

    def give_back(self, start: str) -> None:
        """Let others have what was reserved for a start."""
        self._reserved.pop(start, None)
        self._say({"release": start})

    def _answered(self, start: str, nodes: tuple[str, ...] | None) -> None:
        asked = self._asked.get(start)
        if asked is not None and not asked.done():
            if nodes is not None:
                self._reserved[start] = nodes
            asked.set_result(nodes)

    def _say(self, what: Mapping[str, object]) -> bool:
        return self._process is not None and self._process.write(json.dumps(what))

    def nothing(self) -> None:
        """Know nothing any more."""
        if self._patience is not None:
            self._patience.cancel()
        self._there, self._is_new = frozenset(), True
        self._on_witnesses({})

    async def close(self) -> None:
        """End the helper."""
        if self._process is not None:
            await self._process.close()
        self.nothing()
