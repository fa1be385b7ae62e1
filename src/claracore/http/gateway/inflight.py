"""What may others know of a request that is with a model server or waits for one, and do to it?

The API shows it, `liveness` ends it when its server hangs, `relay` lists it. What it does by itself is in `request`.
"""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING

from claracore.errors import MachineLost, UpstreamFailed
from claracore.http.gateway.alarm import NEVER
from claracore.http.gateway.upstream import Recipient

if TYPE_CHECKING:
    from claracore.errors import ClaraCoreError
    from claracore.host.activity.record import Record
    from claracore.http.gateway.targets import Target


class Phase(Enum):
    """Where a request is in its life."""

    COLLECTING = auto()
    WAITING = auto()
    CONNECTING = auto()
    SENT = auto()
    """The request, or at least its beginning, is with the model server."""
    ANSWERING = auto()
    OVER = auto()


# Looking up a member of an enumeration takes longer than looking up a name (Python 3.11), and this is done often.
COLLECTING, WAITING, CONNECTING, SENT, ANSWERING, OVER = Phase


class InFlight(Recipient):
    """One request, as others see it."""

    # What most requests never change stands here, not in the constructor.
    phase = COLLECTING
    target: Target | None = None
    """Where it goes; None until that is known."""
    deadline = NEVER
    """When to look at a model server that says nothing (event loop time)."""
    bytes_at_last_look = -1
    """How much had come from the model server when its silence was last looked at; -1 before the answer."""
    node_lost = ""
    """Why the machine that answers is taken to be lost; empty while it is there."""
    client_stalled = False
    """Whether the answer waits for its reader."""

    record: Record

    @abstractmethod
    def cancel(self, reason: ClaraCoreError) -> None:
        """End the request from outside."""

    @abstractmethod
    def machine_lost(self, reason: str) -> None:
        """Take in that the machine is lost where it was sent, or is to be sent; a stream has some time left."""

    def sentence(self, what: str) -> str:
        """Return what the model server did, with its name and where to look further."""
        model = self.record.model
        if self.target is not None and self.target.node:
            return f"machine {self.target.node!r}, which has model {model!r}, {what}"
        return f"the server of model {model!r} {what}; what it printed: claracore logs {model}"

    def failure(self, what: str) -> ClaraCoreError:
        """Return the error that says what the model server did, or the machine that has it."""
        is_elsewhere = self.target is not None and self.target.node
        return (MachineLost if is_elsewhere else UpstreamFailed)(self.sentence(what))
