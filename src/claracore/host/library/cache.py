"""What did we read from the model files before?

One msgpack file: by the path of a model's first file, the (size, mtime) of all its files, what reading them gave, and
the id the model got. A cache that cannot be read, or of another version, is an empty cache; it is only ever a saving.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

import claracore
from claracore.core.gguf import (
    abilities,
    architectures,
    facts,
    header,
    keys,
    layers,
    model,
    names,
    projector,
    quantization,
    tensors,
    types,
    widths,
)
from claracore.host.disk import keep_private
from claracore.host.library import read
from claracore.host.library.found_files import ModelFiles

FORMAT: Final = 2
FILE: Final = "library.cache"


class CachedModel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of one model."""

    files: tuple[tuple[str, int, int], ...]
    """Path, size and mtime_ns of each shard."""
    reading: read.ModelReading
    id: str | None = None
    marks: dict[str, str] = {}
    """What `copies` has seen in the files, by what was looked for."""


class _File(msgspec.Struct, array_like=True):
    version: str
    entries: dict[str, CachedModel]


@functools.cache
def _version() -> str:
    """Return a mark that changes when the rules for reading do, so that no stale facts survive an upgrade."""
    meaning = (abilities, architectures, facts, keys, layers, model, names, projector, quantization, widths)
    rules = (*meaning, header, tensors, types, read)
    try:
        sources = b"".join(Path(module.__file__ or "").read_bytes() for module in rules)
    except OSError:  # not installed as files
        sources = claracore.__version__.encode()
    return f"{FORMAT}-{hashlib.blake2b(sources, digest_size=8).hexdigest()}"


class ReadingCache:
    """Readings by (path, size, mtime). `path=None` remembers for as long as the object lives."""

    def __init__(self, path: Path | None = None, *, keep: bool = True) -> None:
        """Read what was remembered; without `keep` nothing is written."""
        self.path = path
        self._keep = keep
        self._version = _version()
        self._entries = self._load()
        self._changed = False

    @classmethod
    def in_folder(cls, state_dir: Path | None, *, keep: bool = True) -> Self:
        """Return the one that is kept in the state folder; without one, for as long as the object lives."""
        return cls(state_dir / FILE if state_dir is not None else None, keep=keep)

    def get(self, files: ModelFiles) -> read.ModelReading | None:
        """Return what was read before, if the files are the same as then."""
        entry = self._entries.get(files.paths[0])
        return entry.reading if entry is not None and entry.files == _files_of(files) else None

    def grew(self, files: ModelFiles) -> bool:
        """Whether a file had fewer bytes when it was read before: it is written from its beginning to its end."""
        entry = self._entries.get(files.paths[0])
        before = {path: size for path, size, _ in entry.files} if entry is not None else {}
        return any(before.get(path, size) < size for path, size, _ in _files_of(files))

    def put(self, files: ModelFiles, reading: read.ModelReading) -> None:
        """Remember what was read."""
        earlier = self._entries.get(files.paths[0])
        entry = CachedModel(_files_of(files), reading, earlier.id if earlier else None)
        self._entries[files.paths[0]] = entry
        self._changed = True

    def mark(self, files: ModelFiles, look: Callable[[Sequence[str]], str]) -> str:
        """Return what `look` says of files that have been read; they are looked at once."""
        entry = self._entries.get(files.paths[0])
        if entry is None or entry.files != _files_of(files):
            return look(files.paths)
        if (known := entry.marks.get(look.__name__)) is None:
            known = look(files.paths)
            marks = {**entry.marks, look.__name__: known}
            self._entries[files.paths[0]] = msgspec.structs.replace(entry, marks=marks)
            self._changed = True
        return known

    def ids(self) -> dict[str, str]:
        """Return the ids that models had in the last scan, by the path of their first file."""
        return {path: entry.id for path, entry in self._entries.items() if entry.id is not None}

    def keep_ids(self, ids: dict[str, str]) -> None:
        """Remember the ids that a scan gave."""
        for path, model_id in ids.items():
            entry = self._entries.get(path)
            if entry is not None and entry.id != model_id:
                self._entries[path] = msgspec.structs.replace(entry, id=model_id)
                self._changed = True

    def forget_others(self, paths: set[str], folders: list[str]) -> None:
        """Forget files in `folders` that are not among `paths`: they are gone."""
        tops = tuple(os.path.join(folder, "") for folder in folders)  # noqa: PTH118 - with a separator at the end
        gone = [path for path in self._entries if path not in paths and path.startswith(tops)]
        for path in gone:
            del self._entries[path]
            self._changed = True

    def save(self) -> None:
        """Write the cache if it changed; a disk that refuses costs only the saving."""
        if self.path is None or not self._changed or not self._keep:
            return
        with contextlib.suppress(OSError):
            keep_private(self.path, msgspec.msgpack.encode(_File(self._version, self._entries)), flush=False)
            self._changed = False

    def _load(self) -> dict[str, CachedModel]:
        if self.path is None:
            return {}
        try:
            data = self.path.read_bytes()
        except OSError:
            return {}
        try:
            stored = msgspec.msgpack.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return stored.entries if stored.version == self._version else {}


def _files_of(files: ModelFiles) -> tuple[tuple[str, int, int], ...]:
    return tuple((path, stamp.size, stamp.mtime_ns) for path, stamp in zip(files.paths, files.stamps, strict=True))
