from __future__ import annotations

import pytest

from claracore.errors import BadRequest, ClaraCoreError, ShuttingDown, Unauthorized
from claracore.http.wire.answers import MethodNotAllowed, answer, error_answer, reason


def lines_of(out: bytes) -> list[bytes]:
    return out.partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.parametrize(
    ("error", "status", "more"),
    [
        (BadRequest("no"), b"400 Bad Request", []),
        (Unauthorized("no"), b"401 Unauthorized", [b'WWW-Authenticate: Basic realm="claracore"']),
        (MethodNotAllowed("/v1/x", ("GET", "POST")), b"405 Method Not Allowed", [b"Allow: GET, POST"]),
    ],
)
def test_an_error_is_an_answer_with_its_header_lines(error: ClaraCoreError, status: bytes, more: list[bytes]) -> None:
    out = error_answer(error, connection=b"close", more=[b"Vary: Origin"])
    first, *headers = lines_of(out)
    body = out.partition(b"\r\n\r\n")[2]
    assert first == b"HTTP/1.1 " + status
    length = b"Content-Length: %d" % len(body)
    assert headers == [b"Content-Type: application/json", *more, b"Vary: Origin", length, b"Connection: close"]
    assert body.startswith(b'{"error":{"message":')


def test_when_to_come_again() -> None:
    error = ShuttingDown("stopping", retry_after_seconds=10)
    said = [f"{name}: {value}".encode() for name, value in error.headers().items()]
    assert said
    assert set(said) <= set(lines_of(error_answer(error)))


def test_what_has_no_body() -> None:
    assert answer(204, [], b"") == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert answer(200, [], b"{}", with_body=False) == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert reason(799) == b""
