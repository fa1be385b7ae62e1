"""Which files in these folders could be models?

Looks at names and `stat` only. Symbolic links are followed, each folder is entered once; what cannot be looked at is
reported and passed over.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from claracore.core.gguf.names import SHARD_FILE
from claracore.errors import NotFound
from claracore.host.library.model import LeftOut

UNFINISHED: Final = re.compile(
    r"\.gguf[-.](?:part(?:ial)?\d*|crdownload|download|downloadinprogress|incomplete|tmp|temp|opdownload|!qb|!ut|"
    r"aria2|filepart|st)$",
    re.IGNORECASE,
)
"""What browsers, aria2, torrent clients, huggingface_hub and llama.cpp call a file while they fetch it."""
ARIA2: Final = ".aria2"


class FolderMissing(NotFound):
    """A folder of models that the user named does not exist."""

    code = "folder_not_found"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Identity of a file's contents, as far as `stat` knows it."""

    size: int
    mtime_ns: int
    device: int
    inode: int

    @property
    def identity(self) -> tuple[int, int]:
        """What two names of one file have in common."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What may be a model: one `.gguf` file, or all shards that belong together."""

    paths: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    shards_expected: int = 1
    missing: tuple[str, ...] = ()
    """Names of shards that should be there."""


@dataclass(slots=True)
class FoundFiles:
    """What a walk found: files of models sorted by path, and what was left out."""

    models: list[ModelFiles] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    """Files that are symbolic links: of two names of one file the real one is preferred."""


def walk(folders: Iterable[Path], *, missing_ok: bool = False) -> FoundFiles:
    """Look through the folders (a single file is a folder of one), recursively.

    Raises `FolderMissing` when one does not exist, unless `missing_ok`: then it is left out like everything else.
    """
    found = FoundFiles()
    stamps: dict[str, Stamp] = {}
    entered: set[tuple[int, int]] = set()
    tops: list[tuple[str, os.stat_result]] = []
    for folder in folders:
        path = os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111 - one string per file: hot
        try:
            status = os.stat(path)  # noqa: PTH116 - same
        except OSError as error:
            if not missing_ok:
                raise FolderMissing(f"the models folder {path} cannot be used: {error.strerror}") from error
            found.left_out.append(LeftOut(Path(path), f"the folder cannot be used: {error.strerror}"))
            continue
        if stat.S_ISDIR(status.st_mode):
            tops.append((path, status))
        else:
            _note_file(path, status, stamps, found)
    # Folders behind links come last, so that a file is found under its own path if it has one in the folders.
    while tops:
        tops = [link for path, status in tops for link in _enter(path, status, stamps, entered, found)]
    found.models = sorted(_grouped(stamps), key=lambda files: files.paths)
    found.left_out.sort(key=lambda left: left.path)
    return found


def _enter(
    top: str, status: os.stat_result, stamps: dict[str, Stamp], entered: set[tuple[int, int]], found: FoundFiles
) -> list[tuple[str, os.stat_result]]:
    """Walk one tree without recursion and return the folders that links in it lead to.

    `entered` guards against loops and folders reached twice.
    """
    waiting = [(top, status)]
    linked: list[tuple[str, os.stat_result]] = []
    while waiting:
        folder, status = waiting.pop()
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        for entry in _entries(folder, found):
            looks_like_model = entry.name.lower().endswith(".gguf")
            try:
                status = entry.stat()
            except OSError as error:
                if looks_like_model:
                    what = "a link that leads nowhere" if entry.is_symlink() else error.strerror
                    found.left_out.append(LeftOut(Path(entry.path), f"cannot be looked at: {what}"))
                continue
            if stat.S_ISDIR(status.st_mode):
                (linked if entry.is_symlink() else waiting).append((entry.path, status))
                if looks_like_model:
                    found.left_out.append(LeftOut(Path(entry.path), "a folder, not a model file"))
            elif looks_like_model or UNFINISHED.search(entry.name):
                _note_file(entry.path, status, stamps, found)
                if entry.is_symlink():
                    found.links.add(entry.path)
    return linked


def _entries(folder: str, found: FoundFiles) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.left_out.append(LeftOut(Path(folder), f"the folder cannot be read: {error.strerror}"))
        return []


def _note_file(path: str, status: os.stat_result, stamps: dict[str, Stamp], found: FoundFiles) -> None:
    if UNFINISHED.search(path):
        if not path.lower().endswith(ARIA2):
            found.left_out.append(LeftOut(Path(path), "an unfinished download"))
    elif not stat.S_ISREG(status.st_mode):
        found.left_out.append(LeftOut(Path(path), "not a regular file"))
    elif os.path.exists(path + ARIA2):  # noqa: PTH110 - hot
        found.left_out.append(LeftOut(Path(path), "an unfinished download (aria2's control file is beside it)"))
    else:
        stamps[path] = Stamp(status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)


def _grouped(stamps: dict[str, Stamp]) -> Iterator[ModelFiles]:
    """Put shards together; every other file stands alone."""
    sharded: dict[tuple[str, str, int], dict[int, str]] = {}
    for path, stamp in stamps.items():
        folder, name = os.path.split(path)
        match = SHARD_FILE.match(name)
        if match is None or not 1 <= int(match["number"]) <= int(match["count"]):
            yield ModelFiles((path,), (stamp,))
        else:
            group = sharded.setdefault((folder, match["stem"], int(match["count"])), {})
            group[int(match["number"])] = path
    for (_, stem, count), group in sharded.items():
        paths = tuple(group[number] for number in sorted(group))
        missing = _missing_names(stem, count, group.keys())
        yield ModelFiles(paths, tuple(stamps[path] for path in paths), count, missing)


def _missing_names(stem: str, count: int, numbers: Iterable[int]) -> tuple[str, ...]:
    """Name the first missing shards; a count of 99999 is not worth a list of that length."""
    there = set(numbers)
    missing: list[str] = []
    for number in range(1, count + 1):
        if number not in there:
            missing.append(f"{stem}-{number:05d}-of-{count:05d}.gguf")
        if len(missing) == 20:
            break
    return tuple(missing)
