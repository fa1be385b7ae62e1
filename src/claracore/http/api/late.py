"""How is the control plane called while it is still being made?

To import FastAPI and to make the application takes longer than all else of a start. It is done in a thread, while
requests for models are served already; whoever calls the control plane meanwhile waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from claracore.http.asgi import Receive, Scope, Send

if TYPE_CHECKING:
    from claracore.http.api.control import ControlPlane


class LateControlPlane:
    """A control plane that `begin` makes; `app` may be called before."""

    def __init__(self, make: Callable[[], ControlPlane]) -> None:
        """`make` imports and makes it; it is called in a thread."""
        self._make = make
        self.made: ControlPlane | None = None
        """None until `begin` has made it."""
        self._begun = asyncio.Event()

    async def begin(self) -> None:
        """Make it and let it work. Raises what making it raises."""
        self.made = await asyncio.to_thread(self._make)
        self.made.begin()
        self._begun.set()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, as an ASGI application."""
        await (await self._made()).app(scope, receive, send)

    async def _made(self) -> ControlPlane:
        await self._begun.wait()
        assert self.made is not None  # noqa: S101 - set by `begin`
        return self.made
