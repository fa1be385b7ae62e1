"""Which files do the models need that this machine shares, and what are they called among the machines? Blocking.

Their paths go from the commands, and what stands for them comes in. Where a file came from on the hub, and its
checksum, is known of what was downloaded here, and of what is in the hub's own cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final, Protocol

from claracore.core.cluster.elsewhere import FoundSet, SoughtFile, SoughtSet
from claracore.core.cluster.named_files import all_shards, named_paths, names_for, source_in_cache, with_names
from claracore.core.cluster.part import Fetch, SharedFile, SharedModel
from claracore.core.cluster.shared import SharedOut
from claracore.host.cluster.shared_files import SharedFiles, looked_at
from claracore.host.library.download import Download, DownloadStatus, DownloadStore

_SHA256: Final = re.compile(r"(?:sha256-)?([0-9a-f]{64})")


class FilesElsewhere(Protocol):
    """Which files nodes have (`files_elsewhere.FilesOfNodes`)."""

    def found(self) -> Mapping[str, FoundSet]:
        """Return what nodes have, by the first path of each set. Blocking, the first time."""

    def seek(self, sought: tuple[SoughtSet, ...]) -> None:
        """Look for these from now on, and for no others. In whichever thread."""


class ModelRoots(Protocol):
    """Where this machine has its models (`held_files.Shelves`)."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders below which a file's path says what it is."""


@dataclass(frozen=True, slots=True)
class FilesOfModels:
    """Puts files in place of the paths that shared models name, and has them given to nodes.

    What is not here, and may be fetched from here, is looked for on nodes.
    """

    shelves: ModelRoots
    store: DownloadStore
    files: SharedFiles
    elsewhere: FilesElsewhere

    def __call__(self, shared: tuple[SharedOut, ...]) -> tuple[SharedOut, ...]:
        """Return the models with their files; a file that cannot be read stays the path that it is."""
        naming = _Naming(self.shelves.roots, self.store.load() if shared else [], self.elsewhere.found())
        found = tuple(replace(each, model=naming.with_files(each.model)) for each in shared)
        self.elsewhere.seek(tuple(naming.sought.values()))
        away = {each.model.name: tuple(naming.away.intersection(each.model.files)) for each in found}
        self.files.share(naming.files, {name: files for name, files in away.items() if files})
        return found


class _Naming:
    """Names of files, each for one file."""

    def __init__(self, roots: tuple[Path, ...], downloads: Iterable[Download], there: Mapping[str, FoundSet]) -> None:
        """`there` are files that nodes have, by the first path of each set."""
        self.files: dict[SharedFile, Path] = {}
        self.away: set[SharedFile] = set()
        """Files that nodes have, and this machine has not."""
        self.sought: dict[str, SoughtSet] = {}
        self._there = there
        self._roots: tuple[PurePath, ...] = roots
        self._known: dict[Path, SharedFile] = {}
        self._names: set[str] = set()
        self._downloaded = {path: (each, number) for each in downloads if each.status is DownloadStatus.FINISHED
                            for number, path in enumerate(each.paths)}  # fmt: skip

    def with_files(self, model: SharedModel) -> SharedModel:
        cmd = model.entry.get("cmd")
        if not isinstance(cmd, str):
            return model
        names: dict[str, str] = {}
        files: list[SharedFile] = []
        for written in dict.fromkeys(each.path for each in named_paths(cmd)):
            path = Path(os.path.abspath(os.path.expanduser(written)))  # noqa: PTH100, PTH111 - links stay
            shards = all_shards(path)
            try:
                is_here = model.fetch is not Fetch.HEAD or all(map(os.path.exists, shards))
                found = [self._file(Path(each)) for each in shards] if is_here else self._elsewhere(shards)
            except (OSError, ValueError):
                continue
            names[written] = found[shards.index(path)].name
            files += found
        entry = {**model.entry, "cmd": with_names(cmd, names)}
        return replace(model, entry=entry, files=tuple(dict.fromkeys(files)))

    def _file(self, path: Path) -> SharedFile:
        """Return a file as it is announced. Raises OSError."""
        if (known := self._known.get(path)) is not None:
            return known
        look = looked_at(path, self._roots)
        source, sha256 = self._origin(path)
        file = SharedFile(self._name(path, look.header), look.size, look.header, sha256, source, str(path))
        self._known[path] = file
        self.files[file] = path
        return file

    def _elsewhere(self, paths: Sequence[PurePath]) -> list[SharedFile]:
        """Return files that are not here as a node has them; have them looked for. None where no node has them."""
        self.sought[str(paths[0])] = tuple(SoughtFile(next(names_for(path, self._roots)), str(path)) for path in paths)
        files = []
        for path, found in zip(paths, self._there.get(str(paths[0]), ()), strict=False):
            known = self._known.get(Path(path))
            file = known or SharedFile(
                self._name(Path(path), found.header), found.size, found.header, found.sha256, path=str(path)
            )
            self._known[Path(path)] = file
            files.append(file)
        if len(files) != len(paths):
            raise FileNotFoundError
        self.away.update(files)
        return files

    def _name(self, path: Path, header: str) -> str:
        for name in names_for(path, self._roots):
            if name.casefold() not in self._names:
                break
        else:
            name = f"{header[:12]}/{name}"
        self._names.add(name.casefold())
        return name

    def _origin(self, path: Path) -> tuple[str, str]:
        """Return where a file came from on the hub, and its checksum, each as far as it is known."""
        if (found := self._downloaded.get(path)) is not None:
            download, number = found
            reference, remote = download.reference, download.files[number].remote
            revision = "" if reference.revision == "main" else f"@{reference.revision}"
            is_on_hub = reference.source == "hub" and "/" not in revision
            return f"{reference.repo}{revision}/{remote.path}" if is_on_hub else "", remote.sha256 or ""
        match = _SHA256.fullmatch(Path(os.path.realpath(path)).name)
        return source_in_cache(path), match[1] if match is not None else ""
