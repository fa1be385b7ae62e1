"""Who can run a model's server, and what does the loop know of a run?

The loop knows these protocols only. Processes of this host are one case (`life.LocalRunner`); whoever runs models
elsewhere is another, with a class that has these methods.
"""

from __future__ import annotations

import socket
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from claracore.core.config.model import ModelConfig
from claracore.core.scheduler.events import RanOut
from claracore.errors import ClaraCoreError
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.running import Running
from claracore.types import Endpoint, ModelState


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went, when everything of it is gone."""

    failure: ClaraCoreError | None = None
    """Why it ended; None when it was ordered to end and nothing had gone wrong before."""
    lost: bool = False
    """Whether it had been ready, and then nobody or somebody else answered although its process ran."""
    ran_out: RanOut | None = None
    """What is known of the memory that it could not get; None when it ended for another reason."""


class RunListener(Protocol):
    """What a run calls, in the event loop, when something has become of it. Quick; raises nothing."""

    def ready(self, model: str, endpoint: Endpoint) -> None:
        """Note that the server answers at `endpoint`, and is who is meant. At most once in a run."""

    def reported(self, model: str) -> None:
        """Note that `Running.loading` or `Running.asleep` say something new."""

    def fell_asleep(self, model: str) -> None:
        """Note that it has given its memory back, as it was told to."""

    def awoke(self, model: str) -> None:
        """Note that it answers again, after it was told to wake."""

    def lost(self, model: str, why: str) -> None:
        """Note that nobody or somebody else answers at the endpoint although the process runs. Once, after `ready`."""

    def died(self, model: str) -> None:
        """Note that the process has ended by itself after `ready`; what it has left behind may not be gone yet."""

    def closing(self, endpoint: Endpoint, why: str = "") -> None:
        """Close all connections to the server: it is told to end as soon as this returns.

        `why` is for who has an answer from it under way; empty where the end is ordered.
        """


class ServerRun(Protocol):
    """One run of a model's server, from the order to start until everything of it is gone."""

    @property
    def restartable(self) -> bool:
        """Whether a request that could not reach the server may wait until it has been started again.

        False for a server that somebody else runs, and for one on another machine.
        """

    async def run(self) -> Outcome:
        """Start the server, keep it, end it; returns when all of it is gone. Called once, as a task of its own."""

    def stop(self) -> None:
        """Order the end: connections are closed, and the model's own time for ending begins. Again does nothing."""

    def sleep(self) -> None:
        """Order that it gives its memory back without ending; one that cannot, ends. Only when it is ready."""

    def wake(self) -> None:
        """Order that it takes its memory again; one that cannot, ends. Only when it sleeps."""

    def kill(self) -> None:
        """Order the end at once, whether or not an end was ordered before."""

    def running(self, state: ModelState) -> Running:
        """Return how it is now; `state` is what the scheduler says of its model."""

    async def reaches(self, connection: socket.socket) -> bool:
        """Whether a connection opened just now can have reached nobody but the verified server (~30 us).

        True where it cannot be verified who listens (somebody else's server, another machine), False before it is
        ready. Raises OSError when too many files are open to look.
        """

    async def confirm(self) -> bool:
        """Look anew at who answers: True when it is the verified server, or ours again and ready."""


@runtime_checkable
class ExplainedRun(Protocol):
    """A run of which more may be known than that its server has broken off an answer."""

    async def why_lost(self) -> str:
        """Return why, as soon as that is known; empty when nothing is, after a moment."""


class Runner(Protocol):
    """Runs models' servers."""

    def new_run(self, model: ModelConfig, output: OutputRing, listener: RunListener) -> ServerRun:
        """Return a run of the model's server that has not begun; what it prints goes to `output`."""

    async def foreseen(self, model: ModelConfig, output: OutputRing) -> ClaraCoreError | None:
        """Return with what a start of the model is sure to fail, None when nothing is known; fetch what it needs.

        Cancelled when that is of no use any more.
        """

    def stamp(self, model: ModelConfig) -> Hashable:
        """Return what the files look like that the model's command names; another value when one has changed."""
