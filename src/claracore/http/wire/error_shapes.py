"""In whose shape does a client hear of an error?

Pure. OpenAI's envelope is what `claracore.errors` has; clients of Anthropic's API and of Ollama read their own and
nothing else. A model server's own error, which most write as OpenAI does, is put into the client's shape as well.
Facts: docs.anthropic.com/en/api/errors; ollama's api/types.go (`StatusError`).
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from claracore.errors import ClaraCoreError
from claracore.http.wire import sse

ErrorShape = Literal["openai", "anthropic", "ollama"]

ANTHROPIC_VERSION = "anthropic-version"
"""The header that every client of Anthropic's API sends, and no other."""
NDJSON = "application/x-ndjson"
OLLAMA_CALLS = re.compile(r"/api/(?:tags|ps|show|pull|push|delete|copy|create|blobs/.+)")
"""Calls of the control plane that only Ollama's clients make."""

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def shape_of_call(path: str, *, has_version: bool) -> ErrorShape:
    """Return the shape for a call of the control plane, which has the header `ANTHROPIC_VERSION` or not."""
    if OLLAMA_CALLS.fullmatch(path) is not None:
        return "ollama"
    return "anthropic" if has_version else "openai"


def shaped(error: ClaraCoreError, shape: ErrorShape) -> dict[str, Any]:
    """Return what a client of this shape gets as JSON."""
    if shape == "openai":
        return dict(error.envelope())
    return _in_shape(error.message, error.status, shape)


def encoded(error: ClaraCoreError, shape: ErrorShape) -> bytes:
    """Return `shaped` as bytes."""
    return msgspec.json.encode(shaped(error, shape))


def translated(body: bytes, status: int, shape: ErrorShape) -> bytes:
    """Return a model server's error in this shape; as it is, if it is there already or cannot be understood.

    Clients of Ollama are told the beginning of what cannot be understood.
    """
    try:
        theirs = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        theirs = {}
    if shape == "ollama" and not _message(theirs):
        return msgspec.json.encode({"error": _beginning(body, status)})
    return msgspec.json.encode(_translated(theirs, status, shape)) if theirs else body


def said_again(body: bytes, status: int, shape: ErrorShape) -> bytes | None:
    """Return a model server's error in this shape on one line; None for what is no error that can be understood."""
    try:
        theirs = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return None
    return msgspec.json.encode(_translated(theirs, status, shape)) if "error" in theirs else None


def last_words(data: bytes, media_type: str) -> bytes:
    """Return an error as the end of a stream of this media type; empty where a stream cannot tell one."""
    if media_type.startswith(sse.MEDIA_TYPE):
        return sse.event(data, name=b"error")
    return data + b"\n" if media_type.startswith(NDJSON) else b""


def _translated(theirs: dict[str, Any], status: int, shape: ErrorShape) -> dict[str, Any]:
    if shape == "openai" or (shape == "anthropic" and theirs.get("type") == "error"):
        return theirs
    message = _message(theirs)
    return _in_shape(message, status, shape) if message else theirs


def _message(theirs: dict[str, Any]) -> str:
    """Return the sentence in an error: OpenAI's, Ollama's, vLLM's older one or FastAPI's; empty when there is none."""
    error = theirs.get("error")
    for found in (error, error.get("message") if isinstance(error, dict) else None, *map(theirs.get, _SENTENCES)):
        if found and isinstance(found, str):
            return found
    return ""


def _beginning(body: bytes, status: int) -> str:
    words = " ".join(body[:_TOLD_BYTES].decode(errors="replace").split())
    return f"the model server answered {status}" + (f": {words}" if words else "")


_TOLD_BYTES = 200
_SENTENCES = ("message", "detail")


def _in_shape(message: str, status: int, shape: ErrorShape) -> dict[str, Any]:
    if shape == "ollama":
        return {"error": message}
    other = "api_error" if status >= 500 else "invalid_request_error"
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, other), "message": message}}
