"""How is a body read as JSON, whatever its Content-Type says?

Ollama reads it so, and all of its own examples (`curl -d '{...}'`) leave the type to curl, which says that it is a
form. Who may send such bodies is the guard's question (`access/guard.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Wish = TypeVar("Wish", bound=BaseModel)


def read_as(kind: type[Wish]) -> Callable[[Request], Awaitable[Wish]]:
    """Return what reads a body as `kind`, for `Depends`. It raises RequestValidationError."""

    async def read(request: Request) -> Wish:
        try:
            return kind.model_validate_json(await request.body())
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from error

    return read


def described_as(kind: type[BaseModel]) -> dict[str, Any]:
    """Return `openapi_extra` for a call with such a body; `kind` has no models inside."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}}
