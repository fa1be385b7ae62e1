"""How can a later run tell a generated value that nobody touched from one that a person wrote?

By a mark in the file itself: in each generated mapping stands one comment line

    # setup: name=1f0c5a3e77d1 cmd=99ab01cd0c4e ...

with a short hash of each value as it was generated (8 digits) and of the comment above it (4 digits). A value whose
hash is still the recorded one is ours and may be refreshed; any other is the person's and stays. A key that is recorded
but gone was deleted by hand and stays deleted. The file carries its own marks, so it can be copied, renamed and kept in
version control; a side file would be lost or describe another file. Without the line everything counts as written by
hand.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MARK = "# setup:"
MISSING = "# file missing since"
AS_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=True, default=str).encode
ENTRY = re.compile(r"(\S+)=([0-9a-f]{8})([0-9a-f]{4})(?=\s|$)")


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """One generated key: its value as a YAML reader gives it, and how it is written.

    `lines` are the lines of the value, the first without its key; `comments` stand above the key.
    """

    key: str
    value: object
    lines: tuple[str, ...]
    comments: tuple[str, ...] = ()

    @property
    def mark(self) -> Mark:
        """The mark to record."""
        return Mark(digest(self.value), comment_digest(self.comments))


@dataclass(frozen=True, slots=True)
class Mark:
    """Hashes of one key: of its value (8 hex digits) and of the comments above it (4)."""

    value: str
    comments: str


def digest(value: object) -> str:
    """Return the mark of a value: the same for every way to write it in YAML."""
    return hashlib.sha256(AS_JSON(value).encode()).hexdigest()[:8]


def comment_digest(comments: Sequence[str]) -> str:
    """Return the mark of comment lines, whatever their indentation."""
    words = " ".join(line.strip().lstrip("#").strip() for line in comments).split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:4]


def record_line(marks: Mapping[str, Mark], indent: int) -> str:
    """Return the comment line that records the marks."""
    return " " * indent + " ".join([MARK, *(f"{key}={mark.value}{mark.comments}" for key, mark in marks.items())])


def read_record(line: str) -> dict[str, Mark]:
    """Return what a record line records; empty for any other line."""
    text = line.strip()
    if not text.startswith(MARK):
        return {}
    return {key: Mark(value, comments) for key, value, comments in ENTRY.findall(text.removeprefix(MARK))}


def marks_of(parts: Sequence[DocumentPart]) -> dict[str, Mark]:
    """Return the marks of all parts, by key."""
    return {part.key: part.mark for part in parts}
