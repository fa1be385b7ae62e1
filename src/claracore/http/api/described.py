"""What does `/openapi.json` say?

Of the control plane what FastAPI knows, of the models' calls what the gateway's routes are.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from claracore.http.api.inference_calls import CALLS, InferenceCall
from claracore.http.gateway.routes import FORM_PATHS, ROUTES, Route
from claracore.http.wire.error_shapes import ErrorShape

_PREFIX = re.compile(r"/v[12]?(?=/)|/api/v0(?=/)")
MODEL: Final = {"type": "string", "description": "a model's id, one of its aliases, or a selector"}
ERRORS: Final[dict[ErrorShape, dict[str, Any]]] = {
    "openai": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "object", "required": ["message", "type", "param", "code"]}},
    },
    "anthropic": {"type": "object", "required": ["type", "error"], "properties": {"error": {"type": "object"}}},
    "ollama": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
}
UNKNOWN: Final = InferenceCall("Goes to a model's server", "others")
UPSTREAM: Final = "/upstream/{model}/{path}"


class DescribedApp(FastAPI):
    """The application of the control plane, whose description has the calls of models, too."""

    def openapi(self) -> dict[str, Any]:
        """Return the whole description. `FastAPI.openapi` has the control plane's part."""
        if not self.openapi_schema:
            control = super().openapi()
            self.openapi_schema = {**control, "paths": with_inference(control["paths"])}
        return self.openapi_schema


async def description(request: Request) -> JSONResponse:
    """Answer with the description; where a proxy has put us below a path, its calls are there."""
    app: DescribedApp = request.app
    base_path: str = getattr(request.state, "base_path", "")
    servers = {"servers": [{"url": base_path}]} if base_path else {}
    return JSONResponse({**app.openapi(), **servers})


def with_inference(paths: dict[str, Any]) -> dict[str, Any]:
    """Return paths of a description with those that the gateway takes; what is described already stays."""
    whole = {path: dict(operations) for path, operations in paths.items()}
    for raw, routes in ROUTES.items():
        path = raw.decode()
        for method, route in routes.items():
            if method != b"HEAD":
                whole.setdefault(path, {}).setdefault(method.decode().lower(), operation(path, route))
    whole[UPSTREAM] = {"get": upstream()}
    return whole


def call_of(path: str) -> InferenceCall:
    """Return what a path of the gateway is for; a path that the table lacks goes to a model's server all the same."""
    return CALLS.get(path) or CALLS.get(_PREFIX.sub("", path)) or UNKNOWN


def operation(path: str, route: Route) -> dict[str, Any]:
    """Return the description of one call."""
    call = call_of(path)
    verb = "show" if route.source == "query" else "infer"
    found: dict[str, Any] = {
        "tags": [f"models: {call.api}"],
        "summary": call.summary,
        "operationId": f"{verb}{re.sub(r'[^a-z0-9]+', '_', path.lower())}",
        "responses": answers(call, route.errors),
    }
    if route.source == "query":
        found["parameters"] = [{"name": "model", "in": "query", "required": True, "schema": MODEL}]
        return found
    schema = {
        "type": "object",
        "required": ["model", *call.required],
        "properties": {"model": MODEL, **call.fields},
        "additionalProperties": True,
    }
    media = "multipart/form-data" if path in FORM_PATHS else "application/json"
    found["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return found


def answers(call: InferenceCall, errors: ErrorShape) -> dict[str, Any]:
    """Return which answers there are; what is in them is the model server's."""
    content: dict[str, Any] = {"application/json": {"schema": {}}}
    if "stream" in call.fields:
        media = "application/x-ndjson" if errors == "ollama" else "text/event-stream"
        content[media] = {"schema": {"type": "string"}}
    return {
        "200": {"description": "The model's answer", "content": content},
        "default": {
            "description": "Why there is none",
            "content": {"application/json": {"schema": ERRORS[errors]}},
        },
    }


def upstream() -> dict[str, Any]:
    """Return the description of what is below a model's name: everything that its own server has."""
    text = {"type": "string"}
    return {
        "tags": ["models: their own servers"],
        "summary": "Whatever a model's own server has there, by any method",
        "operationId": "upstream",
        "parameters": [
            {"name": "model", "in": "path", "required": True, "schema": text},
            {"name": "path", "in": "path", "required": True, "schema": text},
        ],
        "responses": {"default": {"description": "What that server answers"}},
    }
