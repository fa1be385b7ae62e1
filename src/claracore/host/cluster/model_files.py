"""Which files do the models need that this machine shares, and what are they called among the machines? Blocking.

Their paths go from the commands, and what stands for them comes in. Where a file came from on the hub, and its
checksum, is known of what was downloaded here, and of what is in the hub's own cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final, Protocol

from claracore.core.cluster.named_files import all_shards, named_paths, names_for, source_in_cache, with_names
from claracore.core.cluster.part import SharedFile, SharedModel
from claracore.core.cluster.shared import SharedOut
from claracore.core.cluster.wanted import HEADER_BYTES
from claracore.host.cluster.shared_files import SharedFiles, open_straight
from claracore.host.library.download import Download, DownloadStatus, DownloadStore

GGUF: Final = b"GGUF"
_SHA256: Final = re.compile(r"(?:sha256-)?([0-9a-f]{64})")


class ModelRoots(Protocol):
    """Where this machine has its models (`held_files.Shelves`)."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders below which a file's path says what it is."""


@dataclass(frozen=True, slots=True)
class FilesOfModels:
    """Puts files in place of the paths that shared models name, and has them given to nodes."""

    shelves: ModelRoots
    store: DownloadStore
    files: SharedFiles

    def __call__(self, shared: tuple[SharedOut, ...]) -> tuple[SharedOut, ...]:
        """Return the models with their files; a file that cannot be read stays the path that it is."""
        naming = _Naming(self.shelves.roots, self.store.load() if shared else [])
        found = tuple(replace(each, model=naming.with_files(each.model)) for each in shared)
        self.files.share(naming.files)
        return found


class _Naming:
    """Names of files, each for one file."""

    def __init__(self, roots: tuple[Path, ...], downloads: Iterable[Download]) -> None:
        self.files: dict[SharedFile, Path] = {}
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
                found = [self._file(Path(each)) for each in shards]
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
        size, beginning = self._look(path)
        header = hashlib.sha256(beginning).hexdigest()
        source, sha256 = self._origin(path)
        file = SharedFile(self._name(path, header), size, header, sha256, source, str(path))
        self._known[path] = file
        self.files[file] = path
        return file

    def _look(self, path: Path) -> tuple[int, bytes]:
        """Return size and beginning of a file, of what was looked at and nothing else. Raises OSError.

        A link out of the folders of models has to lead to a model: whoever may write into such a folder could have us
        give away a file that he cannot read himself.
        """
        straight = str(Path(os.path.realpath(path.parent), path.name))
        real = os.path.realpath(straight)  # what is opened, and what is judged: a link may be another one by then
        descriptor = open_straight(real)
        try:
            status, beginning = os.fstat(descriptor), os.pread(descriptor, HEADER_BYTES, 0)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no file")
        is_inside = any(PurePath(real).is_relative_to(os.path.realpath(root)) for root in self._roots)
        if real != straight and not is_inside and not beginning.startswith(GGUF):
            raise OSError(f"{path} leads to {real}, which is no model")
        return status.st_size, beginning

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
