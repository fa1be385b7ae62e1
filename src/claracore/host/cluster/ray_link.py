"""What does Ray know of the machines that have joined, and is it there at all?

The head's end of the pipe to `ray_helper.py`. What the helper says becomes the witnesses of `core.cluster.watch`; when
it says nothing for some seconds (it was killed, Ray is away) there is no witness, and silence is judged without one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from claracore.core.cluster.watch import Witness
from claracore.host.cluster.ray_process import KeptProcess

logger = logging.getLogger("claracore.cluster")

SILENT_SECONDS: Final = 6.0
"""The helper speaks every other second, and waits for Links no longer than that."""
_KINDS: Final = {"there": Witness.THERE, "gone": Witness.GONE, "unsure": Witness.NONE}

OnWitnesses = Callable[[Mapping[str, Witness]], None]


class RayLink:
    """Hears the helper."""

    def __init__(self, on_witnesses: OnWitnesses) -> None:
        """`on_witnesses` gets what is known of each name, whenever the helper says it; nothing when it says nothing."""
        self._on_witnesses = on_witnesses
        self._process: KeptProcess | None = None
        self._patience: asyncio.TimerHandle | None = None

    def begin(self, gcs: str, env: Mapping[str, str], mark: Path) -> None:
        """Start the helper, for Ray at `host:port`."""
        argv = [sys.executable, "-m", "claracore.host.cluster.ray_helper", gcs]
        self._process = KeptProcess("the helper that asks Ray", argv, env, mark=mark, on_line=self.take)
        self._process.ended = self.nothing

    def take(self, line: str) -> None:
        """Take a line of the helper."""
        try:
            said_of = json.loads(line)["nodes"]
            found = {str(name): _KINDS[each] for name, each in said_of.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.debug("the helper that asks Ray has printed: %s", line)
            return
        if self._patience is not None:
            self._patience.cancel()
        self._patience = asyncio.get_running_loop().call_later(SILENT_SECONDS, self.nothing)
        self._on_witnesses(found)

    def nothing(self) -> None:
        """Know nothing any more."""
        if self._patience is not None:
            self._patience.cancel()
        self._on_witnesses({})

    async def close(self) -> None:
        """End the helper."""
        if self._process is not None:
            await self._process.close()
        self.nothing()
