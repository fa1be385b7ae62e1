"""Which of the files that the head's models need are on this machine already, wherever they lie? Blocking.

Only files of the right size are opened, and of these only the beginning is read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from claracore.core.cluster.part import SharedFile
from claracore.core.cluster.wanted import HeldFile
from claracore.core.fit.model_paths import model_paths
from claracore.host.cluster.shared_files import header_of
from claracore.host.library.destinations import Destinations
from claracore.host.library.walk import walk


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where this machine has model files."""

    destinations: Destinations

    @property
    def folder(self) -> Path:
        """Where what is fetched goes."""
        return self.destinations.usual()

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that are looked through, the one for what is fetched first."""
        config = self.destinations.configuration.now.config
        paths = model_paths({model.id: model.cmd for model in config.models.values() if model.cmd}).values()
        of_models = (Path(path).parent for path in paths if os.path.isabs(path))  # noqa: PTH117 - text from a command
        return tuple(dict.fromkeys((*self.roots, *of_models)))

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders of models below which a file's path says what it is."""
        return tuple(dict.fromkeys((self.folder, *self.destinations.followed)))


def held_files(files: Iterable[SharedFile], folder: Path, folders: Iterable[Path]) -> list[HeldFile]:
    """Return the files that may be among those that are wanted; those in their place below `folder` come first."""
    wanted = list(files)
    sizes = {file.size for file in wanted}
    found: list[HeldFile] = []
    seen: set[str] = set()
    for path in _candidates(wanted, folder, folders):
        if path not in seen:
            seen.add(path)
            with contextlib.suppress(OSError, ValueError):  # no path at all: it has a NUL in it
                if (size := os.stat(path).st_size) in sizes:  # noqa: PTH116 - one string per file
                    found.append(HeldFile(path, size, header_of(path)))
    return found


def _candidates(wanted: Iterable[SharedFile], folder: Path, folders: Iterable[Path]) -> Iterator[str]:
    for file in wanted:
        yield os.path.normpath(folder / file.name)
    for file in wanted:
        if os.path.isabs(file.path):  # noqa: PTH117 - text from another machine
            yield os.path.normpath(file.path)
    for files in walk(folders, missing_ok=True).models:
        yield from files.paths
