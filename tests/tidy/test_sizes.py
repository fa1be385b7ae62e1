"""Files and functions stay short, and a name means one thing in the whole source (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "claracore"
MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_A_FUNCTION = 50
MOST_LINES_OF_HALF_THE_FUNCTIONS = 8
MOST_LINES_OF_NINE_IN_TEN = 30
SAYS_NOTHING = {"its", "told", "said", "here"}
"""Names of variables that say nothing about what they hold."""

TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The name and the number of lines of each function, those inside others too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def variables(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The name and the line of what is assigned to, and of each parameter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("file", sorted(TREES))
def test_files_and_functions_are_short(file: str) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE
    long = {name: lines for name, lines in functions(TREES[file]) if lines > MOST_LINES_OF_A_FUNCTION}
    assert not long, f"{file}: look for the idea that is missing: {long}"


def test_most_functions_are_very_short() -> None:
    lengths = [lines for tree in TREES.values() for _, lines in functions(tree)]
    assert median(lengths) <= MOST_LINES_OF_HALF_THE_FUNCTIONS
    assert quantiles(lengths, n=10)[-1] < MOST_LINES_OF_NINE_IN_TEN


def test_a_class_name_means_one_class() -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                files[node.name].append(file)
    assert not {name: found for name, found in files.items() if len(found) > 1}


@pytest.mark.parametrize("file", sorted(TREES))
def test_variables_are_named_for_what_they_hold(file: str) -> None:
    bad = [f"{file}:{line}: {name}" for name, line in variables(TREES[file]) if name.strip("_") in SAYS_NOTHING]
    assert not bad
