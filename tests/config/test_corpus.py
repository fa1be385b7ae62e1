"""Real-shaped files give the effective configuration, or the errors at the places, that they themselves tell."""

from __future__ import annotations

import pytest

from config.corpus_files import INVALID, VALID, Case


@pytest.mark.parametrize("case", [*VALID, *INVALID], ids=str)
def test_the_file_gives_what_it_tells(case: Case) -> None:
    assert case.found() == case.expected


@pytest.mark.parametrize("case", VALID, ids=str)
def test_a_valid_file_loads(case: Case) -> None:
    assert case.load().config is not None


@pytest.mark.parametrize("case", INVALID, ids=str)
def test_an_invalid_file_has_an_error_with_a_place(case: Case) -> None:
    loaded = case.load()
    assert loaded.config is None
    assert all(finding.place for finding in loaded.findings if finding.severity == "error")


def test_the_corpus_is_large() -> None:
    assert len(VALID) + len(INVALID) >= 60
