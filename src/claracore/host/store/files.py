"""How are configuration files read, and how are they replaced so that nothing is ever lost?

A new text takes the place of the old one at once (`host/disk`), under a lock that all who write configuration files
share; permissions stay, the old text is kept as a backup (the last ten). A writer who worked from an older text is
refused. What the texts mean is the business of core/config.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from claracore.core.units import MIB
from claracore.errors import ClaraCoreError, Conflict, disk_full
from claracore.host import disk
from claracore.host.disk import Displaced
from claracore.host.locks import locked
from claracore.host.writers import being_written

BACKUPS = 10
TRIES = 10
"""How often an editor may save the file while it is being changed, before the change is given up."""
WRITER_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
"""The lock is held while a changed configuration is checked: a second for thousands of models."""
SUFFIXES = frozenset({".yaml", ".yml"})
LARGEST_BYTES = 16 * MIB


class FileUnusable(ClaraCoreError):
    """A configuration file cannot be read or written; the message names it and the reason."""

    code = "file_unusable"
    cause = "A file of the configuration cannot be read or written."
    way_out = "Correct path and rights, as the message names them."


class ChangedMeanwhile(ClaraCoreError):
    """The file is not the one the writer had read; 412."""

    status = 412
    type = "invalid_request_error"
    code = "changed_meanwhile"
    cause = "The file was changed by somebody else since it was read."
    way_out = "Read it again, and make the change in what is there now."


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write: the new text's digest, and where the old text is (None if there was no file)."""

    digest: str
    backup: Path | None


def digest(text: str) -> str:
    """Return the SHA-256 of a text, which names a version of a file (the ETag of /api/config)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> str:
    """Return the text of a file. Raises FileUnusable if it is missing, unreadable, no UTF-8 or larger than 16 MB."""
    raw = _read_bytes(path)
    if raw is None:
        raise FileUnusable(f"{path} cannot be read: {os.strerror(errno.ENOENT)}")
    return _text_of(path, raw)


def read_sources(config: Path | None, config_dir: Path | None = None) -> list[tuple[str, str]]:
    """Return (file, text) of the file and then of each *.yaml and *.yml in the folder, by name.

    Raises FileUnusable if nothing is there, or if the file lies in the folder and would be read twice.
    """
    paths = [config] if config is not None else []
    if config_dir is not None:
        inside = yaml_files(config_dir)
        if config is not None and config.resolve() in {path.resolve() for path in inside}:
            raise FileUnusable(f"{config} lies in {config_dir}, which is read as a whole; name only one of them")
        paths += inside
    if not paths:
        raise FileUnusable(f"no configuration sources found{f' in {config_dir}' if config_dir else ''}")
    return [(str(path), read(path)) for path in paths]


def rests(path: Path, quiet_seconds: float) -> bool:
    """Whether nobody has written to the file for so long; true when it is gone, or its clock runs ahead of ours."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return True
    return not 0 <= age < quiet_seconds and not is_being_written(path)


def is_being_written(path: Path) -> bool:
    """Whether somebody has the file open for writing, and has written to it lately."""
    try:
        return being_written(str(path), path.stat().st_mtime_ns)
    except OSError:
        return False


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files at the top of a folder, by name. Raises FileUnusable if it cannot be listed."""
    try:
        return sorted(
            (path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()), key=lambda p: p.name
        )
    except OSError as error:
        raise FileUnusable(f"{folder} cannot be listed: {error.strerror or error}") from error


def write(path: Path, text: str, *, expected: str | None = None) -> Written:
    """Replace the file's text; see `change`."""
    return change(path, lambda _: text, expected=expected)


