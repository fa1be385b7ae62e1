"""Which models are on this machine already, and who keeps them?

The folders that programs are known to use (`store_places`), and what lies near the top of data disks (`data_disks`).
All is looked at where it is: a store keeps its owner, and nothing in it is moved, renamed, deleted or written. A place
that does not answer (a network drive that is gone) is given up after a few seconds, and not asked again while it hangs.
Blocking.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from claracore.host.library.cache import ReadingCache
from claracore.host.library.data_disks import DISK, data_disks, model_folders
from claracore.host.library.found_files import FoundFiles
from claracore.host.library.model import LeftOut, Library, LibraryModel
from claracore.host.library.scan import Progress, scan
from claracore.host.library.store_places import OLLAMA, StorePlace, Whereabouts, places, user_whereabouts
from claracore.host.library.walk import walk
from claracore.host.state import home_folder

PATIENCE_SECONDS: Final = 3.0
"""How long a place may be silent before it is given up."""
READING_SECONDS: Final = 20.0
"""The same while headers are read: a disk that sleeps takes ten to wake."""
Answer = TypeVar("Answer")
Beat = Callable[[], None]
"""Called whenever something has been done."""


@dataclass(frozen=True, slots=True)
class ModelStore:
    """A folder with models, and whose it is. `bytes` are those of the models' files, projectors included."""

    store: str
    path: Path
    models: tuple[LibraryModel, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class FoundStores:
    """All models of this machine by who keeps them, each counted where it lies; `models` has each once."""

    stores: tuple[ModelStore, ...]
    unusable: tuple[LeftOut, ...]
    """Places that are there but cannot be looked at."""
    models: tuple[LibraryModel, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """What was passed over in all places, also in those without models."""

    @property
    def bytes(self) -> int:
        """Bytes of all models, copies counted once."""
        return sum(map(_size, self.models))


class _Look(threading.Thread, Generic[Answer]):
    """Something that may hang, in a thread that is left behind when it does."""

    def __init__(self, task: Callable[[Beat], Answer]) -> None:
        super().__init__(daemon=True, name="look at models")
        self._task = task
        self._heard = time.monotonic()
        self.answer: Answer | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._task(self._beat)

    def _beat(self) -> None:
        self._heard = time.monotonic()

    def wait(self, patience: float) -> Answer | None:
        """Return the answer; None when it was silent for too long."""
        while self.is_alive() and (left := self._heard + patience - time.monotonic()) > 0:
            self.join(left)
        return None if self.is_alive() else self.answer


@dataclass(slots=True)
class StoreFinder:
    """Finds the stores of this machine; remembers which places hang."""

    around: Callable[[], Whereabouts] = field(default=lambda: user_whereabouts(home_folder()))
    disks: Callable[[Path], Sequence[Path]] = data_disks
    patience: float = PATIENCE_SECONDS
    _hanging: dict[Path, threading.Thread] = field(default_factory=dict)

    def find(self, cache: ReadingCache, on_progress: Progress | None = None) -> FoundStores:
        """Look at all places. `on_progress` is called in another thread."""
        around = self.around()
        unusable: list[LeftOut] = []
        there = self._there([*places(around), *self._on_disks(around, unusable)], unusable)
        if not there:
            return FoundStores((), tuple(unusable))
        folders = [place.path for place in there]

        def read(beat: Beat) -> Library:
            def told(done: int, count: int, path: Path) -> None:
                beat()
                if on_progress is not None:
                    on_progress(done, count, path)

            return scan(folders, cache=cache, on_progress=told, missing_ok=True)

        library = _Look(read).wait(READING_SECONDS)
        if library is None:
            silent = (LeftOut(place.path, "does not answer while its models are read") for place in there)
            return FoundStores((), (*unusable, *silent))
        return FoundStores(_by_store(there, library), tuple(unusable), library.models, library.left_out)

    def _on_disks(self, around: Whereabouts, unusable: list[LeftOut]) -> list[StorePlace]:
        disks = [disk for disk in self.disks(around.home) if not self._hangs(disk)]
        looks = {disk: _Look(partial(model_folders, disk)) for disk in disks}
        found = self._answers(looks, unusable)
        return [StorePlace(DISK, folder) for folders in found.values() for folder in folders]

    def _there(self, wanted: Sequence[StorePlace], unusable: list[LeftOut]) -> list[StorePlace]:
        """Return the places that are folders with models, or what might be some, in them; each folder once."""
        asked = [place for place in wanted if not self._hangs(place.path)]
        looks = {place.path: _Look(partial(_names, place.path)) for place in asked}
        found = self._answers(looks, unusable)
        stores = {place.path: place.store for place in asked}
        there: list[StorePlace] = []
        known: set[tuple[int, int]] = set()
        for path, names in found.items():
            if isinstance(names, str):
                unusable += [LeftOut(path, _way_in(stores[path], names))] if names else []
            elif names.models or names.left_out:
                status = path.stat()
                if (status.st_dev, status.st_ino) not in known:
                    known.add((status.st_dev, status.st_ino))
                    there.append(StorePlace(stores[path], path))
        return there

    def _answers(self, looks: Mapping[Path, _Look[Answer]], unusable: list[LeftOut]) -> dict[Path, Answer]:
        answers: dict[Path, Answer] = {}
        for path, look in looks.items():
            answer = look.wait(self.patience)
            if answer is not None:
                answers[path] = answer
            elif look.is_alive():
                self._hanging[path] = look
                unusable.append(LeftOut(path, "does not answer: a drive that is gone, or asleep"))
        return answers

    def _hangs(self, path: Path) -> bool:
        return path in self._hanging and self._hanging[path].is_alive()


def _names(path: Path, beat: Beat) -> FoundFiles | str:
    """Return which files are there, or why nobody may look; no reason where there is nothing."""
    try:
        with os.scandir(path):
            pass
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return walk([path], missing_ok=True, heard=beat)


def _way_in(store: str, reason: str) -> str:
    """Say what lets this user look at a store."""
    if store == OLLAMA and reason == os.strerror(13):
        return f"{reason}: its models are another user's; `sudo usermod -aG ollama $USER`, and log in again, lets you"
    return reason


def _by_store(there: Sequence[StorePlace], library: Library) -> tuple[ModelStore, ...]:
    """Say which models lie in which place: in the innermost where places lie in one another."""
    inner = sorted(((os.path.realpath(place.path), place) for place in there), key=lambda each: -len(each[0]))
    models: dict[StorePlace, dict[str, LibraryModel]] = {}
    for model in library.models:
        for path in (model.path, *model.copies):
            folder = os.path.realpath(path.parent)
            owner = next((place for top, place in inner if folder == top or folder.startswith(top + os.sep)), None)
            if owner is not None:
                models.setdefault(owner, {})[model.id] = model
    return tuple(
        ModelStore(place.store, place.path, tuple(found.values()), sum(map(_size, found.values())))
        for place in there
        if (found := models.get(place, {}))
    )


def _size(model: LibraryModel) -> int:
    return model.facts.file_bytes + (model.projector.facts.file_bytes if model.projector is not None else 0)


def names_of(stores: Iterable[ModelStore]) -> str:
    """Return who keeps them, in words: `LM Studio, Ollama and Jan`."""
    names = list(dict.fromkeys(store.store for store in stores))
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
