"""What does a release change in CHANGELOG.md, and which version may be the next?

Functions of texts; tools/release.py reads and writes the files. The file's sections are `## Unreleased`, which comes
first and stays, and `## X.Y.Z (YYYY-MM-DD)`, newest first. A version is X.Y.Z or a candidate for it, X.Y.ZrcN; its tag
is vX.Y.Z.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version

UNRELEASED = "Unreleased"
SECTION = re.compile(r"(?ms)^## (?P<name>\S+)(?: \((?P<day>\d{4}-\d\d-\d\d)\))?\n(?P<body>.*?)(?=^## |\Z)")
ENTRY = re.compile(r"^- \S", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")
VERSION = re.compile(r"\d+\.\d+\.\d+(rc\d+)?")


class Refused(Exception):
    """A release that cannot be made; the message says why and what to do."""


def check_version(version: str, tags: Iterable[str]) -> None:
    """Raise Refused unless `version` is well formed and newer than every version among `tags`."""
    if not VERSION.fullmatch(version) or version != str(Version(version)):
        raise Refused(f"{version!r} is no version for a release: X.Y.Z or X.Y.ZrcN, without a v and leading zeros")
    if f"v{version}" in tags:
        raise Refused(f"the tag v{version} is there already: choose the next version, or `git tag -d v{version}`")
    newest = max((known for known in map(version_of, tags) if known), default=None)
    if newest and Version(version) < newest:
        raise Refused(f"{version} is older than the newest tag, v{newest}")


def version_of(tag: str) -> Version | None:
    """Return the version that a tag names; None for another tag."""
    try:
        return Version(tag.removeprefix("v")) if tag.startswith("v") else None
    except InvalidVersion:
        return None


def released(text: str, version: str, day: date) -> str:
    """Return the changelog with what is unreleased as the section of `version`, below an empty `## Unreleased`."""
    first = SECTION.search(text)
    if first is None or first["name"] != UNRELEASED:
        raise Refused(f"the first section of CHANGELOG.md is not `## {UNRELEASED}`")
    if not ENTRY.search(first["body"]):
        raise Refused(f"CHANGELOG.md has no entries under `## {UNRELEASED}`: a line that begins with `- `")
    if version in {section["name"] for section in SECTION.finditer(text)}:
        raise Refused(f"CHANGELOG.md has a section {version} already")
    return f"{text[: first.start()]}## {UNRELEASED}\n\n## {version} ({day})\n{first['body']}{text[first.end() :]}"


def notes(text: str, version: str) -> str:
    """Return the body of a version's section, which has a day and entries."""
    for section in SECTION.finditer(text):
        if section["name"] == version and section["day"] and ENTRY.search(section["body"]):
            return section["body"].strip() + "\n"
    raise Refused(f"CHANGELOG.md has no section `## {version} (YYYY-MM-DD)` with entries")


def check_links(body: str, root: Path) -> None:
    """Raise Refused if a link in the text, relative to `root`, leads nowhere; addresses of the web are not asked."""
    broken = sorted({link["path"] for link in LINK.finditer(body) if not (root / link["path"]).exists()})
    if broken:
        raise Refused(f"CHANGELOG.md links to what is not there: {', '.join(broken)}")
