"""Which files of shared models does the head not have itself, which node has them, and which of several is meant?

Pure. The head knows such a file by the path in a command and by the name that follows from it; a node that has one says
size, header and SHA-256, and by these it is known from then on. Files that belong together (shards) are sought, and
found, together, so that those of two builds are never mixed. Of several nodes that have different files under one name
the one counts that has been known for the longest; it counts until that node itself says something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SoughtFile:
    """A file that a command of the head's names."""

    name: str
    """What it is called below a folder of models."""
    path: str
    """What the command says, absolute."""


SoughtSet = tuple[SoughtFile, ...]
"""Files that lie in one folder, and are one model; never empty."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a node has."""

    size: int
    """Bytes."""
    header: str
    """SHA-256 of the first 64 KiB, as hex."""
    sha256: str
    """Of all of it, as hex."""
    version: str
    """Another one for another content, as far as `stat` knows there: an ETag."""


FoundSet = tuple[FoundFile, ...]
"""One for each file of a `SoughtSet`."""
Holders = Mapping[str, FoundSet]
"""Who has a set, by the node's name; who has been known for the longest comes first."""


def with_answer(holders: Holders, node: str, found: FoundSet) -> dict[str, FoundSet]:
    """Return the holders after what a node has said; it has none of them when `found` is empty.

    Who was the only one stays: what nodes were told is then a file that nobody has, and not another model.
    """
    before = holders.get(node)
    if before is not None and ((not found and len(holders) == 1) or identity(before) == identity(found)):
        return {**holders, node: found or before}
    others = {name: each for name, each in holders.items() if name != node}
    return {**others, node: found} if found else others


def chosen(holders: Holders) -> FoundSet:
    """Return the files that are meant; none where nobody has any."""
    return next(iter(holders.values()), ())


def givers(holders: Holders, number: int, sha256: str) -> tuple[str, ...]:
    """Return which nodes have the file at this place of the set, with this content."""
    return tuple(node for node, found in holders.items() if number < len(found) and found[number].sha256 == sha256)


def identity(found: FoundSet) -> tuple[tuple[int, str, str], ...]:
    """Return what is the same for the same content, on whichever node."""
    return tuple((each.size, each.header, each.sha256) for each in found)


def found_as_json(found: FoundSet) -> list[list[Any]]:
    """Return files as plain data."""
    return [[each.size, each.header, each.sha256, each.version] for each in found]


def found_of_json(found: Any) -> FoundSet:  # noqa: ANN401 - whatever came
    """Return the files that plain data is. Raises ValueError, TypeError."""
    files = []
    for size, *texts in found:
        if not isinstance(size, int) or size < 0 or len(texts) != 3 or not all(isinstance(each, str) for each in texts):
            raise ValueError("no file that a node has")
        files.append(FoundFile(size, *texts))
    return tuple(files)
