from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from jsonschema.validators import Draft202012Validator

from claracore.core.config.lines import read_plain
from claracore.core.config.schema import json_schema, reference_page
from config.corpus_files import VALID, Case

DOCS = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_reference_page_is_up_to_date() -> None:
    assert DOCS.read_text() == reference_page(), "run: claracore config schema --markdown > docs/configuration.md"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("case", VALID, ids=str)
def test_what_loads_fits_the_schema(case: Case) -> None:
    if not case.in_schema:
        pytest.skip("loads with a warning; the schema calls it an error")
    VALIDATOR.validate(read_plain(case.text))


@pytest.mark.parametrize(
    "wrong",
    [
        {"startPort": "high"},
        {"startPort": 70000},
        {"modles": {}},
        {"models": {"a": {"ttl": "soon"}}},
        {"models": {"a": {"cmdd": "x"}}},
        {"groups": {"g": {"members": "a"}}},
        {"logToStdout": "file"},
        {"models": {"a": {"id": "b"}}},
    ],
)
def test_what_does_not_load_does_not_fit_the_schema(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(wrong)
