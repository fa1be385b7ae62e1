"""How are small kernel files read, so that a captured tree can stand in for the running machine?

Every probe reads `/proc` and `/sys` through a `Tree`; a test gives it a folder. A file that is missing, unreadable or
refuses (sysfs answers EINVAL or EIO for sleeping devices) is `None`, never an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tree:
    """A file system root: `/` on the running machine, a folder in a test."""

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Return the real path of an absolute `path` inside the tree."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """Return the stripped text of a file, None if it cannot be read."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the integer a file holds (decimal or 0x...), None if it holds none."""
        return whole_number(self.text(path))

    def names(self, path: str) -> list[str]:
        """Return the sorted entry names of a folder; empty if it cannot be read."""
        try:
            return sorted(entry.name for entry in self.at(path).iterdir())
        except OSError:
            return []


def whole_number(text: str | None) -> int | None:
    """Parse `123`, `0x7b` or None; anything else (`max`, ``) is None."""
    try:
        return int(text, 0) if text else None
    except ValueError:
        return int(text) if text and text.isdecimal() else None


def cpu_list(text: str | None) -> frozenset[int]:
    """Parse the kernel's list format `0-3,8,10-11`; empty for None or nonsense."""
    numbers: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last.isdecimal() or not last):
            numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)
