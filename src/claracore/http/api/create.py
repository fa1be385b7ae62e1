"""How is the application of the control plane put together?"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from claracore import __version__
from claracore.errors import BadRequest, ClaraCoreError, ConfigError, disk_full
from claracore.http.api import (
    activity,
    captures,
    choices,
    config,
    conversations,
    doctor,
    downloads,
    engines,
    given_files,
    hardware,
    hub,
    joining,
    keys,
    lesser,
    logs,
    mcp,
    memory,
    metrics,
    models,
    named_files,
    node_part,
    nodes,
    performance,
    ports,
    profiles,
    ranks,
    recipes,
    remedies,
    requests,
    setup,
    shared,
    speeds,
    system,
    together,
    tokens,
    tune,
)
from claracore.http.api.compat import (
    first_claracore,
    first_claracore_downloads,
    llama_router,
    llama_swap,
    llama_swap_events,
    lm_studio,
    ollama,
    ollama_changes,
)
from claracore.http.api.described import DescribedApp, description
from claracore.http.api.events import stream
from claracore.http.api.findings import finding_views
from claracore.http.gateway.paths import no_such_path
from claracore.http.web import interface
from claracore.http.wire.error_shapes import ANTHROPIC_VERSION, shape_of_call, shaped

logger = logging.getLogger("claracore.api")

ROUTERS = (
    first_claracore_downloads,  # before models, whose paths may be anything below /api/models/
    tune,  # as above
    choices,  # as above
    remedies,  # as above
    models,
    nodes,
    node_part,
    joining,
    shared,
    given_files,
    requests,
    activity,
    speeds,
    named_files,
    captures,
    logs,
    stream,
    ports,
    config,
    setup,
    downloads,
    engines,
    hub,
    doctor,
    hardware,
    memory,
    conversations,
    lesser,
    tokens,
    keys,
    performance,
    metrics,
    profiles,
    ranks,
    recipes,
    mcp,
    llama_router,
    lm_studio,
    llama_swap,
    llama_swap_events,
    first_claracore,
    ollama,
    ollama_changes,
    system,
    together,
    interface,
)
ErrorHandler = Callable[[Request, Exception], Awaitable[JSONResponse]]


def create_app(parts: Iterable[object]) -> FastAPI:
    """Return the ASGI application whose handlers talk to these parts; all its errors have the OpenAI envelope."""
    app = DescribedApp(title="ClaraCore", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route("/openapi.json", description, include_in_schema=False)
    app.state.parts = {type(part): part for part in parts}
    for module in ROUTERS:
        app.include_router(module.router)
    app.add_exception_handler(ClaraCoreError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(Exception, _unknown)
    return app


def answer(request: Request, error: ClaraCoreError) -> JSONResponse:
    """Return the response for an error, in the shape that who asks can read."""
    shape = shape_of_call(request.url.path, has_version=ANTHROPIC_VERSION in request.headers)
    body = shaped(error, shape)
    if isinstance(error, ConfigError) and shape == "openai":
        body["error"] |= {"findings": [view.model_dump() for view in finding_views(error.findings)]}
    return JSONResponse(body, error.status, error.headers())


async def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ClaraCoreError)  # noqa: S101 - registered for it
    return answer(request, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    return answer(request, BadRequest(f"{where or 'the request'}: {first['msg']}", param=where or None))


async def _system(request: Request, error: Exception) -> JSONResponse:
    """Answer what a disk without room has refused to whoever did not expect it; all else is a bug."""
    assert isinstance(error, OSError)  # noqa: S101 - registered for it
    full = disk_full(error.filename or "something that has to be kept", error)
    if full is None:
        raise error
    logger.warning("%s %s: %s", request.method, request.url.path, full.message)
    return answer(request, full)


async def _unknown(request: Request, _error: Exception) -> JSONResponse:
    return answer(request, ClaraCoreError("an internal error; the log says more"))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if isinstance(error.__cause__, ClaraCoreError):  # FastAPI turns whatever reading a body raises into a 400
        return answer(request, error.__cause__)
    if error.status_code == 404:
        return answer(request, no_such_path(request.url.path))
    response = answer(request, BadRequest(f"{request.method} {request.url.path}: {error.detail}"))
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response
