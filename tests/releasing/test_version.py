"""The source runs without having been built, and each way to get it tells the build a version."""

from __future__ import annotations

import runpy
import sys
import tomllib
from pathlib import Path

import pytest

import claracore

ROOT = Path(__file__).resolve().parents[2]
HATCH = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]


def test_source_that_was_never_built_has_the_version_of_a_build_that_knows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "claracore._version", None)
    assert runpy.run_path(str(claracore.__file__))["__version__"] == HATCH["version"]["fallback-version"]


def test_the_file_of_the_version_is_in_what_is_built_and_not_in_git() -> None:
    file = HATCH["build"]["hooks"]["vcs"]["version-file"]
    assert file in HATCH["build"]["artifacts"]
    assert file in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert list(HATCH["build"]["hooks"]) == ["vcs", "custom"], "it is written before what imports it is compiled"


def test_git_writes_the_version_into_its_archives() -> None:
    assert ".git_archival.txt export-subst" in (ROOT / ".gitattributes").read_text(encoding="utf-8")
    assert "describe-name: $Format:%(describe:tags=true" in (ROOT / ".git_archival.txt").read_text(encoding="utf-8")
