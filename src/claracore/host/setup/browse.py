"""Which folders are on this machine, for a person who looks for model files? Blocking."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from claracore.errors import BadRequest, NotFound
from claracore.host.state import home_folder

MOST_FOLDERS = 2_000
MOST_FILES = 20_000
"""Of a folder, so many entries are looked at when its models are counted."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, and how many model files lie directly in it (not below)."""

    name: str
    path: str
    models: int


@dataclass(frozen=True, slots=True)
class Browsed:
    """A folder with the folders in it; `roots` are places to begin at."""

    path: str
    parent: str | None
    folders: list[Folder]
    roots: list[str]


def browse(path: str | None) -> Browsed:
    """Look into a folder; None is the home folder. Hidden folders are not shown. Raises NotFound."""
    path = path or str(home_folder())
    try:
        folder = expanded(path).resolve(strict=True)
        entries = sorted(
            (entry for entry in os.scandir(folder) if _is_folder(entry)), key=lambda entry: entry.name.lower()
        )
    except (OSError, ValueError) as error:
        raise NotFound(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    shown = [entry for entry in entries if not entry.name.startswith(".")][:MOST_FOLDERS]
    return Browsed(
        path=str(folder),
        parent=str(folder.parent) if folder.parent != folder else None,
        folders=[Folder(entry.name, entry.path, _models_in(Path(entry.path))) for entry in shown],
        roots=_roots(),
    )


def expanded(path: str) -> Path:
    """Return the path with `~` and `~user` replaced.

    Raises NotFound for a user that is not there, BadRequest for a path that depends on where this server was started.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError as error:
        raise NotFound(f"{path}: {error}") from error
    if not found.is_absolute():
        raise BadRequest(f"{path!a} is no whole path: it has to begin at the top, or with ~")
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _models_in(folder: Path) -> int:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sum(entry.name.endswith(".gguf") for entry, _ in zip(entries, range(MOST_FILES), strict=False))
    return 0


def _roots() -> list[str]:
    """Return the home folder and what is mounted, without the system's own."""
    mounts = {
        part.mountpoint for part in psutil.disk_partitions() if not part.mountpoint.startswith(("/boot", "/snap"))
    }
    return list(dict.fromkeys([str(home_folder()), *sorted(path for path in mounts if Path(path).is_dir())]))
