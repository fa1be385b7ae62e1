"""/openapi.json has every call, those that go to models too, as the gateway takes them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from claracore.http.api.create import create_app
from claracore.http.api.described import UNKNOWN, UPSTREAM, call_of
from claracore.http.api.inference_calls import CALLS
from claracore.http.gateway.routes import FORM_PATHS, ROUTES

APP = create_app(())
WHOLE: dict[str, Any] = APP.openapi()
PATHS: dict[str, Any] = WHOLE["paths"]


@pytest.mark.parametrize("path", [path.decode() for path in ROUTES])
def test_every_route_of_the_gateway_is_described(path: str) -> None:
    """A path that is new needs a row in `inference_calls`."""
    call = call_of(path)
    assert call is not UNKNOWN
    for method, route in ROUTES[path.encode()].items():
        if method == b"HEAD":
            continue
        operation = PATHS[path][method.decode().lower()]
        assert operation["summary"]
        if route.source == "body":
            ((media, content),) = operation["requestBody"]["content"].items()
            assert (media == "multipart/form-data") == (path in FORM_PATHS)
            Draft202012Validator.check_schema(content["schema"])
            assert set(content["schema"]["required"]) <= {"model", *call.fields}
            assert "model" in content["schema"]["required"]


def test_no_row_is_of_a_path_that_is_gone() -> None:
    named = {id(call_of(path.decode())) for path in ROUTES}
    assert [path for path, call in CALLS.items() if id(call) not in named] == []


def test_whose_errors_and_whose_streams() -> None:
    chat, messages = PATHS["/v1/chat/completions"]["post"], PATHS["/v1/messages"]["post"]
    assert "text/event-stream" in chat["responses"]["200"]["content"]
    assert "text/event-stream" not in PATHS["/v1/embeddings"]["post"]["responses"]["200"]["content"]
    assert "type" in messages["responses"]["default"]["content"]["application/json"]["schema"]["required"]


def test_the_control_plane_is_described_as_before() -> None:
    control = FastAPI.openapi(create_app(()))["paths"]
    assert "/v1/chat/completions" not in control
    for path, operations in control.items():
        for method, operation in operations.items():
            assert PATHS[path][method] == operation
    assert UPSTREAM in PATHS


def test_ids_of_operations_are_different() -> None:
    ids = [operation["operationId"] for operations in PATHS.values() for operation in operations.values()]
    assert len(set(ids)) == len(ids)


def test_it_is_made_once() -> None:
    assert APP.openapi() is WHOLE
