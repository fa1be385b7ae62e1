"""How does a file get another content, so that at every moment the old or the new one is whole on the disk?

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
from pathlib import Path
from typing import Final

from claracore.host.writers import being_written

NOT_RENAMED: Final = frozenset({errno.EBUSY, errno.EXDEV})
"""A file that is itself a mount point (docker run -v ./config.yaml:/config.yaml)."""
NOT_EXCHANGED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
"""The kernel, the C library, a sandbox or the file system knows no RENAME_EXCHANGE."""
_RENAME_NOREPLACE: Final = 1
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100


class Displaced(Exception):
    """The file was not what its writer had read; it is as somebody else has left it."""


def create(target: Path, raw: bytes) -> None:
    """Make a new file, as the umask says. Raises Displaced when there is one by now, OSError."""
    temporary = _written(target, raw, like=target)
    try:
        _take_free_name(temporary, target)
    except FileExistsError as error:
        raise Displaced from error
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(target.parent)


def replace(target: Path, raw: bytes, old: bytes, backup: Path) -> None:
    """Put another content into a file that has `old` now, which stays under the name `backup`.

    Permissions stay. Raises Displaced when the file has another content by now, OSError.
    """
    temporary = _written(target, raw, like=target)
    try:
        for way, next_way_for in _WAYS:
            try:
                way(temporary, target, old, backup)
                break
            except FileNotFoundError as error:
                raise Displaced from error
            except OSError as error:
                if error.errno not in next_way_for:
                    raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(target.parent)


def keep_private(path: Path, raw: bytes, *, flush: bool = True) -> None:
    """Write a file of our own that only its user may read, and its folder if there is none. Raises OSError.

    Without `flush` a power cut may take what was written, and the caller does not wait for the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _beside(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(raw)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(target: Path) -> None:
    """Remove what a writer that was killed has left beside a file; call it while nobody else can be writing it."""
    leftover = re.compile(rf"\.{re.escape(target.name)}(\.backup\.[0-9TZ.]+)?\.[0-9a-f]{{12}}\.tmp")
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if leftover.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _by_exchange(temporary: Path, target: Path, old: bytes, backup: Path) -> None:
    """Look at what was displaced: the old content becomes the backup, anybody else's goes back to its place."""
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
    _written(backup, old, like=target).rename(backup)
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


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _written(path: Path, raw: bytes, *, like: Path) -> Path:
    """Write a file beside `path`, whose name it is to take; return it."""
    temporary = _beside(path)
    try:
        with os.fdopen(_open_like(temporary, like), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _open_like(path: Path, model: Path) -> int:
    """Create a file with the permissions and, if allowed, the owner of `model`; if that is new, as the umask says."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        found = model.stat()
    except FileNotFoundError:
        return os.open(path, flags, 0o666)
    handle = os.open(path, flags, 0o600)
    with contextlib.suppress(OSError):
        os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, found.st_mode & 0o7777)
    return handle


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
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
