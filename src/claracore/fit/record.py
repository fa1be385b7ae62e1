"""How can a later run tell a generated value that nobody touched from one that a person wrote?

By a mark in the file itself: above the keys of each generated mapping stands one comment line

    # setup: name=1f0c5a3e cmd=99ab01cd ...

with a short hash of each value as it was generated. A value whose hash is still the recorded one is ours and may be
refreshed; any other is the person's and stays. A key that is recorded but gone was deleted by hand and stays deleted.
The file carries its own marks, so it can be copied, renamed and kept in version control; a side file would be lost or
describe another file. Without the line everything counts as written by hand.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Protocol

MARK = "# setup:"
DIGITS = 8
ENTRY = re.compile(r"(\S+)=([0-9a-f]{8})(?=\s|$)")


class Recorded(Protocol):
    """A key and its value."""

    @property
    def key(self) -> str:
        """The key."""

    @property
    def value(self) -> object:
        """The value as a YAML reader gives it."""


def digest(value: object) -> str:
    """Return the mark of a value: the same for every way to write it in YAML."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def record_line(parts: Sequence[Recorded], indent: int) -> str:
    """Return the comment line that records the parts."""
    return " " * indent + " ".join([MARK, *(f"{part.key}={digest(part.value)}" for part in parts)])


def read_record(line: str) -> dict[str, str]:
    """Return key -> hash of a record line; empty for any other line."""
    text = line.strip()
    return dict(ENTRY.findall(text.removeprefix(MARK))) if text.startswith(MARK) else {}
