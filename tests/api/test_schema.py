"""Every call that the OpenAPI description names is made with thousands of values that fit it, and some that do not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from claracore.http.wire.error_shapes import OLLAMA_CALLS
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
response_schema_conformance = pytest.importorskip("schemathesis.specs.openapi.checks").response_schema_conformance

CONFIG = f"startPort: {free_run(8).start}\nmodels:\n  one:\n    cmd: '{fake()}'\n  two:\n    cmd: '{fake()}'\n"
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "25"))
"""For each operation."""
OF_MODELS = 6
"""For each call that goes to a model: they differ in little but their paths."""
ENDLESS = r"/api/(stream|events)|/logs/stream.*"
"""Answers without an end."""
WORLD = r"/api/setup/.*"
"""Reads whatever folder it is told."""
KEYS = r"/api/keys.*"
"""The first key that it makes would lock it out."""
AGAIN = r"/api/upgrade"
"""Starts the program anew, each time."""
INTERFACE = r"/docs.*|/ui.*"
LEFT_OUT = f"{ENDLESS}|{WORLD}|{KEYS}|{AGAIN}|{INTERFACE}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("schema")
    configured(folder, CONFIG)
    # No hub may be asked for names that were made up.
    with instance(folder, env={"HF_HUB_OFFLINE": "1"}) as running:
        yield running


def test_no_call_breaks_it(server: Instance) -> None:
    described = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if re.fullmatch(LEFT_OUT, operation.path) is None:
            every_call(operation)
            tried += 1
    assert tried > 35


def goes_to_a_model(operation: Any) -> bool:
    return str(operation.definition.raw["tags"][0]).startswith("models: ")


def every_call(operation: Any) -> None:
    examples = OF_MODELS if goes_to_a_model(operation) else EXAMPLES

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        answer = case.call()
        if goes_to_a_model(operation):
            assert answer.status_code != 500
            case.validate_response(answer, checks=[response_schema_conformance])
        elif answer.status_code >= 400:
            envelope = answer.json()
            assert envelope.keys() == {"error"}, (operation.path, envelope)
            if OLLAMA_CALLS.fullmatch(operation.path) is None:
                assert envelope["error"].keys() >= {"message", "type", "param", "code"}
            else:
                assert isinstance(envelope["error"], str)
            assert answer.status_code != 500, (operation.path, envelope)
        elif answer.status_code == 200:
            case.validate_response(answer, checks=[response_schema_conformance])

    call()


def test_it_is_still_there(server: Instance) -> None:
    assert server.ask("GET", "/health").status == 200
    errors = [line for line in server.lines if "Traceback" in line]
    assert not errors
