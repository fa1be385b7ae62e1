"""How are configuration files read, and how are they replaced so that nothing is ever lost?

A new text is written beside the file, flushed to disk and renamed over it; permissions stay, the old text is kept as a
backup (the last ten). A writer who worked from an older text is refused. What the texts mean is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from claracore.errors import ClaraCoreError

BACKUPS = 10
SUFFIXES = frozenset({".yaml", ".yml"})
LARGEST_BYTES = 16 * 1024 * 1024
NOT_RENAMED = frozenset({errno.EBUSY, errno.EXDEV})


class FileUnusable(ClaraCoreError):
    """A configuration file cannot be read or written; the message names it and the reason."""

    code = "file_unusable"


class ChangedMeanwhile(ClaraCoreError):
    """The file is not the one the writer had read; 412."""

    status = 412
    type = "invalid_request_error"
    code = "changed_meanwhile"


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
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > LARGEST_BYTES:
        raise FileUnusable(f"{path} is larger than {LARGEST_BYTES // 1024 // 1024} MB: it is no configuration file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileUnusable(
            f"{path}:{line}: byte 0x{raw[error.start]:02X} is no UTF-8; save the file as UTF-8"
        ) from error


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


def age_seconds(path: Path) -> float:
    """Return how long ago the file was written to; infinity when it is gone, or its clock runs ahead of ours."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return math.inf
    return age if age >= 0 else math.inf


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files at the top of a folder, by name. Raises FileUnusable if it cannot be listed."""
    try:
        return sorted(
            (path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()), key=lambda p: p.name
        )
    except OSError as error:
        raise FileUnusable(f"{folder} cannot be listed: {error.strerror or error}") from error


def write(path: Path, text: str, *, expected: str | None = None) -> Written:
    """Replace the file's text, atomically where the file system can, and keep the old text as a backup.

    `expected` is the digest of the text that the writer has read: raises ChangedMeanwhile if the file has another one.
    A symbolic link stays one; its target is replaced. Raises FileUnusable if the file cannot be written.
    """
    target = path.resolve()
    old = read(target) if target.exists() else None
    if expected is not None and expected != (digest(old) if old is not None else ""):
        raise ChangedMeanwhile(f"{path} was changed by somebody else; read it again, then repeat the change")
    if old == text:
        return Written(digest(text), None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        backup = _back_up(target) if old is not None else None
        _replace(target, text)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror or error}") from error
    return Written(digest(text), backup)


def backups(path: Path) -> list[Path]:
    """Return the backups of a file that `write` made, the oldest first."""
    return sorted(path.parent.glob(f"{_escaped(path.name)}.backup.[0-9]*T[0-9]*Z"))


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _back_up(target: Path) -> Path:
    """Keep the present content under a name with the time, and drop all but the last ten."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = target.with_name(f"{target.name}.backup.{now}")
    _replace(backup, target.read_bytes(), like=target)
    for surplus in backups(target)[:-BACKUPS]:
        with contextlib.suppress(FileNotFoundError):
            surplus.unlink()
    return backup


def _replace(target: Path, content: str | bytes, *, like: Path | None = None) -> None:
    raw = content.encode() if isinstance(content, str) else content
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(_create(temporary, like or target), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in NOT_RENAMED:
            raise
        # A file that is itself a mount point (docker run -v ./config.yaml:/config.yaml) cannot be renamed over.
        _write_in_place(target, raw)
    _flush_folder(target.parent)


def _create(path: Path, model: Path) -> int:
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


def _write_in_place(target: Path, raw: bytes) -> None:
    with target.open("r+b") as file:
        file.write(raw)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
