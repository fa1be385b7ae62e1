from __future__ import annotations

import json

import pytest

from claracore.errors import (
    BadRequest,
    ClaraCoreError,
    Forbidden,
    ModelFailed,
    ModelNotFound,
    NotReadyInTime,
    PayloadTooLarge,
    QueueFull,
    Unauthorized,
)
from claracore.http.wire.error_shapes import (
    ErrorShape,
    encoded,
    last_words,
    said_again,
    shape_of_call,
    shaped,
    translated,
)

OPENAI = b'{"error":{"code":500,"message":"the context is full","type":"server_error"}}'


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (BadRequest("no"), "invalid_request_error"),
        (Unauthorized("no"), "authentication_error"),
        (Forbidden("no"), "permission_error"),
        (ModelNotFound("m", ()), "not_found_error"),
        (PayloadTooLarge("no"), "request_too_large"),
        (QueueFull("no"), "overloaded_error"),
        (NotReadyInTime("no"), "timeout_error"),
        (ModelFailed("m", "no"), "api_error"),
        (ClaraCoreError("no"), "api_error"),
    ],
)
def test_the_types_of_anthropic_go_by_status(error: ClaraCoreError, type_: str) -> None:
    assert shaped(error, "anthropic") == {"type": "error", "error": {"type": type_, "message": error.message}}
    assert shaped(error, "ollama") == {"error": error.message}
    assert shaped(error, "openai") == error.envelope()
    assert json.loads(encoded(error, "anthropic")) == shaped(error, "anthropic")


@pytest.mark.parametrize(
    ("theirs", "shape", "ours"),
    [
        (OPENAI, "openai", OPENAI),
        (OPENAI, "ollama", b'{"error":"the context is full"}'),
        (OPENAI, "anthropic", b'{"type":"error","error":{"type":"rate_limit_error","message":"the context is full"}}'),
        (
            b'{"error":"full"}',
            "anthropic",
            b'{"type":"error","error":{"type":"rate_limit_error","message":"full"}}',
        ),
        (
            b'{"detail":"full"}',
            "anthropic",
            b'{"type":"error","error":{"type":"rate_limit_error","message":"full"}}',
        ),
        (b'{"object":"error","message":"full"}', "ollama", b'{"error":"full"}'),
        (b'{"type":"error","error":{"type":"x"}}', "anthropic", b'{"type":"error","error":{"type":"x"}}'),
        (b'{"error":{"code":1}}', "anthropic", b'{"error":{"code":1}}'),
        (b"[1]", "anthropic", b"[1]"),
        (b"<html>\n\xff", "ollama", '{"error":"the model server answered 429: <html> \ufffd"}'.encode()),
        (b'{"error":{"code":1}}', "ollama", b'{"error":"the model server answered 429: {\\"error\\":{\\"code\\":1}}"}'),
        (b"", "ollama", b'{"error":"the model server answered 429"}'),
        (b'{"a":' * 100_000, "anthropic", b'{"a":' * 100_000),
        (b"", "anthropic", b""),
    ],
)
def test_a_model_servers_error_is_put_into_the_shape(theirs: bytes, shape: ErrorShape, ours: bytes) -> None:
    assert translated(theirs, 429, shape) == ours


def test_of_an_error_that_cannot_be_understood_the_beginning_is_told() -> None:
    assert len(translated(b'{"a":' * 100_000, 500, "ollama")) < 400


def test_what_is_no_error_cannot_be_said_again() -> None:
    assert said_again(OPENAI, 400, "ollama") == b'{"error":"the context is full"}'
    assert said_again(b'{\n"error":\n"a\\nb"}', 400, "openai") == b'{"error":"a\\nb"}'
    assert said_again(b'{"message":"hello"}', 400, "ollama") is None
    assert said_again(b"<html>", 400, "ollama") is None


def test_how_a_stream_tells_it() -> None:
    assert last_words(b"{}", "text/event-stream; charset=utf-8") == b"event: error\ndata: {}\n\n"
    assert last_words(b"{}", "application/x-ndjson") == b"{}\n"
    assert last_words(b"{}", "application/json") == b""


def test_calls_of_the_control_plane_by_who_makes_them() -> None:
    assert shape_of_call("/api/tags", has_version=False) == "ollama"
    assert shape_of_call("/v1/models", has_version=True) == "anthropic"
    assert shape_of_call("/v1/models", has_version=False) == "openai"
