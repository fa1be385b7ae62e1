"""Which conversations are kept in this folder?

A folder for each model, with what the engine has written and a list of it. What is not on the list is a save that was
cut off. Every method is for a thread where the folder is on a disk: nothing here waits for anything but it.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claracore.core.conversations.kept import KeptConversation
from claracore.host.disk import private_folder
from claracore.host.state_file import StateFile, typed

LIST: Final = "list.json"
SUFFIX: Final = ".state"


@dataclass(slots=True)
class NewFile:
    """A file that an engine writes to."""

    path: Path
    wanted: bool = False
    """Whether it is whole, and going to be listed."""


class ConversationStore:
    """The conversations in one folder; for any thread."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; a list that cannot be read is that of nothing."""
        self.folder = folder
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[KeptConversation, ...]] = {}
        self._being_written: set[Path] = set()
        for path in folder.glob(f"*/{LIST}"):
            whole = tuple(one for one in _list_in(path.parent).read() or () if self.is_whole(one))
            if whole and self.folder_of(whole[0].model) == path.parent:
                self._kept[whole[0].model] = whole
        for path in folder.iterdir():
            if path.is_dir() and path.name not in {_name(model) for model in self._kept}:
                shutil.rmtree(path, ignore_errors=True)

    def folder_of(self, model: str) -> Path:
        """Return the folder of a model's conversations."""
        return self.folder / _name(model)

    def of(self, model: str) -> tuple[KeptConversation, ...]:
        """Return a model's conversations."""
        return self._kept.get(model, ())

    def __iter__(self) -> Iterator[KeptConversation]:
        """Give all conversations."""
        return (one for kept in tuple(self._kept.values()) for one in kept)

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return sum(one.size for one in self)

    def prepare(self, model: str) -> Path:
        """Make a model's folder, without what is not on its list; returns it. Raises OSError.

        Nobody writes into it now.
        """
        folder = self.folder_of(model)
        private_folder(folder)
        with self._lock:
            self._being_written -= {path for path in self._being_written if path.parent == folder}
            self._sweep(model)
        return folder

    @contextlib.contextmanager
    def new_file(self, model: str, slot: int) -> Iterator[NewFile]:
        """Give a file for an engine to write to, which is no rubbish meanwhile; unless it is wanted it goes then."""
        new = NewFile(self.folder_of(model) / f"{time.time_ns():x}-{slot}{SUFFIX}")
        self._being_written.add(new.path)
        try:
            yield new
        finally:
            if not new.wanted:
                self._being_written.discard(new.path)
                with contextlib.suppress(OSError):
                    new.path.unlink(missing_ok=True)

    def size_of(self, path: Path) -> int:
        """Return how many bytes there are of a new file. Raises OSError."""
        return path.stat().st_size

    def put(self, model: str, kept: Iterable[KeptConversation]) -> None:
        """Have these be a model's conversations; all others of it go. Raises OSError when they cannot be listed."""
        with self._lock:
            wanted = tuple(kept)
            for one in wanted:
                path = self.folder_of(model) / one.file
                path.chmod(0o600)
                self._being_written.discard(path)
            if wanted:
                self._kept[model] = wanted
                _list_in(self.folder_of(model)).write(wanted)
            else:
                self._kept.pop(model, None)
                _list_in(self.folder_of(model)).remove()
            self._sweep(model)

    def drop(self, gone: Iterable[KeptConversation]) -> None:
        """Remove conversations."""
        away = set(gone)
        for model in {one.model for one in away}:
            with contextlib.suppress(OSError):
                self.put(model, [one for one in self.of(model) if one not in away])

    def is_whole(self, one: KeptConversation) -> bool:
        """Whether the file is as long as it was when it was listed."""
        try:
            return (self.folder_of(one.model) / one.file).stat().st_size == one.size
        except OSError:
            return False

    def _sweep(self, model: str) -> None:
        listed = {LIST, *(one.file for one in self.of(model))}
        with contextlib.suppress(OSError):
            for path in self.folder_of(model).iterdir():
                if path.name not in listed and path not in self._being_written:
                    path.unlink(missing_ok=True)


def _list_in(folder: Path) -> StateFile[tuple[KeptConversation, ...]]:
    return StateFile(folder / LIST, typed(tuple[KeptConversation, ...]), without="its conversations are read anew")


def _name(model: str) -> str:
    return hashlib.sha256(model.encode()).hexdigest()[:16]
