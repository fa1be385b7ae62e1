"""Who waits for the supervisor's word, and who listens to what becomes of model servers?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from claracore.core.scheduler.events import StopReason
from claracore.errors import ClaraCoreError
from claracore.types import Endpoint


class Waiter(Protocol):
    """One request that waits for its model; told exactly once how that ended."""

    def serve(self, endpoint: Endpoint) -> None:
        """Go on: the model is ready at `endpoint`."""

    def refuse(self, error: ClaraCoreError) -> None:
        """Give up."""


class Listener(Protocol):
    """Hears what becomes of model servers. Called between chunks: must be quick and must not raise."""

    def starting(self, model: str) -> None:
        """Hear that a server is being started."""

    def ready(self, model: str) -> None:
        """Hear that it answers, and that requests go on."""

    def stopping(self, model: str, reason: StopReason) -> None:
        """Hear that it was ordered to end."""

    def ended(self, model: str) -> None:
        """Hear that it is gone, asked or not, before anything follows from it."""

    def told(self, model: str) -> None:
        """Hear that it has said something new about itself: how far it has loaded, that it sleeps."""

    def pinned(self, model: str) -> None:
        """Hear that a person pinned it or let it go."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A person's wish to have a model loaded: a request with an empty answer."""

    done: asyncio.Future[None]

    def serve(self, endpoint: Endpoint) -> None:
        """Ready."""
        del endpoint
        if not self.done.done():
            self.done.set_result(None)

    def refuse(self, error: ClaraCoreError) -> None:
        """Not to be had."""
        if not self.done.done():
            self.done.set_exception(error)
