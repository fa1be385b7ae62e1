"""What does the supervisor call when it has decided about a request, or when something becomes of a model's server?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from claracore.core.scheduler.events import StopReason
from claracore.errors import ClaraCoreError
from claracore.types import Endpoint


class Waiter(Protocol):
    """One request that waits for its model: exactly one of its methods is called, once."""

    def serve(self, endpoint: Endpoint) -> None:
        """Send the request to `endpoint`, where its model is ready. Followed by one `finish` or `take_back`."""

    def refuse(self, error: ClaraCoreError) -> None:
        """Answer the request with `error`. Nothing follows: the supervisor has forgotten it."""


class Listener(Protocol):
    """What is called, between chunks of answers, when something becomes of a model's server. Quick; raises nothing."""

    def starting(self, model: str) -> None:
        """Note that a server is being started."""

    def ready(self, model: str) -> None:
        """Note that it answers, and that the requests that waited for it have been served."""

    def stopping(self, model: str, reason: StopReason) -> None:
        """Note that it was ordered to end."""

    def ended(self, model: str) -> None:
        """Note that it is gone, asked or not. The orders that follow from that have not been carried out yet."""

    def reported(self, model: str) -> None:
        """Note that it has said something new about itself: how far it has loaded, that it sleeps."""

    def pinned(self, model: str) -> None:
        """Note that a person pinned it or let it go."""


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
