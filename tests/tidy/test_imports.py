"""Imports point inwards, and the core does no I/O (ARCHITECTURE.md, "Rings")."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "claracore"

SHARED = {"build", "errors", "types", "__init__"}
CORE = {"config", "gguf", "fit", "ports", "pull", "scheduler"}
WORLD = {"sockets", "hardware", "library", "engines", "supervisor", "store"}
HTTP = {"gateway", "api", "web"}
ASSEMBLY = {"app", "cli", "__main__"}
RINGS = [SHARED, CORE, WORLD, HTTP, ASSEMBLY]

FORBIDDEN_IN_CORE = {"asyncio", "socket", "subprocess", "threading", "os", "time", "random", "logging"}

MODULES = sorted(ROOT.rglob("*.py"))


def ring(part: str) -> int:
    for number, names in enumerate(RINGS):
        if part in names:
            return number
    message = f"src/claracore/{part} belongs to no ring: add it to this test and to ARCHITECTURE.md"
    raise AssertionError(message)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            if node.module == "claracore":
                names |= {f"claracore.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inwards(path: Path) -> None:
    mine = ring(part_of(path))
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "claracore" and rest and rest != "__version__":
            assert ring(rest.split(".")[0]) <= mine, f"{path.name} imports {name}, which lies further out"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in CORE | SHARED], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_does_no_io(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & FORBIDDEN_IN_CORE, f"{path} imports {sorted(roots & FORBIDDEN_IN_CORE)}"
