"""What does the gateway expect of the parts beside it, and what does it give them?

Protocols and values only. The supervisor is `claracore.supervisor`; the observer is whoever keeps activity and metrics.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from claracore.errors import ClaraCoreError
from claracore.gateway.watch import Watch
from claracore.store.captures import Capture
from claracore.store.tokens import Tokens
from claracore.types import Endpoint, ModelState

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Waiter(Protocol):
    """One request that waits for its model; told exactly once how that ended."""

    def serve(self, endpoint: Endpoint) -> None:
        """Go on: the model is ready at `endpoint`. May be called inside `arrive()`. One `finish()` follows."""

    def refuse(self, error: ClaraCoreError) -> None:
        """Give up: the request cannot be served. May be called inside `arrive()`. No `finish()` follows."""


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


class Record:
    """What happened to one inference request; times in seconds of the event loop's clock, None when never reached.

    Filled while the request runs (the in-flight list shows it), handed to the observer when it is over.
    """

    # What most requests never change stands here, not in the constructor.
    request_id: int | None = None
    key: str = ""
    """The name of the key that the client presented; empty when none is needed."""
    stream: bool = False
    served_at: float | None = None
    """When the model was there for it; `served_at - arrived_at` is queueing plus loading."""
    waited_for_load: bool = False
    """Whether the model was not ready when the request came."""
    first_byte_at: float | None = None
    """When the first byte of the answer's body came."""
    first_token_at: float | None = None
    """When the first piece of a stream came that has something the model has written."""
    finished_at: float | None = None
    status: int = 0
    """What the client got; 0 when it left before anything was sent."""
    content_type: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    error: str = ""
    client_left: bool = False
    watch: Watch | None = None
    """The two ends of the answer, as far as it has come."""
    capture: Capture | None = None
    """Both bodies, when they are kept."""

    def __init__(self, method: str, path: str, client: str, arrived_at: float) -> None:
        self.model = ""
        """Model id; empty when the request was refused before its model was known."""
        self.requested = ""
        """The name in the request, which may be an alias."""
        self.method = method
        self.path = path
        self.client = client
        self.arrived_at = arrived_at

    def tokens(self) -> Tokens:
        """Read what the answer says of its tokens (2 us, more for a stream): not while a client waits."""
        return Tokens() if self.watch is None else self.watch.found()


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
