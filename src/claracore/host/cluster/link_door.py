"""How does the Link, which is a process of Ray, find out that ClaraCore answers on this node?

A Unix socket that only this user may open. Whoever connects gets one byte from the event loop that serves everybody,
which is all that it is to find out.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from claracore.host.state import make_private


class LinkDoor:
    """The socket; open from `begin` to `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._server: asyncio.Server | None = None

    async def begin(self) -> None:
        """Open it. Raises OSError."""
        await asyncio.to_thread(make_private, self.path.parent)
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, self.path)
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Close it."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    @staticmethod
    async def _answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+")
        writer.close()
