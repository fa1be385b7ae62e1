"""A run of CI in which something failed is green only when that is known and has a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rerun_failed import LAST_FAILED, UNSTEADY, last_failed, unsteady, verdicts

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = "tests/a/test_a.py::test_one", "tests/a/test_a.py::test_two[a-b]"


def test_every_unsteady_test_is_there() -> None:
    for test in unsteady(UNSTEADY.read_text(encoding="utf-8")):
        path, _, name = test.partition("::")
        assert f"def {name.rpartition('::')[2].partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_a_line_has_an_id_and_a_reason() -> None:
    assert unsteady(f"# why\n\n{ONE} # the kernel has no inotify watches left: rarely\n") == {
        ONE: "the kernel has no inotify watches left: rarely"
    }
    for line in (ONE, f"{ONE} # ", "test_one # a reason"):
        with pytest.raises(ValueError, match="test id # reason"):
            unsteady(line)


def test_what_failed_is_what_pytest_remembers(tmp_path: Path) -> None:
    assert last_failed(tmp_path) == []
    cache = tmp_path / LAST_FAILED
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({TWO: True, ONE: True}))
    assert last_failed(tmp_path) == [ONE, TWO]


@pytest.mark.parametrize(
    ("again", "reasons", "told"),
    [
        ([], {}, [f"{ONE}: failed, then passed, and is not in unsteady.txt"]),
        ([], {ONE: "known"}, []),
        ([], {TWO: "known"}, [f"{ONE}: failed, then passed, and is not in unsteady.txt"]),
        ([ONE], {ONE: "known"}, [f"{ONE}: fails every time"]),
        ([ONE], {}, [f"{ONE}: fails every time"]),
    ],
)
def test_only_what_is_listed_and_passes_now_is_forgiven(
    again: list[str], reasons: dict[str, str], told: list[str]
) -> None:
    assert verdicts([ONE], again, reasons) == told
