"""Imports point inwards, and the core does no I/O (ARCHITECTURE.md, "Rings")."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
ROOT = SRC / "claracore"

RINGS = [
    {"_version", "build", "errors", "types", "__init__"},
    {"core"},
    {"host"},
    {"http"},
    {"app"},
    {"cli", "__main__"},
]
FORBIDDEN_IN_CORE = {"asyncio", "socket", "subprocess", "threading", "os", "time", "random", "logging"}

MODULES = {
    ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


def ring(part: str) -> int:
    for number, names in enumerate(RINGS):
        if part in names:
            return number
    message = f"src/claracore/{part} belongs to no ring: add it to this test and to ARCHITECTURE.md"
    raise AssertionError(message)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The names of all modules that a file names in an import, wherever it stands, also for the type checker only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            below = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            names |= below or {module}
    return names


IDS = {name: str(path.relative_to(ROOT)) for name, path in MODULES.items()}


@pytest.mark.parametrize("name", MODULES, ids=IDS.__getitem__)
def test_imports_point_inwards(name: str) -> None:
    path = MODULES[name]
    mine = ring(part_of(path))
    for other in imported(path) & set(MODULES):
        assert ring(part_of(MODULES[other])) <= mine, f"{path.name} imports {other}, which lies further out"


@pytest.mark.parametrize(
    "name", [name for name, path in MODULES.items() if ring(part_of(path)) <= 1], ids=IDS.__getitem__
)
def test_the_core_does_no_io(name: str) -> None:
    roots = {other.split(".")[0] for other in imported(MODULES[name])}
    assert not roots & FORBIDDEN_IN_CORE, f"{name} imports {sorted(roots & FORBIDDEN_IN_CORE)}"


WIRE = {name for name in MODULES if name.startswith("claracore.http.wire")}


@pytest.mark.parametrize("name", sorted(WIRE), ids=IDS.__getitem__)
def test_the_wire_knows_only_bytes(name: str) -> None:
    """`http/wire` does no I/O either, and knows nothing of who may call what or who answers."""
    others = imported(MODULES[name])
    assert not {other.split(".")[0] for other in others} & FORBIDDEN_IN_CORE
    outside = {other for other in others & set(MODULES) - WIRE if ring(part_of(MODULES[other])) > 1}
    assert not outside, f"{name} imports {sorted(outside)}"


def test_no_file_imports_itself_over_others() -> None:
    graph = {name: imported(path) & set(MODULES) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " -> ".join(reversed(error.args[1])))
