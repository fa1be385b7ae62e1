"""How does a file get another content, so that at every moment the old or the new one is whole on the disk?

Whatever ClaraCore writes and wants to find again goes this way: users' configuration files by `create` and `replace`,
files of its own by `keep` and `keep_private`, what came in pieces by `finish`.

The new content is written beside the file, flushed, and takes the file's name. What it displaces is looked at *after*
it was displaced (renameat2(2), RENAME_EXCHANGE): between a look and a rename somebody may have saved the file, and that
would be overwritten unseen. Where the system cannot exchange two names, the look comes right before the rename.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from typing import IO, Final

from claracore.host.writers import being_written

NOT_RENAMED: Final = frozenset({errno.EBUSY, errno.EXDEV})
"""A file that is itself a mount point (docker run -v ./config.yaml:/config.yaml)."""
NOT_EXCHANGED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
"""The kernel, the C library, a sandbox or the file system knows no RENAME_EXCHANGE."""
_TEMPORARY: Final = r"\.[0-9a-f]{12}\.tmp"
_ANY_TEMPORARY: Final = re.compile(rf"\..+{_TEMPORARY}")
_RENAME_NOREPLACE: Final = 1
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100


class Displaced(Exception):
    """The file was not what its writer had read; it is as somebody else has left it."""


def create(target: Path, raw: bytes) -> None:
    """Make a new file, as the umask says. Raises Displaced when there is one by now, OSError."""
    with _beside(target, raw, like=target) as temporary:
        try:
            _take_free_name(temporary, target)
        except FileExistsError as error:
            raise Displaced from error
    _flush_folder(target.parent)


def replace(target: Path, raw: bytes, old: bytes, backup: Path) -> None:
    """Put another content into a file that has `old` now, which stays under the name `backup`.

    Permissions stay. Raises Displaced when the file has another content by now, OSError.
    """
    with _beside(target, raw, like=target) as temporary:
        for way, next_way_for in _WAYS:
            try:
                way(temporary, target, old, backup)
                break
            except FileNotFoundError as error:
                raise Displaced from error
            except OSError as error:
                if error.errno not in next_way_for:
                    raise
    _flush_folder(target.parent)


def keep(path: Path, raw: bytes, *, flush: bool = True) -> None:
    """Write a file of our own, with the permissions that the umask gives to any new file. Raises OSError.

    Whatever was there is replaced. Without `flush` a power cut may take what was written, and the caller does not wait
    for the disk.
    """
    _keep(path, raw, 0o666, flush=flush)


def keep_private(path: Path, raw: bytes, *, flush: bool = True) -> None:
    """Write a file of our own that only its user may read, and its folder if there is none; else as `keep`."""
    private_folder(path.parent)
    _keep(path, raw, 0o600, flush=flush)


def finish(file: IO[bytes] | RawIOBase, unfinished: Path, path: Path) -> None:
    """Flush the open file `unfinished`, whose content is whole now, and give it its name. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())
    unfinished.replace(path)
    _flush_folder(path.parent)


def private_folder(folder: Path) -> None:
    """Make a folder, for its user only, where there is none; one that is there stays as it is. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def private_file(path: Path, *beside: Path) -> None:
    """Make an empty file if there is none, and let nobody but its user open it or those `beside`. Raises OSError.

    A file of another user, who lets us write to it, stays as it is.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for each in (path, *beside):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


def sweep(target: Path) -> None:
    """Remove what a writer that was killed has left beside a file; call it while nobody else can be writing it."""
    leftover = re.compile(rf"\.{re.escape(target.name)}(\.backup\.[0-9TZ.]+)?{_TEMPORARY}")
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if leftover.fullmatch(path.name):
                path.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is written here and has not got its own name yet."""
    return _ANY_TEMPORARY.fullmatch(name) is not None


def _by_exchange(temporary: Path, target: Path, old: bytes, backup: Path) -> None:
    """Exchange the names, then look at what was displaced: the old content becomes the backup, any other goes back."""
    new = _content(temporary)
    _exchange(temporary, target)
    if _content(temporary) == old and not being_written(str(temporary), temporary.stat().st_mtime_ns):
        temporary.rename(backup)
        return
    _exchange(temporary, target)
    if _content(temporary) != new:  # saved once more, between the two exchanges
        temporary.rename(backup)
    raise Displaced


def _by_rename(temporary: Path, target: Path, old: bytes, backup: Path) -> None:
    with _backed_up(target, old, backup):
        if _content(target) != old:
            raise Displaced
        temporary.replace(target)


def _in_place(temporary: Path, target: Path, old: bytes, backup: Path) -> None:
    raw = temporary.read_bytes()
    with _backed_up(target, old, backup), target.open("r+b") as file:
        if file.read() != old:
            raise Displaced
        if len(raw) > len(old) and sys.platform == "linux":
            try:
                os.posix_fallocate(file.fileno(), 0, len(raw))  # a full disk must not leave half of a file
            except OSError:
                file.truncate(len(old))
                raise
        file.seek(0)
        file.write(raw)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


_WAYS: Final = ((_by_exchange, NOT_EXCHANGED | NOT_RENAMED), (_by_rename, NOT_RENAMED), (_in_place, frozenset[int]()))
"""The ways to replace a file, the best first, and the errors for which the next one is taken."""


@contextlib.contextmanager
def _backed_up(target: Path, old: bytes, backup: Path) -> Iterator[None]:
    """Keep the old content for the case that the block succeeds."""
    with _beside(backup, old, like=target) as temporary:
        temporary.rename(backup)
    try:
        yield
    except BaseException:
        backup.unlink(missing_ok=True)
        raise


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keep(path: Path, raw: bytes, mode: int, *, flush: bool) -> None:
    with _beside(path, raw, mode=mode, flush=flush) as temporary:
        temporary.replace(path)
    if flush:
        _flush_folder(path.parent)


@contextlib.contextmanager
def _beside(
    path: Path, raw: bytes, *, like: Path | None = None, mode: int = 0o666, flush: bool = True
) -> Iterator[Path]:
    """Write a file beside `path`, whose name the block gives to it, or does not: then it is removed.

    It has the permissions of the file `like`, if that exists, else `mode` less the umask.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(_open_like(temporary, like, mode), "wb") as file:
            file.write(raw)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _open_like(path: Path, model: Path | None, mode: int) -> int:
    """Create a file with the permissions and, if allowed, the owner of `model`; without one, with `mode`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    found = _status(model) if model is not None else None
    if found is None:
        return os.open(path, flags, mode)
    handle = os.open(path, flags, 0o600)
    with contextlib.suppress(OSError):
        os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, found.st_mode & 0o7777)
    return handle


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _exchange(one: Path, other: Path) -> None:
    _rename(one, other, _RENAME_EXCHANGE)


def _take_free_name(temporary: Path, target: Path) -> None:
    try:
        _rename(temporary, target, _RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in NOT_EXCHANGED:
            raise
        os.link(temporary, target)


def _rename(source: Path, target: Path, flags: int) -> None:
    """Do renameat2(2). Raises OSError; with ENOSYS where there is none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _flush_folder(folder: Path) -> None:
    """Have the folder's entries on the disk, where the file system can: the file has its name already."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
