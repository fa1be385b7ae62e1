"""What does the gateway expect of the parts beside it, and what do its own parts expect of each other?

Protocols and values only. Outside stand the supervisor (`claracore.host.supervisor`) and the observer
(`claracore.host.activity`). Inside, a `Channel` is a client's connection as whoever answers sees it, and a `Handler` is
whoever answers as the connection sees it: neither file imports the other.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from claracore.core.loading.expected import ExpectedLoad
from claracore.errors import ClaraCoreError
from claracore.host.activity.record import Record
from claracore.host.supervisor.contract import Connections, Waiter
from claracore.http.gateway.heads import Peer
from claracore.http.wire.head import ResponseHead
from claracore.types import Endpoint, ModelState


class Handler(Protocol):
    """Who answers one request."""

    @property
    def started(self) -> bool:
        """Whether a byte of the answer was written."""

    def body(self, data: bytes, *, last: bool) -> None:
        """Take a piece of the request's body (payload, no framing); called at least once, the last time with `last`."""

    def left(self) -> None:
        """End: the client is gone. Nothing more is called after this."""

    def ended(self) -> bool:
        """Return whether the answer is to be finished although the client sends no more."""

    def writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Slow down (False): the client takes the answer more slowly than it comes. True: it has caught up."""

    def tunnelled(self, data: bytes) -> None:
        """Take bytes after the protocol was switched."""


class Channel(ABC):
    """A client's connection, as far as whoever answers one of its requests sees it.

    A class and no Protocol: compiled code calls it without a look-up of the name, and this is called for every request.
    """

    transport: asyncio.Transport
    peer: Peer
    handler: Handler | None
    """Who answers the present request; None between two."""
    length: int | None = None
    """Content-Length of the present request."""
    request_id: bytes = b""
    """Of the present request: the client's own, or one that we have made."""
    id_is_chosen: bool = False
    """Whether it is the client's own."""
    deadline: float | None = None
    """When to give up on the client (event loop time)."""

    @property
    @abstractmethod
    def has_more(self) -> bool:
        """Whether bytes of the next request have come."""

    @abstractmethod
    def go_on(self) -> None:
        """Read the next request."""

    @abstractmethod
    def connection_header(self) -> bytes:
        """Return the Connection header of the answer that begins now; empty for none."""

    @abstractmethod
    def must_close(self) -> None:
        """Close after the present answer, whatever the client would like."""

    @abstractmethod
    def completed(self) -> None:
        """Go on to the next request: the answer is complete and written."""

    @abstractmethod
    def refuse(self, error: ClaraCoreError, origin: bytes = b"") -> None:
        """Answer with an error, for pages of `origin` to read; the connection goes on if the request was read."""

    @abstractmethod
    def abort(self) -> None:
        """Break off: the client must not take what it got for a complete answer."""

    @abstractmethod
    def hold_body(self) -> None:
        """Read nothing more until `resume_body`."""

    @abstractmethod
    def watch_departure(self) -> None:
        """While nothing is read, notice a client that leaves all the same."""

    @abstractmethod
    def resume_body(self) -> None:
        """Read the rest of the request's body: undoes `hold_body` and `watch_departure`."""

    @abstractmethod
    def tunnel(self, handler: Handler) -> None:
        """Give every byte from now on to the handler: the protocol was switched."""

    @abstractmethod
    def expire(self) -> None:
        """Give up on the client, whose deadline is over."""


class AnswerEdit(Protocol):
    """What changes one answer on its way to the client. Called between chunks: must be quick and must not raise.

    The payload comes without chunk framing, in pieces as the model server sent them: an SSE event may be cut in two.
    """

    def head(self, head: ResponseHead) -> ResponseHead:
        """Return the head that the client gets (`heads.with_headers` makes one); a length in it is dropped."""

    def piece(self, data: bytes) -> bytes:
        """Return what the client gets for a piece of the payload; nothing yet is empty."""

    def end(self) -> bytes:
        """Return what is still to come when the answer is complete. Not called for one that broke off.

        A stream (server-sent events, or JSON on lines) that breaks off ends with an error in the shape of its `Route`.
        """


@dataclass(frozen=True, slots=True)
class ServerCall:
    """What a model's server is asked in place of what the client has asked."""

    path: bytes
    """Without the base path of its `proxy`."""
    body: bytes
    """JSON. The filters of the model edit it."""
    answer_edit: AnswerEdit
    """Makes the answer one of the client's API."""
    keep_seconds: float | None = None
    """How long the model is to stay loaded without requests, from this one on (inf: always); None says nothing."""


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What a client gets whose request is answered without asking the model's server anything."""

    body: Callable[[], bytes]
    """Makes the JSON, when its time has come."""
    loads: bool
    """Whether the model has to be ready first, for which it is loaded."""
    keep_seconds: float | None = None
    """As of `ServerCall`."""


class RequestEdit(Protocol):
    """What makes a request of another API one that model servers understand. Called between chunks: must be quick."""

    def __call__(self, body: bytes, record: Record) -> ServerCall | OwnAnswer:
        """Return what is asked instead, and say in `record.stream` whether the client gets a stream.

        `body` is the client's, and whole: JSON whatever its label, with the model's name in `record.requested`. Raises
        `BadRequest`.
        """


class ModelSupervisor(Protocol):
    """Who starts, swaps and stops the models."""

    def connect(self, connections: Connections) -> None:
        """Have these connections closed when their servers are stopped or lost."""

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        """Take a request in; return its id. Synchronous."""

    def finish(self, request_id: int) -> None:
        """End a request that was not refused. Exactly once for each."""

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened can only have reached the server that was verified at the endpoint."""

    async def confirm(self, model_id: str, endpoint: Endpoint) -> bool:
        """Look anew at who answers at the endpoint; False when it is not, or no longer, the model's ready server."""

    async def why_lost(self, model_id: str, endpoint: Endpoint) -> str:
        """Return why a server that several machines run has broken off an answer; empty when no more is known."""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request that was served wait again, instead of `finish()`; False when it has nothing to wait for."""

    def ready_endpoint(self, model_id: str) -> Endpoint | None:
        """Return where a ready model is reached by what does not count as a request; None when it is to end."""

    def keep(self, model_id: str, seconds: float) -> None:
        """Stop a model that is loaded, or loads, after so long without requests: 0 when it is idle, inf never."""

    def position(self, request_id: int) -> int | None:
        """Return the 1-based place in the queue; None when it does not wait in one."""

    def state(self, model_id: str) -> ModelState:
        """Return the state of a model's process."""

    @property
    def expected_load(self) -> Callable[[str], ExpectedLoad]:
        """Tells how a model's load stands, or would go that begins now."""


class Observer(Protocol):
    """Who keeps account of requests. Called between chunks: must be quick and must not raise."""

    def finished(self, record: Record) -> None:
        """Take the record of a request that is over."""

    def flush(self) -> None:
        """Make all records that it was given visible: somebody is about to look."""


class NoObserver:
    """An observer that does not care."""

    def finished(self, record: Record) -> None:
        """Keep nothing of the record."""

    def flush(self) -> None:
        """Do nothing: no record was kept."""


@dataclass(frozen=True, slots=True)
class PortLimits:
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
    silence_seconds: float = 600.0
    """Without a byte from a model server before a look whether it lives, where no timeout is configured."""
    sign_of_life_seconds: float = 30.0
    """How long such a look takes at the most."""
    max_idle_per_endpoint: int = 128
    stream_keep_alive_seconds: float | None = 15.0
    """First comment, and time between comments, of a stream that waits for its model; None: no comments."""
    loading_tick_seconds: float = 0.75
