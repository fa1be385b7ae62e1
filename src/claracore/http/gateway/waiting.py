"""What does a client hear while its model loads?

Nothing, unless it asked for a stream. A chat stream whose model says `sendLoadingState` is told at once, in chunks of
the same shape as the answer's (`reasoning_content`, with id, object, model and index); any other stream gets SSE
comments after a while, so that nobody on the way takes the silence for a dead connection. Either commits the answer to
200, so whatever fails later is told as an SSE error event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from claracore.http.wire import sse
from claracore.http.wire.framing import chunk
from claracore.types import ModelState

if TYPE_CHECKING:
    import asyncio

    from claracore.errors import ClaraCoreError
    from claracore.http.gateway.exchange import Exchange


def error_event(error: ClaraCoreError, *, said: bytes = b"", separate: bool = False) -> bytes:
    """Return an SSE error event: the OpenAI envelope as data; `said` is the model server's own error, if it is JSON.

    `separate` ends a line that was broken off before.
    """
    body: Any = error.envelope()
    try:
        theirs = msgspec.json.decode(said, type=dict[str, Any]) if said else {}
    except (msgspec.MsgspecError, RecursionError):
        theirs = {}
    if "error" in theirs:
        body = theirs
    return (b"\n\n" if separate else b"") + sse.event(msgspec.json.encode(body), name=b"error")


class Waiting:
    """One stream that waits; its timer runs only while it does."""

    def __init__(self, exchange: Exchange, *, shows_loading: bool, every_seconds: float) -> None:
        self._exchange = exchange
        self._shows_loading = shows_loading
        self._every_seconds = every_seconds
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = exchange.gateway.wall_time()
        self._last_text = ""
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def begin(cls, exchange: Exchange) -> Waiting | None:
        """Start to keep a waiting exchange company, if it wants a stream and the options allow it."""
        settings, target, route = exchange.gateway.settings, exchange.target, exchange.admission.route
        if not exchange.record.stream or target is None or route is None:
            return None
        if target.send_loading_state and route.shows_loading:
            waiting = cls(exchange, shows_loading=True, every_seconds=settings.loading_tick_seconds)
            waiting.tick()
            return waiting
        if settings.stream_keep_alive_seconds is None:
            return None
        waiting = cls(exchange, shows_loading=False, every_seconds=settings.stream_keep_alive_seconds)
        waiting.schedule()
        return waiting

    def schedule(self) -> None:
        """Come again later."""
        self._timer = self._exchange.gateway.loop.call_later(self._every_seconds, self.tick)

    def stop(self) -> None:
        """Say no more; a loading message that was begun is ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._shows_loading and self._last_text:
                self._last_text = ""
                self._write(self._frame(" ready\n"))

    def tick(self) -> None:
        """Say how it stands."""
        exchange = self._exchange
        if not exchange.answering:
            exchange.begin_stream()
            if self._shows_loading:
                self._write(self._frame(None))
        text = self._state()
        if not self._shows_loading:
            self._write(sse.comment(text))
        elif text != self._last_text:
            self._write(self._frame(("\n" if self._last_text else "") + text))
        else:
            self._write(self._frame("."))
        self._last_text = text
        self.schedule()

    def _state(self) -> str:
        exchange = self._exchange
        target, request_id = exchange.target, exchange.record.request_id
        if target is None or request_id is None:
            return "waiting"
        supervisor = exchange.gateway.supervisor
        position = supervisor.position(request_id)
        if position is not None and supervisor.state(target.model_id) is not ModelState.STARTING:
            return f"waiting for {target.model_id}, place {position} in the queue"
        return f"loading {target.model_id}"

    def _frame(self, text: str | None) -> bytes:
        delta = {"role": "assistant", "content": None} if text is None else {"reasoning_content": text}
        data = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._exchange.record.requested,
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        }
        return sse.event(msgspec.json.encode(data))

    def _write(self, event: bytes) -> None:
        head = self._exchange.head
        self._exchange.connection.transport.write(chunk(event) if head.minor else event)
