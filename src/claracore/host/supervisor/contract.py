"""What does the supervisor call when it has decided about a request, or when something becomes of a model's server?"""

from __future__ import annotations

from typing import Protocol

from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.errors import ClaraCoreError
from claracore.types import Endpoint


class Waiter(Protocol):
    """One request that waits for its model: one of its methods is called, once."""

    def serve(self, endpoint: Endpoint) -> None:
        """Send the request to `endpoint`, where its model is ready. Followed by one `finish` or `take_back`."""

    def refuse(self, error: ClaraCoreError) -> None:
        """Answer the request with `error`. Nothing follows: the supervisor has forgotten it.

        Also called, once, after a `serve` that raised.
        """


class ModelListener(Protocol):
    """What is called, between chunks of answers, when something becomes of a model's server. Quick; raises nothing."""

    def waiting(self, model: str) -> None:
        """Note that one more request waits: the model loads, is to be loaded, or has no place for it yet."""

    def starting(self, model: str) -> None:
        """Note that a server is being started."""

    def ready(self, model: str) -> None:
        """Note that it answers, and that the requests that waited for it have been served."""

    def stopping(self, model: str, reason: StopReason) -> None:
        """Note that it was ordered to end, or to sleep instead."""

    def ended(self, model: str) -> None:
        """Note that it is gone, asked or not. The orders that follow from that have not been carried out yet."""

    def trying_again(self, model: str, how: SecondTry) -> None:
        """Note that its start failed for want of memory, and that it is started once more."""

    def reported(self, model: str) -> None:
        """Note that it has said something new about itself: how far it has loaded, that it sleeps."""

    def pinned(self, model: str) -> None:
        """Note that a person pinned it or let it go."""


class Connections(Protocol):
    """Who has connections to model servers: the gateway. Quick; raises nothing."""

    def close_endpoint(self, endpoint: Endpoint, why: str) -> None:
        """Close every connection to an endpoint, at once; `why` is what who waits for an answer hears."""

    def stop_opening(self, endpoint: Endpoint) -> None:
        """Give up the connections to an endpoint that are being opened: who is there need not accept them."""


class NoConnections:
    """Before there is a gateway: nobody has any."""

    def close_endpoint(self, endpoint: Endpoint, why: str) -> None:
        """Do nothing."""

    def stop_opening(self, endpoint: Endpoint) -> None:
        """Do nothing."""
