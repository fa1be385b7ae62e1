"""What is fetched, how large is it, and where does it go?

Everything of a repository goes to ORG/REPO below the download folder, without the repository's own folders: a projector
is found beside its model, and files that are called alike in every repository (`mmproj-F16.gguf`) do not meet. Only a
name that the repository has twice keeps its folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from claracore.core.pull.choice import Variant, choose, projector_for
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference

PART = ".part"
"""Behind the name of a file that is not complete; `library.walk` knows it."""


@dataclass(frozen=True, slots=True)
class FileToFetch:
    """One file of the hub, and its place relative to the download folder."""

    remote: RemoteFile
    place: PurePosixPath

    @property
    def name(self) -> str:
        """The name that the file gets."""
        return self.place.name


@dataclass(frozen=True, slots=True)
class Plan:
    """All files of one model."""

    reference: Reference
    variant: Variant
    files: tuple[FileToFetch, ...]
    names: tuple[str, ...] = ()
    """What the model is to be called, too."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.remote.size for file in self.files)


def plan(reference: Reference, files: Sequence[RemoteFile], *, projector: bool = True) -> Plan:
    """Choose the files that a reference means. Raises NoSuchFile, BadRequest."""
    variant = choose(reference, files)
    mmproj = projector_for(variant, files) if projector else None
    folder = PurePosixPath(reference.repo) / folder_of(variant, files)
    wanted = (*variant.files, mmproj) if mmproj is not None else variant.files
    return Plan(reference, variant, tuple(FileToFetch(file, folder / PurePosixPath(file.path).name) for file in wanted))


def folder_of(variant: Variant, files: Sequence[RemoteFile]) -> PurePosixPath:
    """Return the repository's folder of a variant when a name in it is there twice; nothing otherwise."""
    names = Counter(PurePosixPath(file.path).name.lower() for file in files)
    twice = any(names[PurePosixPath(file.path).name.lower()] > 1 for file in variant.files)
    return PurePosixPath(variant.path).parent if twice else PurePosixPath()


def part_of(path: PurePath) -> str:
    """Return the name under which a file is written until it is complete."""
    return f"{path.name}{PART}"
