"""Which answers does the gateway give by itself?

Redirects below `/upstream` and CORS preflights, known as soon as the head is and sent when the request was read; and
errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from claracore.http.access.origins import cors_lines
from claracore.http.gateway.request_ids import new_id
from claracore.http.gateway.routes import errors_for
from claracore.http.wire.answers import answer, error_answer
from claracore.http.wire.request_id import id_line

if TYPE_CHECKING:
    from claracore.errors import ClaraCoreError
    from claracore.http.gateway.contract import Channel
    from claracore.http.wire.head import RequestHead

_HEADER_NAMES = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z, \t]*")


class Canned:
    """An answer without its Connection line."""

    def __init__(self, status: int, headers: list[bytes]) -> None:
        self.status = status
        self.headers = headers


class Local:
    """A handler that gives a known answer."""

    def __init__(self, channel: Channel, canned: Canned) -> None:
        self.channel = channel
        self.canned = canned
        self.started = False

    def body(self, data: bytes, *, last: bool) -> None:  # noqa: ARG002 - the body is read past
        """Read past the body, then answer."""
        if last:
            self.started = True
            channel, canned = self.channel, self.canned
            headers = [*canned.headers, id_line(channel.request_id)]
            channel.transport.write(answer(canned.status, headers, b"", connection=channel.connection_header()))
            channel.completed()

    def left(self) -> None:
        """Nothing is under way."""

    def ended(self) -> bool:
        """Nothing is under way."""
        return False

    def writable(self, writable: bool) -> None:  # noqa: FBT001 - a transport's two callbacks in one
        """Nothing is under way."""

    def tunnelled(self, data: bytes) -> None:
        """Never called."""


def refusal(
    error: ClaraCoreError, head: RequestHead | None, connection: bytes, origin: bytes, request_id: bytes
) -> bytes:
    """Return the answer for an error, that pages of `origin` may read; without a `head` nothing was understood."""
    more = [*cors_lines(origin), id_line(request_id or new_id())]
    if head is None:
        return error_answer(error, connection=connection, more=more)
    with_body = head.method != b"HEAD"
    return error_answer(error, connection=connection, with_body=with_body, more=more, shape=errors_for(head))


def redirect(status: int, location: bytes) -> Canned:
    """Return a redirect."""
    return Canned(status, [b"Location: " + location])


def preflight(head: RequestHead, origin: bytes) -> Canned:
    """Return the answer to a CORS preflight of a page that may use the models; keys are checked on the request itself.

    Without an `origin` nothing is allowed: the browser then does not send the request.
    """
    if not origin:
        return Canned(204, [b"Allow: GET, POST, PUT, PATCH, DELETE, OPTIONS"])
    asked = b""
    for name, line in zip(head.names, head.lines, strict=True):
        if name == b"access-control-request-headers":
            asked = line.partition(b":")[2].strip()
    allowed = asked if _HEADER_NAMES.fullmatch(asked) and asked else b"Content-Type, Authorization, X-API-Key"
    return Canned(
        204,
        [
            *cors_lines(origin),
            b"Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS",
            b"Access-Control-Allow-Headers: " + allowed,
            b"Access-Control-Max-Age: 86400",
        ],
    )
