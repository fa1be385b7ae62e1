"""Which files in these folders could be models?

Looks at names and `stat` only. Symbolic links are followed, each folder is entered once; what cannot be looked at is
reported and passed over. Folders that Ollama or the hub's cache keep are known by what is in them, wherever they are:
a file there is found by the name that its owner gives it. Nothing is ever written there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from claracore.errors import NotFound
from claracore.host.library import hub_cache, ollama
from claracore.host.library.found_files import SAFETENSORS, UNFINISHED, FoundFiles, no_gguf

Heard = Callable[[], None]
"""Called for each folder that is entered: a disk that answers is at work."""


class FolderMissing(NotFound):
    """A folder of models that the user named does not exist."""

    code = "folder_not_found"
    cause = "A folder of models that was named does not exist."
    way_out = "Correct the path; where it lies on another disk, mount that."


def walk(folders: Iterable[Path], *, missing_ok: bool = False, heard: Heard | None = None) -> FoundFiles:
    """Look through the folders (a single file is a folder of one), recursively.

    Raises `FolderMissing` when one does not exist, unless `missing_ok`: then it is left out like everything else.
    """
    found = FoundFiles()
    walker = _Walker(found, heard)
    tops: list[tuple[str, os.stat_result]] = []
    for folder in folders:
        path = os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111 - one string per file: hot
        try:
            status = os.stat(path)  # noqa: PTH116 - same
        except ValueError as error:  # no path at all: it has a NUL in it, or half a character
            raise FolderMissing(f"{path!a} cannot be used: {error}") from error
        except OSError as error:
            if not missing_ok:
                raise FolderMissing(f"{path} cannot be used: {error.strerror}") from error
            found.leave_out(path, f"the folder cannot be used: {error.strerror}")
            continue
        if stat.S_ISDIR(status.st_mode):
            tops.append((path, status))
        else:
            found.note(path, status)
    # Folders behind links come last, so that a file is found under its own path if it has one in the folders.
    while tops:
        tops = [link for path, status in tops for link in walker.enter(path, status)]
    found.settle()
    return found


def around(file: Path) -> list[Path]:
    """Return what to walk so that a model file is found as among its neighbours, and by the name its store gives it."""
    file = file.absolute()
    store = file.parent.parent
    try:
        names = set(os.listdir(store)) if file.parent.name == ollama.BLOBS else set()  # noqa: PTH208 - names only
        beside = sorted(path for path in file.parent.iterdir() if _is_model_file(path) and path.name != file.name)
    except OSError:
        return [file]
    if ollama.is_store(names) or hub_cache.is_repository(str(store), names):
        return [store]
    return [file, *beside]


def _is_model_file(path: Path) -> bool:
    return path.name.lower().endswith(".gguf") and path.is_file()


class _Walker:
    """A walk under way; `entered` guards against loops and folders reached twice."""

    def __init__(self, found: FoundFiles, heard: Heard | None) -> None:
        self.found = found
        self.heard = heard
        self.entered: set[tuple[int, int]] = set()

    def enter(self, top: str, status: os.stat_result) -> list[tuple[str, os.stat_result]]:
        """Walk one tree without recursion and return the folders that links in it lead to."""
        waiting = [(top, status)]
        linked: list[tuple[str, os.stat_result]] = []
        while waiting:
            folder, status = waiting.pop()
            if (status.st_dev, status.st_ino) in self.entered:
                continue
            self.entered.add((status.st_dev, status.st_ino))
            if self.heard is not None:
                self.heard()
            entries = self._entries(folder)
            inside, behind_links = self._look(folder, entries)
            waiting += inside
            linked += behind_links
        return linked

    def _look(
        self, folder: str, entries: Sequence[os.DirEntry[str]]
    ) -> tuple[list[tuple[str, os.stat_result]], list[tuple[str, os.stat_result]]]:
        """Note the files of a folder; return the folders in it, and those behind links."""
        kept = {entry.name for entry in entries}
        if ollama.is_store(kept):
            ollama.find(folder, self.found)
            kept -= ollama.OWN_FOLDERS
        elif hub_cache.is_repository(folder, kept):
            hub_cache.find(folder, self.found)
            return [], []
        inside: list[tuple[str, os.stat_result]] = []
        linked: list[tuple[str, os.stat_result]] = []
        others: list[int] = []
        for entry in entries:
            if entry.name not in kept or hub_cache.holds_no_models(entry.name):
                continue
            status = self._status(entry)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                (linked if entry.is_symlink() else inside).append((entry.path, status))
            elif entry.name.lower().endswith(SAFETENSORS):
                others.append(status.st_size)
        if others:
            self.found.leave_out(folder, no_gguf(others))
        return inside, linked

    def _status(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """Note an entry if it looks like a model; return what it is, None when that cannot be said."""
        looks_like_model = entry.name.lower().endswith(".gguf")
        try:
            status = entry.stat()
        except OSError as error:
            if looks_like_model:
                what = "a link that leads nowhere" if entry.is_symlink() else error.strerror
                self.found.leave_out(entry.path, f"cannot be looked at: {what}")
            return None
        if stat.S_ISDIR(status.st_mode):
            if looks_like_model:
                self.found.leave_out(entry.path, "a folder, not a model file")
        elif looks_like_model or UNFINISHED.search(entry.name):
            self.found.note(entry.path, status)
            if entry.is_symlink():
                self.found.links.add(entry.path)
        return status

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.found.leave_out(folder, f"the folder cannot be read: {error.strerror}")
            return []
