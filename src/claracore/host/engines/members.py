"""What is in an archive that a stranger has made, and what of it could be written safely?

Tar (gzip, xz, bzip2, plain) and zip. Each member is judged by its name and kind before anything is written: no absolute
paths, no `..`, no backslashes, no devices, pipes or sparse files. A symbolic link must name a file beside it, as those
of shared libraries do. Declared sizes are added up while the list is read, so that a list cannot be a bomb either.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Final, Literal, Protocol, TypeVar, cast

from claracore.errors import ClaraCoreError

MOST_MEMBERS: Final = 20_000
MOST_BYTES: Final = 12 << 30
MOST_TIMES: Final = 60
"""An archive that grows by more than so many times is no build: machine code shrinks to a third."""
ALWAYS_ALLOWED: Final = 64 << 20
"""A small archive may grow to so many bytes."""
LARGEST_READ: Final = 16 << 20
"""What the header of a member may make the tar module read at once."""
LONGEST_PATH: Final = 400
_BAD: Final = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')

Info = TypeVar("Info")
MemberKind = Literal["file", "folder", "symlink", "hardlink"]


class HostileArchive(ClaraCoreError):
    """The archive is damaged, or does what no build does; 502, and nothing of it is left."""

    status = 502
    code = "hostile_archive"
    cause = "The archive of an engine is damaged, or does what no build does; nothing of it is kept."
    way_out = "Fetch it again; if it happens again, take another version, and report it to who made it."


class Opened(Protocol):
    """What reads the bytes of a member."""

    def __call__(self) -> IO[bytes]:
        """Open them."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member, judged; `path` is relative and has no `..`."""

    path: PurePosixPath
    kind: MemberKind
    opened: Opened
    size: int = 0
    """As the archive declares it, in bytes."""
    executable: bool = False
    target: str = ""
    """Of a symbolic link the name beside it, of a hard link the path of a member."""


@dataclass(slots=True)
class ByteBudget:
    """How many bytes may come out of an archive."""

    left: int

    def take(self, number: int) -> None:
        """Count bytes. Raises HostileArchive when they are too many."""
        self.left -= number
        if self.left < 0:
            raise HostileArchive("it grows to more than a build can be")


def budget_of(archive: Path) -> ByteBudget:
    """Return how large the contents of an archive may be, by its own size."""
    return ByteBudget(min(MOST_BYTES, max(ALWAYS_ALLOWED, archive.stat().st_size * MOST_TIMES)))


@contextlib.contextmanager
def members_of(archive: Path) -> Iterator[list[Member]]:
    """Give the members, whose contents can be read in the block; a folder that all are in is left away.

    Raises HostileArchive, and what the modules for archives raise.
    """
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield _without_common_folder(_of_zip(zipped, budget_of(archive)))
        return
    with contextlib.closing(_stream(archive, name)) as stream:
        file = cast("IO[bytes]", stream)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            yield _without_common_folder(_of_tar(tar, budget_of(archive)))


def _of_zip(zipped: zipfile.ZipFile, budget: ByteBudget) -> list[Member]:
    members = []
    for info in zipped.infolist()[: MOST_MEMBERS + 1]:
        mode = info.external_attr >> 16
        if info.flag_bits & 1:
            raise HostileArchive(f"{info.filename!r} is encrypted")
        if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise HostileArchive(f"{info.filename!r} is neither a file nor a folder")
        budget.take(info.file_size)
        kind: MemberKind = "folder" if info.is_dir() else "file"
        opened = _opener(zipped.open, info)
        members.append(Member(_judged(info.filename), kind, opened, info.file_size, executable=bool(mode & 0o111)))
    return _counted(members)


def _of_tar(tar: tarfile.TarFile, budget: ByteBudget) -> list[Member]:
    members: list[Member] = []
    for info in tar:
        if len(members) > MOST_MEMBERS:
            break
        path = _judged(info.name)
        kind = _kind(info)
        budget.take(info.size if kind == "file" else 0)
        target = _target(info) if kind in {"symlink", "hardlink"} else ""
        size = info.size if kind == "file" else 0
        opened = _opener(lambda info: cast("IO[bytes]", tar.extractfile(info)), info)
        members.append(Member(path, kind, opened, size, bool(info.mode & 0o111), target))
    return _counted(members)


def _opener(function: Callable[[Info], IO[bytes]], info: Info) -> Opened:
    return lambda: function(info)


def _counted(members: list[Member]) -> list[Member]:
    if len(members) > MOST_MEMBERS:
        raise HostileArchive(f"it has more than {MOST_MEMBERS} members")
    return members


def _kind(info: tarfile.TarInfo) -> MemberKind:
    if info.issparse():
        raise HostileArchive(f"{info.name!r} is a sparse file")
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    if info.issym():
        return "symlink"
    if info.islnk():
        return "hardlink"
    raise HostileArchive(f"{info.name!r} is a device or a pipe")


def _target(info: tarfile.TarInfo) -> str:
    """Return what a link names. Raises HostileArchive for a symbolic one that names no file beside it."""
    if info.islnk():
        return str(_judged(info.linkname))
    if info.linkname in {"", ".", ".."} or "/" in info.linkname or _BAD.search(info.linkname):
        raise HostileArchive(f"{info.name!r} is a link to {info.linkname!r}, which is no file beside it")
    return info.linkname


def _judged(name: str) -> PurePosixPath:
    """Return the path of a member. Raises HostileArchive for one that could lead out of the folder."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or _BAD.search(name) or len(name) > LONGEST_PATH:
        raise HostileArchive(f"{name[:100]!r} leads out of the folder, or is no name of a file")
    return PurePosixPath(*parts)


def _without_common_folder(members: list[Member]) -> list[Member]:
    """Leave away the one folder that all members are in, and members that are that folder itself."""
    found = [member for member in members if member.path.parts]
    first = {member.path.parts[0] for member in found}
    in_one = len(first) == 1 and all(member.kind == "folder" or len(member.path.parts) > 1 for member in found)
    if not in_one:
        return found
    top = next(iter(first))
    return [_moved_up(member, top) for member in found if len(member.path.parts) > 1]


def _moved_up(member: Member, top: str) -> Member:
    target = member.target.removeprefix(f"{top}/") if member.kind == "hardlink" else member.target
    return replace(member, path=PurePosixPath(*member.path.parts[1:]), target=target)


class _BoundedStream:
    """The bytes of a tar archive: bounded as a whole, for reading the list and then the contents, and at once."""

    def __init__(self, file: IO[bytes], budget: ByteBudget) -> None:
        self._file = file
        self._budget = ByteBudget(2 * budget.left + ALWAYS_ALLOWED)

    def read(self, size: int = -1) -> bytes:
        """Read as a file does. Raises HostileArchive for more than a header can be."""
        if not 0 <= size <= LARGEST_READ:
            raise HostileArchive("a header in it is larger than any real one")
        data = self._file.read(size)
        self._budget.take(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return where it is."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _stream(archive: Path, name: str) -> _BoundedStream:
    openers: dict[tuple[str, ...], Callable[[Path], object]] = {
        (".tar.gz", ".tgz"): gzip.open,
        (".tar.xz", ".txz"): lzma.open,
        (".tar.bz2",): bz2.open,
        (".tar",): lambda path: path.open("rb"),
    }
    for endings, opener in openers.items():
        if name.endswith(endings):
            return _BoundedStream(cast("IO[bytes]", opener(archive)), budget_of(archive))
    raise HostileArchive("it is no archive that can be unpacked (.tar.gz, .tar.xz, .zip)")
