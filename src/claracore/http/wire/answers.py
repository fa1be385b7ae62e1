"""How does an error become the bytes of an HTTP answer?

The errors that only HTTP knows (timeouts, sizes, versions) are declared here; all others are in `claracore.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from claracore.errors import BadRequest, ClaraCoreError
from claracore.http.wire.error_shapes import ErrorShape, encoded


class MalformedRequest(BadRequest):
    """The bytes are not HTTP; nothing after them can be trusted, so the connection closes."""

    code = "malformed_request"
    cause = "The bytes are not HTTP, or are ambiguous; the connection is closed."
    way_out = "Correct the client; where TLS was meant, put a proxy in front or use `http://`."


class MethodNotAllowed(ClaraCoreError):
    """The path exists, the method does not; 405 with Allow."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"
    cause = "The path is there, the method is not."
    way_out = "Use one of the methods in the header `Allow`."

    def __init__(self, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{path} answers {' and '.join(allowed)} only")
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """Name the methods that there are."""
        return {**super().headers(), "Allow": ", ".join(self.allowed)}


class RequestTimeout(ClaraCoreError):
    """The client did not finish sending its request in time; 408."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"
    cause = "The client did not send its request to the end in time."
    way_out = "Send it without a pause; look for a proxy or network that holds it back."


class TooManyConnections(ClaraCoreError):
    """One client has more connections than it may; 503."""

    status = 503
    code = "too_many_connections"
    cause = "One client has more connections open than one may."
    way_out = "Let the client reuse connections (keep-alive), or open fewer."


class NoRoomForBody(ClaraCoreError):
    """The bodies of other requests take all the memory that there is for bodies; 503 with Retry-After."""

    status = 503
    code = "no_room_for_body"
    cause = "Bodies of waiting requests fill the memory that there is for them."
    way_out = "Ask again after Retry-After, or raise `bodyBuffer`."


class ExpectationFailed(ClaraCoreError):
    """An `Expect` other than `100-continue`; 417."""

    status = 417
    type = "invalid_request_error"
    code = "expectation_failed"
    cause = "The request expects something other than `100-continue`."
    way_out = "Leave the header `Expect` out."


class HeadTooLarge(ClaraCoreError):
    """The request line and headers are over the limit; 431."""

    status = 431
    type = "invalid_request_error"
    code = "header_too_large"
    cause = "Request line and headers are over the limit."
    way_out = "Send fewer or shorter headers; cookies of other programs on the same host are a common reason."


class NotSupported(ClaraCoreError):
    """A method or transfer coding that is not implemented; 501."""

    status = 501
    code = "not_supported"
    cause = "A method or transfer coding that ClaraCore does not speak."
    way_out = "Use `chunked` or a length, and no CONNECT: ClaraCore is no forward proxy."


class VersionNotSupported(ClaraCoreError):
    """Neither HTTP/1.0 nor HTTP/1.1; 505."""

    status = 505
    code = "http_version_not_supported"
    cause = "The client speaks neither HTTP/1.0 nor HTTP/1.1."
    way_out = "Let it speak HTTP/1.1, or put a proxy in front that does."


def reason(status: int) -> bytes:
    """Return the reason phrase of a status, empty for one that is not registered."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def answer(
    status: int,
    headers: list[bytes],
    body: bytes,
    *,
    connection: bytes = b"",
    with_body: bool = True,
) -> bytes:
    """Return a complete HTTP/1.1 answer; `headers` are lines without line ends.

    `connection` is the value of the Connection header (none when empty); `with_body` is False for HEAD, whose answer
    has the length of a body but not the body (RFC 9110, 9.3.2).
    """
    lines = [b"HTTP/1.1 %d %s" % (status, reason(status)), *headers]
    if status not in (204, 304):
        lines.append(b"Content-Length: %d" % len(body))
    if connection:
        lines.append(b"Connection: " + connection)
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body if with_body else b"")


def error_answer(
    error: ClaraCoreError,
    *,
    connection: bytes = b"",
    with_body: bool = True,
    more: Sequence[bytes] = (),
    shape: ErrorShape = "openai",
) -> bytes:
    """Return the complete HTTP/1.1 answer for an error; `more` are further header lines, without line ends."""
    own = [f"{name}: {value}".encode() for name, value in error.headers().items()]
    headers = [b"Content-Type: application/json", *own, *more]
    return answer(error.status, headers, encoded(error, shape), connection=connection, with_body=with_body)
