"""How is an archive unpacked, so that it writes into its folder, no more than it may, and nothing twice?

What may be in it: `members.py`. Sizes are counted as bytes come, whatever the archive has declared. Links are made
last, so that nothing is written through one, and each must lead to a file that was written.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from claracore.core.units import gb
from claracore.errors import DiskFull, disk_full
from claracore.host.disk_space import free_at
from claracore.host.engines.members import ByteBudget, HostileArchive, Member, budget_of, members_of
from claracore.host.library.download_files import SPARE_BYTES

BLOCK_BYTES: Final = 1 << 20
UNREADABLE: Final = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError,
    ValueError,
)  # fmt: skip
"""What the modules for archives raise for bytes that are none."""


class Unpacking(Exception):
    """It was told to end."""


def unpack(archive: Path, into: Path, keep_going: Callable[[], bool] = lambda: True) -> None:
    """Unpack an archive beside what is in a folder already. Blocking; what was written before an error stays there.

    Raises HostileArchive, DiskFull, OSError; Unpacking when `keep_going` says no.
    """
    try:
        with members_of(archive) as members:
            _check_room(members, archive, into)
            _write(members, into, budget_of(archive), keep_going)
    except HostileArchive as error:
        raise HostileArchive(f"{archive.name} is not unpacked: {error.message}") from error
    except UNREADABLE as error:
        raise HostileArchive(f"{archive.name} cannot be read: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's own
            raise HostileArchive(f"{archive.name} cannot be read: {error}") from error
        raise disk_full(into, error) or error from error


def _check_room(members: list[Member], archive: Path, into: Path) -> None:
    declared, free = sum(member.size for member in members), free_at(into)
    if declared + SPARE_BYTES > free:
        raise DiskFull(
            f"{archive.name} takes {gb(declared)} when unpacked to {into.parent}, where {gb(free)} are free and "
            f"{gb(SPARE_BYTES)} stay so; make room"
        )


def _write(members: list[Member], into: Path, budget: ByteBudget, keep_going: Callable[[], bool]) -> None:
    _check_names(members, into)
    for member in members:
        if not keep_going():
            raise Unpacking
        path = into / member.path
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
        elif member.kind == "file":
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(member, path, budget, keep_going)
    for member in members:
        if member.kind == "hardlink":
            _link(member, into)
    for member in members:
        if member.kind == "symlink":
            path = into / member.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(member.target)
    for member in members:
        if member.kind == "symlink" and not (into / member.path).is_file():
            raise HostileArchive(f"{member.path} is a link to {member.target}, which is not there")


def _check_names(members: list[Member], into: Path) -> None:
    """Refuse what would write a name twice; file systems that know no difference of letters count, too."""
    seen: set[str] = set()
    for member in members:
        name = str(member.path).casefold()
        if (name in seen or os.path.lexists(into / member.path)) and member.kind != "folder":
            raise HostileArchive(f"two files are called {member.path}")
        seen.add(name)
    files = {str(member.path).casefold() for member in members if member.kind != "folder"}
    for member in members:
        if any(str(parent).casefold() in files for parent in member.path.parents):
            raise HostileArchive(f"{member.path} is in a folder that is a file")


def _write_file(member: Member, path: Path, budget: ByteBudget, keep_going: Callable[[], bool]) -> None:
    mode = 0o755 if member.executable else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, mode), "wb") as file, member.opened() as content:
        while data := content.read(BLOCK_BYTES):
            budget.take(len(data))
            file.write(data)
            if not keep_going():
                raise Unpacking


def _link(member: Member, into: Path) -> None:
    target = into / member.target
    if not target.is_file() or target.is_symlink():
        raise HostileArchive(f"{member.path} is a link to {member.target}, which is no file of the archive")
    path = into / member.path
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(target, path)
