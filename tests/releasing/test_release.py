"""A release happens to a checkout as a whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import release
from changelog import Refused

CHANGELOG = "# Changelog\n\n## Unreleased\n\n- New: [how](README.md).\n"
BUILD = "import pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir(parents=True); (f / 'built').touch()\n"
FAIL = "import sys; sys.exit(3)\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose tools/dist.py only makes a file."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    files = {"CHANGELOG.md": CHANGELOG, "README.md": "", ".gitignore": "dist/\n", "tools/dist.py": BUILD}
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    release.git(root, "init", "--quiet", "--initial-branch=main")
    release.git(root, "config", "user.name", "Somebody")
    release.git(root, "config", "user.email", "somebody@example.org")
    commit(root)
    return root


def commit(root: Path) -> None:
    release.git(root, "add", "--all")
    release.git(root, "commit", "--quiet", "--message", "work")


def state(root: Path) -> list[str]:
    return [release.git(root, *command) for command in (["rev-parse", "HEAD"], ["tag"], ["status", "--porcelain"])]


def call(monkeypatch: pytest.MonkeyPatch, root: Path, *words: str) -> int:
    monkeypatch.setattr(release, "ROOT", root)
    monkeypatch.setattr(sys, "argv", ["release.py", *words])
    return release.main()


def test_a_release_is_a_commit_a_tag_and_files(root: Path) -> None:
    release.make(root, "0.2.0", dry_run=False)
    assert release.git(root, "log", "-1", "--format=%s by %an") == "release: 0.2.0 by Somebody"
    assert release.git(root, "cat-file", "-t", "v0.2.0") == "tag"
    assert release.git(root, "status", "--porcelain", "--branch") == "## main"
    assert (root / "dist" / "0.2.0" / "built").exists()
    release.check(root, "0.2.0")
    with pytest.raises(Refused, match="there already"):
        release.make(root, "0.2.0", dry_run=False)


def test_a_dry_run_changes_nothing(root: Path) -> None:
    before = state(root)
    release.make(root, "0.2.0", dry_run=True)
    assert state(root) == before
    assert (root / "dist" / "0.2.0" / "built").exists()


def test_nothing_changes_when_what_was_built_does_not_work(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "tools" / "dist.py").write_text(FAIL, encoding="utf-8")
    commit(root)
    before = state(root)
    assert call(monkeypatch, root, "make", "0.2.0") == 1
    assert "dist.py" in capfd.readouterr().err
    assert state(root) == before


@pytest.mark.parametrize(
    ("file", "text", "how", "why"),
    [
        ("README.md", "changed", "left", "not committed"),
        ("new.py", "untracked", "left", "not committed"),
        ("CHANGELOG.md", "# Changelog\n\n## Unreleased\n", "committed", "no entries"),
        ("CHANGELOG.md", CHANGELOG.replace("README", "GONE"), "committed", r"not there: GONE\.md"),
        ("dist/0.2.0/built", "", "left", "an earlier attempt"),
    ],
)
def test_a_checkout_that_is_not_ready_is_refused(root: Path, file: str, text: str, how: str, why: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text, encoding="utf-8")
    if how == "committed":
        commit(root)
    before = state(root)
    with pytest.raises(Refused, match=why):
        release.make(root, "0.2.0", dry_run=False)
    assert state(root) == before


def test_the_tag_must_be_that_of_the_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"not v0\.2\.0: its commit has no tag"):
        release.check(root, "0.2.0")
    release.git(root, "tag", "v0.3.0")
    with pytest.raises(Refused, match=r"has v0\.3\.0"):
        release.check(root, "0.2.0")
    with pytest.raises(Refused, match="no section"):
        release.check(root, "0.3.0")
    assert call(monkeypatch, root, "check", "v0.3.0") == 1


def test_notes_are_printed(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    release.make(root, "0.2.0", dry_run=False)
    capsys.readouterr()
    assert call(monkeypatch, root, "notes", "v0.2.0") == 0
    assert capsys.readouterr().out == "- New: [how](README.md).\n"
