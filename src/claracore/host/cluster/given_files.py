"""Which files that its head does not have does this machine have, and give to it?

The node's side. The head asks for files by path and name; what is found is given by its version, and nothing else is
(`SharedFiles`): models alone, no link in their place, and only as they were when they were found. A file is read once
for its checksum; after a restart the head says what it was told, which holds for a file that `stat` shows unchanged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from claracore.core.cluster.elsewhere import FoundFile, FoundSet, SoughtSet
from claracore.core.cluster.part import SharedFile, is_file_name
from claracore.core.pull.reference import is_safe_path
from claracore.host.cluster.model_files import ModelRoots
from claracore.host.cluster.shared_files import GGUF, SharedFiles, looked_at


@dataclass(frozen=True, slots=True)
class FilesFound:
    """What is here of what was asked for."""

    sets: tuple[FoundSet, ...]
    """In the order of the question; empty for what is not here, or is still read for its checksum."""
    reading: bool
    """Whether anything is."""


class GivenFiles:
    """The files that the head has asked for and that are here."""

    def __init__(self, shelves: ModelRoots) -> None:
        self.files = SharedFiles()
        """They, by their versions."""
        self._shelves = shelves

    async def look(self, sought: Sequence[SoughtSet], known: Mapping[str, str]) -> FilesFound:
        """Look for these, and give them from now on, and no others; `known` are checksums by version."""
        found = await asyncio.to_thread(lambda: [_found(each, self._shelves.roots) for each in sought])
        given = [each for files in found for each in files]
        self.files.share({each.shared(known.get(each.version, "")): each.path for each in given})
        answers, reading = [], False
        for files in found:
            digests = [self.files.digest_known(each.version, each.version) for each in files]
            complete = all(digests)
            reading = reading or not complete
            answers.append(tuple(map(_FileHere.found, files, digests)) if complete else ())
        for each in given:
            self.files.read_soon(each.version)
        return FilesFound(tuple(answers), reading)


@dataclass(frozen=True, slots=True)
class _FileHere:
    path: Path
    size: int
    header: str
    version: str

    def shared(self, sha256: str) -> SharedFile:
        return SharedFile(self.version, self.size, self.header, sha256)

    def found(self, sha256: str) -> FoundFile:
        return FoundFile(self.size, self.header, sha256, self.version)


def _found(sought: SoughtSet, roots: Sequence[Path]) -> list[_FileHere]:
    """Return all files of a set, in the first folder that has all of them; none where none has. Blocking."""
    for places in _places(sought, roots):
        try:
            looks = [looked_at(place, roots) for place in places]
        except (OSError, ValueError):
            continue
        if all(look.beginning.startswith(GGUF) for look in looks):
            return [
                _FileHere(place, look.size, look.header, look.version)
                for place, look in zip(places, looks, strict=True)
            ]
    return []


def _places(sought: SoughtSet, roots: Sequence[Path]) -> Iterator[list[Path]]:
    """Give where the files of a set may be: where the head would have them, and where what it gives goes."""
    if all(os.path.isabs(file.path) for file in sought):  # noqa: PTH117 - text from another machine
        yield [Path(os.path.normpath(file.path)) for file in sought]
    if all(is_safe_path(file.name) and is_file_name(file.name) for file in sought):
        for root in roots:
            yield [root / PurePosixPath(file.name) for file in sought]
