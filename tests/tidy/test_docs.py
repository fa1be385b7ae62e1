"""What ARCHITECTURE.md says is true."""

from __future__ import annotations

import tomllib
from pathlib import Path

from claracore.scheduler import lifecycle

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
    for path in sorted((ROOT / "src" / "claracore").iterdir()):
        if path.is_dir() and any(path.glob("*.py")):
            assert f"`{path.name}/`" in ARCHITECTURE, f"{path.name} is not in ARCHITECTURE.md"
