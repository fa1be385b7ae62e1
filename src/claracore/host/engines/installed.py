"""Where are engines that were installed here, and how does one come and go as a whole?

`$XDG_DATA_HOME/claracore/engines/NAME-VERSION-BACKEND/`, one folder a build, with what is known of it in `engine.json`.
A build is made ready in a folder beside (`.new-...`) and gets its name by one rename; it goes by one rename to
`.gone-...`. What a process that was killed has left of either is removed by the next one that installs. Which build is
in use stands in `use.json`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from claracore.core.engines.installed import EngineUse, InstalledEngine, is_engine_id
from claracore.core.engines.rollback import Proof
from claracore.errors import ClaraCoreError, Conflict, disk_full
from claracore.host.engines.folder import USE
from claracore.host.locks import locked
from claracore.host.state_file import StateFile, typed

METADATA: Final = "engine.json"
LOADED: Final = "loaded.json"
MOST_PROOFS: Final = 500
DOWNLOADS: Final = ".downloads"
_NEW: Final = ".new-"
_GONE: Final = ".gone-"
_CHANGE_LOCK: Final = ".change.lock"
INSTALL_LOCK: Final = ".install.lock"

Kind = TypeVar("Kind")
logger = logging.getLogger("claracore.engines")


class EnginesFolderUnusable(ClaraCoreError):
    """The folder of engines cannot be used; 409."""

    status = 409
    type = "invalid_request_error"
    code = "folder_unusable"
    cause = "The folder for engines cannot be made or written to."
    way_out = "Correct its rights, or set `XDG_DATA_HOME` to a folder that can be written to."


class EngineFolders:
    """The builds in one folder. Blocking, for any thread and several processes."""

    def __init__(self, root: Path | None) -> None:
        """Take the folder; None where this user has no place for one: then nothing is installed, and nothing can be."""
        self._root = root

    @property
    def root(self) -> Path:
        """The folder. Raises EnginesFolderUnusable where there is no place for one."""
        if self._root is None:
            raise EnginesFolderUnusable("this user has no home folder; set XDG_DATA_HOME to a folder for engines")
        return self._root

    @property
    def name(self) -> str | None:
        """What the folder is called; None where there is no place for one."""
        return str(self._root) if self._root is not None else None

    def engines(self) -> list[InstalledEngine]:
        """Return what is installed, the newest last."""
        if self._root is None:
            return []
        try:
            names = [name for name in os.listdir(self._root) if is_engine_id(name)]  # noqa: PTH208 - names are enough
        except OSError:
            return []
        found = [engine for name in names if (engine := self._read(name)) is not None]
        return sorted(found, key=lambda engine: (engine.installed_at, engine.id))

    def _read(self, name: str) -> InstalledEngine | None:
        engine = _metadata(self.root / name).read()
        return engine if engine is not None and engine.id == name and _stays_inside(engine.binary) else None

    def find(self, id_: str) -> InstalledEngine | None:
        """Return the build with this id; None where there is none."""
        return self._read(id_) if self._root is not None and is_engine_id(id_) else None

    def proofs(self, engine: InstalledEngine) -> list[Proof]:
        """Return which starts have become ready with a build."""
        return self._loaded(engine).read() or []

    def keep_proofs(self, engine: InstalledEngine, proofs: list[Proof]) -> None:
        """Write them down, the newest; where that cannot be, they are not known later."""
        self._loaded(engine).save(proofs[-MOST_PROOFS:])

    def _loaded(self, engine: InstalledEngine) -> StateFile[list[Proof]]:
        path = self.root / engine.id / LOADED
        return file_of_engines(path, list[Proof], without="it is not known what this build has loaded")

    def use(self) -> EngineUse:
        """Return which builds are in use; those that are not there any more are left out."""
        if self._root is None:
            return EngineUse()
        use = self._use_file(self._root).read() or EngineUse()
        return use.of({id_ for id_ in (*use.current.values(), *use.previous.values()) if self._is_there(id_)})

    def _is_there(self, id_: str) -> bool:
        return self.find(id_) is not None

    def in_use(self, name: str) -> InstalledEngine | None:
        """Return the build of an engine that is in use."""
        return self.find(self.use().current.get(name, ""))

    def program(self, engine: InstalledEngine) -> Path:
        """Return the file to start."""
        return self.root / engine.id / engine.binary

    def keep_use(self, use: EngineUse) -> None:
        """Write which builds are in use. Raises DiskFull, EnginesFolderUnusable."""
        with self.writing():
            self._use_file(self.root).write(use)

    def _use_file(self, root: Path) -> StateFile[EngineUse]:
        return file_of_engines(root / USE, EngineUse, without="no build is in use")

    def use_none(self) -> None:
        """Have no build in use: PATH and the embedded engine are asked. Raises as `changing` and `keep_use`."""
        with self.changing():
            self.keep_use(self.use().none())

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off others who change which builds are there or in use, for as long as the block lasts (moments)."""
        with self.writing():
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root / _CHANGE_LOCK):
                yield

    @contextlib.contextmanager
    def new_folder(self) -> Iterator[Path]:
        """Give an empty folder beside the builds; it is removed after the block, unless `put` has renamed it."""
        with self.writing():
            folder = self.root / f"{_NEW}{secrets.token_hex(6)}"
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, folder: Path, engine: InstalledEngine) -> None:
        """Make a folder that is complete a build. Raises Conflict when there is one of this name, DiskFull."""
        with self.writing():
            _metadata(folder).write(engine)
            _flush(folder)
            with self.changing():
                if self._is_there(engine.id):
                    raise Conflict(f"{engine.id} is installed already")
                target = self.root / engine.id
                if target.exists():  # without metadata: not by us, or damaged
                    target.rename(self.root / f"{_GONE}{secrets.token_hex(6)}")
                folder.rename(target)

    def remove(self, engine: InstalledEngine) -> None:
        """Delete a build, at once for whoever looks. The caller has `changing`. Raises EnginesFolderUnusable."""
        with self.writing():
            gone = self.root / f"{_GONE}{secrets.token_hex(6)}"
            (self.root / engine.id).rename(gone)
            self.keep_use(self.use())
        shutil.rmtree(gone, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what killed processes have left; the caller has the lock on INSTALL_LOCK."""
        try:
            names = os.listdir(self.root)  # noqa: PTH208 - as above
        except OSError:
            return
        for name in names:
            if name.startswith((_NEW, _GONE)):
                logger.info("removing %s, which a process that was killed has left", name)
                shutil.rmtree(self.root / name, ignore_errors=True)

    def size(self, folder: Path) -> int:
        """Return the bytes of all files below a folder; links count nothing."""
        return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Say what is wrong with the disk or the folder. Raises DiskFull, EnginesFolderUnusable for any OSError."""
        try:
            yield
        except OSError as error:
            raise disk_full(self.root, error) or EnginesFolderUnusable(
                f"{self.root} cannot be written: {error.strerror or error}"
            ) from error


def file_of_engines(path: Path, kind: type[Kind], *, without: str) -> StateFile[Kind]:
    """Return a file of this folder, which other users may read who may look into it."""
    return StateFile(path, typed(kind), without=without, flush=True, private=False)


def _metadata(folder: Path) -> StateFile[InstalledEngine]:
    return file_of_engines(folder / METADATA, InstalledEngine, without="there is no build")


def _stays_inside(path: str) -> bool:
    return bool(path) and not Path(path).is_absolute() and ".." not in Path(path).parts


def _flush(folder: Path) -> None:
    """Have what was unpacked on the disk before the folder gets its name: a power cut leaves a whole build or none."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
