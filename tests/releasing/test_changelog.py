"""What a release makes of the changelog's text, and which versions it takes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from changelog import Refused, check_links, check_version, notes, released

DAY = date(2026, 11, 28)
BEFORE = """# Changelog

## Unreleased

### Added

- A thing
  of two lines.

## 0.1.0 (2026-01-02)

- The first.
"""
AFTER = """# Changelog

## Unreleased

## 0.2.0 (2026-11-28)

### Added

- A thing
  of two lines.

## 0.1.0 (2026-01-02)

- The first.
"""


def test_what_is_unreleased_becomes_the_section_of_the_version() -> None:
    assert released(BEFORE, "0.2.0", DAY) == AFTER


def test_the_next_release_needs_entries_of_its_own() -> None:
    with pytest.raises(Refused, match="no entries"):
        released(AFTER, "0.3.0", DAY)
    more = AFTER.replace("## Unreleased\n", "## Unreleased\n\n- Another.\n")
    assert released(more, "0.3.0", DAY).startswith(
        "# Changelog\n\n## Unreleased\n\n## 0.3.0 (2026-11-28)\n\n- Another.\n"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# Changelog\n", "first section"),
        ("# Changelog\n\n## 0.1.0 (2026-01-02)\n\n- x\n", "first section"),
        ("# Changelog\n\n## Unreleased\n\n### Added\n\nprose\n", "no entries"),
        (BEFORE.replace("0.1.0", "0.2.0"), "a section 0.2.0 already"),
    ],
)
def test_other_changelogs_are_refused(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        released(text, "0.2.0", DAY)


def test_notes_are_the_section_without_its_heading() -> None:
    assert notes(AFTER, "0.2.0") == "### Added\n\n- A thing\n  of two lines.\n"
    assert notes(AFTER, "0.1.0") == "- The first.\n"


@pytest.mark.parametrize("version", ["0.3.0", "Unreleased"])
def test_what_is_not_released_has_no_notes(version: str) -> None:
    with pytest.raises(Refused, match="no section"):
        notes(BEFORE, version)


@pytest.mark.parametrize(
    ("version", "tags"),
    [
        ("0.1.0", []),
        ("0.2.0", ["v0.1.0"]),
        ("0.10.0", ["v0.9.0", "v0.2.0"]),
        ("1.0.0rc1", ["v0.9.0"]),
        ("1.0.0", ["v1.0.0rc2", "v1.0.0rc1"]),
        ("0.1.0", ["nightly", "vendor", "9.9.9"]),
    ],
)
def test_versions_that_may_follow(version: str, tags: list[str]) -> None:
    check_version(version, tags)


@pytest.mark.parametrize(
    ("version", "tags", "why"),
    [
        ("", [], "no version for a release"),
        ("v0.2.0", [], "no version for a release"),
        ("0.2", [], "no version for a release"),
        ("0.02.0", [], "no version for a release"),
        ("0.2.0-rc1", [], "no version for a release"),
        ("0.2.0.dev1", [], "no version for a release"),
        ("0.2.0+local", [], "no version for a release"),
        ("0.2.0", ["v0.2.0"], "is there already"),
        ("0.9.0", ["v0.10.0"], "older than the newest tag, v0.10.0"),
        ("1.0.0rc3", ["v1.0.0"], "older than the newest tag, v1.0.0"),
    ],
)
def test_versions_that_may_not(version: str, tags: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check_version(version, tags)


def test_links_of_the_section_lead_somewhere(tmp_path: Path) -> None:
    (tmp_path / "there.md").touch()
    check_links("- [a](there.md#part), [b](https://example.org/x), [c](#here)", tmp_path)
    with pytest.raises(Refused, match=r"not there: docs/gone\.md"):
        check_links("- [a](there.md), [b](docs/gone.md)", tmp_path)
