"""How is a log shown that another machine keeps?

It is asked for when somebody looks, and follows as long as somebody follows and the machine is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, TypeAdapter, ValidationError

from claracore.core.cluster.model import NodeState
from claracore.errors import ModelNotFound
from claracore.http.access.keys import Grant
from claracore.http.api.events.open_streams import OpenStreams
from claracore.http.api.parts import Runtime
from claracore.http.gateway.loops import FIELD, via_line, was_sent_on

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from claracore.host.cluster.cluster import Cluster
    from claracore.host.cluster.logs_there import ModelThere

_VIA: Final = FIELD.decode()


class LineView(BaseModel):
    """One line; models' output has neither time nor level of its own."""

    at: float | None
    level: str | None
    text: str


_LINES: Final = TypeAdapter(list[LineView])


def model_there(runtime: Runtime, model_id: str, request: Request) -> ModelThere | None:
    """Return where to ask for a model's log; None for one of this machine.

    Raises ModelNotFound for a question that a machine like this one has sent on: it goes no further.
    """
    there = runtime.machines.model_there(runtime.config, model_id)
    if there is not None and was_sent_on(_via(request)):
        raise ModelNotFound(model_id, ())
    return there


async def lines_of_another(there: ModelThere, count: int) -> list[LineView]:
    """Return the last lines of a model of another machine. Raises ClaraCoreError."""
    from claracore.host.cluster import logs_there  # noqa: PLC0415 - its client of HTTP, as in members.py

    rows = await logs_there.lines_there(there, count, _sent_on())
    try:
        return _LINES.validate_python(rows)
    except ValidationError as error:
        raise logs_there.not_given(there, "its lines cannot be read") from error


async def stream_of_another(
    there: ModelThere, runtime: Runtime, open_streams: OpenStreams, grant: Grant | None, request: Request
) -> StreamingResponse:
    """Follow a model of another machine. Raises ClaraCoreError."""
    from claracore.host.cluster import logs_there  # noqa: PLC0415 - as above

    history = "no-history" not in request.query_params
    async with AsyncExitStack() as stack:
        pieces = await stack.enter_async_context(logs_there.followed_there(there, _sent_on(), history=history))
        relayed = _Relayed(pieces, there.node, runtime.machines.cluster)
        return _Following(relayed.body(open_streams, grant), stack.pop_all())


class _Following(StreamingResponse):
    """An answer that lets go of the other machine's, however far it has come."""

    def __init__(self, body: AsyncIterator[bytes], open_there: AsyncExitStack) -> None:
        super().__init__(body, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})
        self._open_there = open_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._open_there:
            await super().__call__(scope, receive, send)


class _Relayed:
    """What another machine sends, piece by piece, until one of the two ends, or it is ended here."""

    def __init__(self, pieces: AsyncIterator[bytes], node: str, cluster: Cluster) -> None:
        self._pieces = pieces
        self._node = node
        self._cluster = cluster
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Send no more."""
        self._ended.set()

    async def body(self, open_streams: OpenStreams, grant: Grant | None) -> AsyncIterator[bytes]:
        """Give what comes. What the machine breaks off ends with a line that says so."""
        self._cluster.watch(self._node, self._look)
        ended: asyncio.Future[Any] = asyncio.ensure_future(self._ended.wait())
        try:
            with open_streams.holding(self, grant):
                yield b""  # sends the head: a client is not to wait for the first line
                while (piece := await self._next(ended)) is not None:
                    yield piece
            if not self._ended.is_set() or self._is_lost():
                yield f"... machine {self._node!r} sends no more\n".encode()
        finally:
            ended.cancel()
            self._cluster.unwatch(self._node, self._look)

    def _is_lost(self) -> bool:
        node = self._cluster.nodes.get(self._node)
        return node is None or node.state is NodeState.LOST

    def _look(self) -> None:
        if self._is_lost():
            self.end()

    async def _next(self, ended: asyncio.Future[Any]) -> bytes | None:
        """Return the next piece; None at the end."""
        coming: asyncio.Future[Any] = asyncio.ensure_future(anext(self._pieces, None))
        try:
            await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
            piece: bytes | None = coming.result() if coming.done() else None
            return piece
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)


def _via(request: Request) -> bytes:
    return request.headers.get(_VIA, "").encode("latin-1", "replace")


def _sent_on() -> dict[str, str]:
    name, _, value = via_line(b"").decode().partition(": ")
    return {name: value}
