"""What is a file that may be a model, before anybody has read it?

Names and `stat` only: which files belong together, what a store calls them, and which are plainly not whole.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from claracore.core.gguf.names import SHARD_FILE
from claracore.core.units import counted, gb
from claracore.host.library.model import LeftOut

UNFINISHED: Final = re.compile(
    r"\.gguf[-.](?:part(?:ial)?\d*|crdownload|download|downloadinprogress|incomplete|tmp|temp|opdownload|!qb|!ut|"
    r"aria2|filepart|st)$|(?:^|[\\/])incomplete-[^\\/]*\.gguf$",
    re.IGNORECASE,
)
"""What browsers, aria2, torrent clients, huggingface_hub, llama.cpp and GPT4All call a file while they fetch it."""
ARIA2: Final = ".aria2"
SAFETENSORS: Final = ".safetensors"
HUB_DOWNLOAD: Final = re.compile(r"(?P<org>[^_]+)_(?P<repo>.+?-gguf)_(?P<file>.+)", re.IGNORECASE)
"""A download of llama.cpp's from before it kept the hub's own cache: organisation, repository and file in one name."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Identity of a file's contents, as far as `stat` knows it."""

    size: int
    mtime_ns: int
    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return it from what `stat` says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)

    @property
    def identity(self) -> tuple[int, int]:
        """What two names of one file have in common."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What may be a model: one file, or all shards that belong together."""

    paths: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    shards_expected: int = 1
    missing: tuple[str, ...] = ()
    """Names of shards that should be there."""
    called: PurePath | None = None
    """Folder and name by which it is known, where a store's own path says nothing (a hash)."""
    names: tuple[str, ...] = ()
    """What its store calls it (`llama3.2:3b`)."""
    projector: str | None = None
    """The file with which it sees or hears, where its store says so."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters that its store puts on it."""

    @property
    def place(self) -> PurePath:
        """The path that names it."""
        return self.called or Path(self.paths[0])


@dataclass(slots=True)
class FoundFiles:
    """What a walk found: files of models sorted by path, and what was left out."""

    models: list[ModelFiles] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    """Files that are symbolic links: of two names of one file the real one is preferred."""
    stamps: dict[str, Stamp] = field(default_factory=dict)
    """Files that are not grouped yet, by path."""
    called: dict[str, PurePath] = field(default_factory=dict)

    def note(self, path: str, status: os.stat_result, called: PurePath | None = None) -> None:
        """Note a file that may be a model, or why it is none."""
        if UNFINISHED.search(path):
            if not path.lower().endswith(ARIA2):
                self.leave_out(path, "an unfinished download")
        elif not stat.S_ISREG(status.st_mode):
            self.leave_out(path, "not a regular file")
        elif os.path.exists(path + ARIA2):  # noqa: PTH110 - hot
            self.leave_out(path, "an unfinished download (aria2's control file is beside it)")
        else:
            self.stamps[path] = Stamp.of(status)
            if called is not None:
                self.called[path] = called
            elif (match := HUB_DOWNLOAD.fullmatch(os.path.basename(path))) is not None:  # noqa: PTH119 - hot
                self.called[path] = PurePath(match["org"], match["repo"], match["file"])

    def leave_out(self, path: str | Path, reason: str) -> None:
        """Note why something is passed over."""
        self.left_out.append(LeftOut(Path(path), reason))

    def settle(self) -> None:
        """Put shards together, and everything into order."""
        self.models = sorted([*self.models, *_grouped(self.stamps, self.called)], key=lambda files: files.paths)
        self.left_out.sort(key=lambda left: left.path)


def _grouped(stamps: Mapping[str, Stamp], called: Mapping[str, PurePath]) -> Iterator[ModelFiles]:
    """Put shards together; every other file stands alone."""
    sharded: dict[tuple[str, str, int], dict[int, str]] = {}
    for path, stamp in stamps.items():
        folder, name = os.path.split(path)
        match = SHARD_FILE.match(name)
        if match is None or not 1 <= int(match["number"]) <= int(match["count"]):
            yield ModelFiles((path,), (stamp,), called=called.get(path))
        else:
            group = sharded.setdefault((folder, match["stem"], int(match["count"])), {})
            group[int(match["number"])] = path
    for (_, stem, count), group in sharded.items():
        paths = tuple(group[number] for number in sorted(group))
        missing = _missing_names(stem, count, group.keys())
        yield ModelFiles(paths, tuple(stamps[path] for path in paths), count, missing, called.get(paths[0]))


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


def no_gguf(sizes: Sequence[int]) -> str:
    """Say what would serve weights in files of these sizes, which are not in GGUF form."""
    what = f"weights in {SAFETENSORS} form ({counted(len(sizes), 'file')}, {gb(sum(sizes))})"
    return (
        f"{what}: llama-server reads GGUF only; vLLM serves them, or convert_hf_to_gguf.py of llama.cpp converts them"
    )
