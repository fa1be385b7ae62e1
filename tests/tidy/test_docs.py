"""What ARCHITECTURE.md says is true."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from claracore.cli.index import VERBS
from claracore.core.scheduler import lifecycle

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_table_of_states_is_the_one_in_the_code() -> None:
    assert f"<!-- lifecycle.table() -->\n{lifecycle.table()}\n<!-- end -->" in ARCHITECTURE


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["engine"]]
    for requirement in wanted:
        name = requirement.split(">")[0].split("<")[0].split(";")[0].split("[")[0].strip()
        assert f"| {name} " in ARCHITECTURE, f"{name} has no reason in ARCHITECTURE.md"


def test_every_part_has_its_question() -> None:
    source = ROOT / "src" / "claracore"
    for path in sorted(path.parent for path in source.rglob("__init__.py")):
        part = path.relative_to(source)
        if part.name not in {"", "core", "host", "http"}:
            assert f"`{part}/`" in ARCHITECTURE, f"{part} is not in ARCHITECTURE.md"


def test_every_file_that_the_architecture_names_is_there() -> None:
    """A path is below src/claracore or below the root; a file alone is in the room that its row names, or anywhere."""
    source = ROOT / "src" / "claracore"
    files = {path.name for path in source.rglob("*.py")}
    named = set(re.findall(r"`([\w./]+/[\w.]*|[\w.]+\.py)`", ARCHITECTURE))
    missing = sorted(
        name for name in named if not (source / name).exists() and not (ROOT / name).exists() and name not in files
    )
    assert not missing, f"ARCHITECTURE.md names what is not there: {missing}"


DEVELOP = sorted((ROOT / "docs" / "develop").glob("*.md"))
PAPERS = [
    *DEVELOP,
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
PATHS = re.compile(r"`((?:\.\w+/)?[\w.-]+(?:/[\w.*-]+)*)`")
ROOTS = {path.name for path in ROOT.iterdir()}


@pytest.mark.parametrize("page", DEVELOP, ids=lambda page: str(page.name))
def test_every_file_that_a_page_for_developers_names_is_there(page: Path) -> None:
    """A path is written from the root of the repository: its first part is there, and so must the whole be."""
    text = page.read_text(encoding="utf-8")
    named = {name for name in PATHS.findall(text) if name.split("/")[0] in ROOTS}
    assert named, f"{page.name} names no file"
    missing = sorted(name for name in named if not any(ROOT.glob(name)))
    assert not missing, f"{page.name} names files that are not there: {missing}"
    half = sorted(name for name in PATHS.findall(text) if "/" in name and name not in named)
    assert not half, f"{page.name}: write paths from the root of the repository: {half}"


CODE_NAME = re.compile(r"`(?:([A-Z]\w*[a-z]\w*|[A-Z][A-Z0-9_]+)(?:\([^`]*\))?|([a-z_]\w*)\([^`]*\))`")
"""`EvictionRule`, `ROUTERS`, `Activity(None)` or `evictees(situation)`."""


@cache
def words_of_code() -> frozenset[str]:
    """Return every word in what is run: names, but those in texts and comments too."""
    folders = (ROOT / "src", ROOT / "ui" / "src", ROOT / "tools")
    files = [file for folder in folders for kind in ("*.py", "*.ts", "*.svelte") for file in folder.rglob(kind)]
    return frozenset(word for file in files for word in re.findall(r"\w+", file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", DEVELOP, ids=lambda page: str(page.name))
def test_every_name_of_code_in_a_page_for_developers_is_in_the_code(page: Path) -> None:
    named = {upper or lower for upper, lower in CODE_NAME.findall(page.read_text(encoding="utf-8"))}
    missing = sorted(named - words_of_code())
    assert not missing, f"{page.name} names what is not in the code: {missing}"


@pytest.mark.parametrize("page", PAPERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_targets_and_verbs_in_papers_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in re.findall(r"\]\(([^)#:]+)", text) if not (page.parent / link).exists()]
    assert not missing, f"{page.name} links to {missing}"
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]*`", text, re.DOTALL))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    made = set(re.findall(r"\bmake ([a-z][\w-]*)", code))
    assert made <= targets, f"{page.name}: no make target {sorted(made - targets)}"
    verbs = set(re.findall(r"(?:^|[`/ ])claracore ([a-z]\w*)", code, re.MULTILINE))
    assert verbs <= VERBS.keys() | {"engine"}, f"{page.name}: no verb {sorted(verbs - VERBS.keys())}"
