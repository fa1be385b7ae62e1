"""What does the gateway expect of the parts beside it, and what does it give them?

Protocols and values only. The supervisor is `claracore.host.supervisor`, the observer `claracore.host.activity`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from claracore.host.activity.record import Record
from claracore.host.supervisor.contract import Waiter
from claracore.types import Endpoint, ModelState

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Supervisor(Protocol):
    """Who starts, swaps and stops the models."""

    on_closing: Callable[[Endpoint], None]
    """Set by the gateway: closes every connection to an endpoint, at once."""
    on_lost: Callable[[Endpoint], None]
    """Set by the gateway: gives up the connections to an endpoint that are being opened."""

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        """Take a request in; return its id. Synchronous."""

    def finish(self, request_id: int) -> None:
        """Hear that a request that was not refused is over. Exactly once."""

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened can only have reached the server that was verified at the endpoint."""

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        """Look anew at who answers at the endpoint; False when it is not, or no longer, the model's ready server."""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request that was served wait again, instead of `finish()`; False when it has nothing to wait for."""

    def beside(self, model_id: str) -> Endpoint | None:
        """Return where a ready model is reached by what does not count as a request; None when it is to end."""

    def position(self, request_id: int) -> int | None:
        """Return the 1-based place in the queue; None when it does not wait in one."""

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model's process."""


class Observer(Protocol):
    """Who is told about requests. Called between chunks: must be quick and must not raise."""

    def finished(self, record: Record) -> None:
        """Take the record of a request that is over."""

    def settle(self) -> None:
        """Make everything that was told visible: somebody is about to look."""


class Nobody:
    """An observer that does not care."""

    def finished(self, record: Record) -> None:
        """Forget it."""

    def settle(self) -> None:
        """Nothing to be seen."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and timeouts of the public port."""

    max_head_bytes: int = 65_536
    max_body_bytes: int = 1 << 30
    max_collected_bytes: int = 256 << 20
    """A body whose model comes late, or that a filter edits, is held in memory; this much at most."""
    body_budget_bytes: int | None = None
    """Memory for all bodies that cannot be sent on yet; None: what the configuration says."""
    head_timeout_seconds: float = 30.0
    """From the first byte of a head to its last; also from connecting to the first byte."""
    body_timeout_seconds: float = 60.0
    """Without any byte of a body that is still owed."""
    idle_timeout_seconds: float = 120.0
    """Between two requests on one connection."""
    stalled_reader_seconds: float = 300.0
    """With bytes to send, and a client that takes none."""
    max_connections_per_client: int = 512
    """From one address that is not this machine's own; 0 means no limit."""
    upstream_idle_seconds: float = 60.0
    patience_seconds: float = 600.0
    """Without a byte from a model server before a look whether it lives, where no timeout is configured."""
    sign_of_life_seconds: float = 30.0
    """How long such a look takes at the most."""
    max_idle_per_endpoint: int = 128
    stream_keep_alive_seconds: float | None = 15.0
    """First comment, and time between comments, of a stream that waits for its model; None: no comments."""
    loading_tick_seconds: float = 0.75