def change(path: Path, edit: Callable[[str | None], str], *, expected: str | None = None) -> Written:
    """Replace the file's text by what `edit` makes of it (of None where there is no file); keep the old as a backup.

    This is the only way in which ClaraCore writes a configuration file. Reading, editing and replacing are one step for
    every thread, process and user that comes this way: `edit` is called with the lock held, and what it raises leaves
    the file as it was. Who does not come this way, an editor, is not overwritten either: when the file has another text
    than `edit` was given, its new text is edited instead.

    `expected` is the digest of the text that the change is based on, empty for no file: raises ChangedMeanwhile if the
    file has another one. A symbolic link stays one; its target is replaced. Raises FileUnusable, DiskFull.
    """
    target = _resolved(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(target.parent):
            for _ in range(TRIES):
                old = _read_at_rest(target)
                before = _text_of(target, old) if old is not None else None
                if expected is not None and expected != (digest(before) if before is not None else ""):
                    break
                text = edit(before)
                if text == before:
                    return Written(digest(text), None)
                with contextlib.suppress(Displaced):
                    return Written(digest(text), _put(target, text.encode(), old))
    except OSError as error:
        raise unwritable(path, error) from error
    raise ChangedMeanwhile(f"{path} was changed by somebody else; read it again, then repeat the change")


def sweep(path: Path) -> None:
    """Remove what a ClaraCore that was killed while it wrote the file has left beside it."""
    with contextlib.suppress(OSError, ClaraCoreError):
        target = _resolved(path)
        with _alone_in(target.parent):
            disk.sweep(target)


def backups(path: Path) -> list[Path]:
    """Return the backups of a file that `write` made, the oldest first."""
    return sorted(path.parent.glob(f"{_escaped(path.name)}.backup.[0-9]*T[0-9]*Z"))


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def unwritable(path: Path, error: OSError) -> ClaraCoreError:
    """Return the error for a file that cannot be written: DiskFull where room is what is missing, else FileUnusable."""
    full = disk_full(path, error)
    if full is not None:
        return full
    way_out = ""
    if error.errno in {errno.EACCES, errno.EPERM}:
        way_out = f"; let this user write to {path.absolute().parent}, or choose another place"
    return FileUnusable(f"{path} cannot be written: {error.strerror or error}{way_out}")


def _put(target: Path, raw: bytes, old: bytes | None) -> Path | None:
    """Write the file, keep the old content under a name with the time, and drop all but the last ten of these."""
    if old is None:
        disk.create(target, raw)
        return None
    backup = target.with_name(f"{target.name}.backup.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    disk.replace(target, raw, old, backup)
    for surplus in backups(target)[:-BACKUPS]:
        with contextlib.suppress(OSError):
            surplus.unlink()
    return backup


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Exclude every other ClaraCore, of whichever user, that would write a configuration in the folder.

    The folder itself is locked: state folders differ from user to user, and a lock file would lie about.
    """
    with locked(folder, patience_seconds=PATIENCE_SECONDS) as is_ours:
        if not is_ours:
            raise Conflict(
                f"another ClaraCore has been changing files in {folder} for {PATIENCE_SECONDS:g} s (is it stopped?); "
                "nothing was written, try again"
            )
        yield


def _read_at_rest(target: Path) -> bytes | None:
    """Return the content when nobody is at writing it: an editor that writes in place empties the file first.

    None where there is no file. Raises FileUnusable, ChangedMeanwhile.
    """
    end = time.monotonic() + WRITER_SECONDS
    while True:
        before = _last_written(target)
        raw = _read_bytes(target)
        if not is_being_written(target) and _last_written(target) == before:
            return raw
        if time.monotonic() > end:
            raise ChangedMeanwhile(f"{target} is just being written by somebody else; repeat the change later")
        time.sleep(LOOK_AGAIN_SECONDS)


def _last_written(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise FileUnusable(f"{path} cannot be followed: {error}") from error


def _read_bytes(path: Path) -> bytes | None:
    """Return the content; None where there is no file. Raises FileUnusable."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror or error}") from error


def _text_of(path: Path, raw: bytes) -> str:
    if len(raw) > LARGEST_BYTES:
        raise FileUnusable(f"{path} is larger than {LARGEST_BYTES // MIB} MB: it is no configuration file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileUnusable(
            f"{path}:{line}: byte 0x{raw[error.start]:02X} is no UTF-8; save the file as UTF-8"
        ) from error
