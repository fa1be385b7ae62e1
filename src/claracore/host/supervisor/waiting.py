"""Which requests has the loop taken in and not decided about, and who waits for a load?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from claracore.errors import ClaraCoreError
from claracore.host.supervisor.contract import Waiter
from claracore.types import Endpoint


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A request that waits for its model."""

    waiter: Waiter
    model: str
    since: float
    """In seconds of the event loop's clock."""


@dataclass(frozen=True, slots=True)
class LoadWaiter:
    """A request with an empty answer, by which a person has a model loaded."""

    done: asyncio.Future[None]

    def serve(self, endpoint: Endpoint) -> None:
        """Complete `done`: the model is ready."""
        del endpoint
        if not self.done.done():
            self.done.set_result(None)

    def refuse(self, error: ClaraCoreError) -> None:
        """Fail `done` with the error."""
        if not self.done.done():
            self.done.set_exception(error)
