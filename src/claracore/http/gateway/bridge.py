"""How does everything that is not for a model reach the ASGI application?

One task per request runs the application (ASGI 3.0, http scope, no lifespan). Bodies stream both ways, and both ways
obey flow control; a client that leaves is a `http.disconnect`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from claracore.errors import ClaraCoreError
from claracore.http.gateway.base_path import moved
from claracore.http.gateway.budget import PIECE_BYTES
from claracore.http.gateway.heads import WITHOUT_BODY, undelayed
from claracore.http.wire.answers import reason
from claracore.http.wire.framing import LAST_CHUNK, chunk
from claracore.http.wire.request_id import id_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claracore.http.access.keys import Grant
    from claracore.http.asgi import AsgiApp, Message, Scope
    from claracore.http.gateway.budget import BodyBudget, Share
    from claracore.http.gateway.contract import Channel
    from claracore.http.gateway.tasks import Tasks
    from claracore.http.wire.head import RequestHead

_MAX_WAITING_BYTES = 65_536
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Application:
    """The ASGI application, and what its calls take."""

    app: AsgiApp
    budget: BodyBudget
    tasks: Tasks


class BridgedCall:
    """One call of the ASGI application."""

    def __init__(
        self, channel: Channel, head: RequestHead, grant: Grant | None, application: Application, *, base: bytes
    ) -> None:
        """Begin it; `base` is the path before ours."""
        self.channel = channel
        self.application = application
        self.head = head
        self._grant = grant
        self._base = base
        self.started = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._share: Share | None = None
        """What a body that came in several pieces takes: the application collects it, so until it has answered."""
        self._complete = False
        self._gone = False
        self._more = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._begin: Message | None = None
        self._chunks = False
        self._left_to_send: int | None = None
        self._done = False
        name = f"asgi {head.method.decode()} {head.path.decode('latin-1')}"
        application.tasks.run(self._call(), name=name).add_done_callback(self._ended_call)

    # The connection's side.

    def body(self, data: bytes, *, last: bool) -> None:
        """Keep a piece of the request's body until the application asks for it."""
        if self._gone:
            return
        if self._share is not None or not last:
            try:
                self._keep(len(data))
            except ClaraCoreError as error:
                self._refuse(error)
                self.left()
                return
        self._pieces.append(data)
        self._size += len(data)
        self._complete = last
        self._more.set()
        if self._size > _MAX_WAITING_BYTES and not last:
            self.channel.hold_body()

    def _keep(self, size: int) -> None:
        """Take memory for a piece. Raises `ClaraCoreError` when there is none."""
        if self._share is None:
            self._share = self.application.budget.share()
        self._share.take(size + PIECE_BYTES)

    def left(self) -> None:
        """End: the client is gone."""
        self._gone = True
        self._pieces.clear()
        self._more.set()
        self._drained.set()

    def ended(self) -> bool:
        """Return True: a plain answer is still sent; for an endless one the application gets `http.disconnect`."""
        self._more.set()
        self._ended = True
        return True

    _ended = False

    def writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Let the application wait while the client does not read."""
        if writable:
            self._drained.set()
        else:
            self._drained.clear()

    def tunnelled(self, data: bytes) -> None:
        """Never called: the application does not switch protocols."""

    # The application's side.

    async def _call(self) -> None:
        try:
            await self.application.app(self._scope(), self._receive, self._send)
            if not self._done and not self._gone:
                self._fail("the application gave no complete answer")
        except ClaraCoreError as error:
            self._refuse(error)
        except Exception:  # noqa: BLE001 - the border to foreign code: whatever it raises is one failed request
            if self._gone:  # our own OSError, in whatever the framework made of it
                return
            method, path, id_ = self.head.method, self.head.path, self.channel.request_id
            _log.exception("request %s, %s %s", id_.decode(), method.decode(), path.decode("latin-1"))
            self._fail("an internal error; the log says more")

    def _ended_call(self, _task: asyncio.Task[None]) -> None:
        if self._share is not None:
            self._share.give_back()

    def _fail(self, message: str) -> None:
        self._refuse(ClaraCoreError(message))

    def _refuse(self, error: ClaraCoreError) -> None:
        if self._gone or self._done:
            return
        self._done = True
        if self.started:
            self.channel.abort()
        else:
            self.channel.refuse(error)

    def _scope(self) -> Scope:
        head, channel = self.head, self.channel
        server = channel.transport.get_extra_info("sockname")
        peer = channel.transport.get_extra_info("peername")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": f"1.{head.minor}",
            "method": head.method.decode(),
            "scheme": self._scheme(),
            "path": unquote_to_bytes(head.path).decode("utf-8", "replace"),
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": "",
            "headers": [
                (name, line[len(name) + 1 :].strip(b" \t")) for name, line in zip(head.names, head.lines, strict=True)
            ],
            "client": tuple(peer[:2]) if isinstance(peer, tuple) else None,
            "server": tuple(server[:2]) if isinstance(server, tuple) else None,
            "state": {"grant": self._grant, "base_path": self._base.decode()},
        }

    def _scheme(self) -> str:
        forwarded = self.head.noted.get(b"x-forwarded-proto", b"") if self.channel.peer.trusted else b""
        return "https" if self.channel.peer.secure or forwarded.lower() == b"https" else "http"

    async def _receive(self) -> Message:
        while True:
            if self._gone or self._done:
                return {"type": "http.disconnect"}
            if self._pieces:
                body = b"".join(self._pieces)
                self._pieces, self._size = [], 0
                self.channel.resume_body()
                return {"type": "http.request", "body": body, "more_body": not self._complete}
            if self._ended:
                return {"type": "http.disconnect"}
            self._more.clear()
            await self._more.wait()

    async def _send(self, message: Message) -> None:
        if self._gone:
            raise OSError("the client has disconnected")  # ASGI 2.4: send() raises when nobody listens
        if message["type"] == "http.response.start":
            self._begin = message
        elif message["type"] == "http.response.body":
            body, more = bytes(message.get("body", b"")), bool(message.get("more_body", False))
            self._write(body, more=more)
            if more:
                await self._drained.wait()

    def _write(self, body: bytes, *, more: bool) -> None:
        out = b""
        if not self.started:
            if self._begin is None:
                raise RuntimeError("http.response.body before http.response.start")
            self.started = True
            out = self._head(self._begin, body, more=more)
        if self._has_no_body():
            body = b""
        if body:
            out += chunk(body) if self._chunks else body
        if not more and self._chunks:
            out += LAST_CHUNK
        if out:
            self.channel.transport.write(out)
        if not more:
            self._done = True
            self._more.set()
            self.channel.completed()

    def _has_no_body(self) -> bool:
        status = int(self._begin["status"]) if self._begin else 0
        return self.head.method == b"HEAD" or status in WITHOUT_BODY

    def _head(self, start: Message, body: bytes, *, more: bool) -> bytes:
        status = int(start["status"])
        headers: Iterable[tuple[bytes, bytes]] = start.get("headers", ())
        lines = [b"HTTP/1.1 %d %s" % (status, reason(status) or HTTPStatus.OK.phrase.encode())]
        names = set()
        for name, given in headers:
            lowered = name.lower()
            value = self._seen_from_outside(given) if lowered == b"location" else given
            if lowered in (b"connection", b"transfer-encoding"):
                continue
            names.add(lowered)
            if b"\r" in value or b"\n" in value or b"\r" in name or b"\n" in name:
                raise ValueError("a header of the application's answer contains a line end")
            lines.append(b"%b: %b" % (lowered.title(), value))
        if b"content-length" not in names and status not in WITHOUT_BODY:
            lines += undelayed(names) if more else [b"Content-Length: %d" % len(body)]
            if more and self.head.minor:
                self._chunks = not self._has_no_body()
                lines.append(b"Transfer-Encoding: chunked")
            elif more:
                self.channel.must_close()
        lines.append(id_line(self.channel.request_id))
        if connection := self.channel.connection_header():
            lines.append(b"Connection: " + connection)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _seen_from_outside(self, location: bytes) -> bytes:
        return moved(location, self.head.noted.get(b"host", b""), self._base) if self._base else location
