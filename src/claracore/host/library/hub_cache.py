"""Which model files does a repository in the hub's cache hold, under which names?

`models--ORG--REPO/snapshots/COMMIT/FILE` is a link to `blobs/HASH` (where links cannot be made, the file itself);
`refs/NAME` says which commit a branch is at. A file is known by its name in a snapshot; a blob by itself is no model.
llama.cpp (since #20775), huggingface_hub, vLLM and transformers share this cache. Nothing is written here.

https://huggingface.co/docs/hub/local-cache; llama.cpp's `common/hf-cache.cpp`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePath
from typing import Final

from claracore.host.library.found_files import SAFETENSORS, FoundFiles, no_gguf

PREFIX: Final = "models--"
NO_MODELS: Final = ("datasets--", "spaces--")
KEPT_ASIDE: Final = frozenset({".locks", ".no_exist"})
SNAPSHOTS, BLOBS, REFS = "snapshots", "blobs", "refs"
UNFINISHED_BLOB: Final = re.compile(r"\.(?:incomplete|part|downloadinprogress)$", re.IGNORECASE)
REVISION: Final = re.compile(r"(models--[^/\\]+[/\\]snapshots[/\\])[^/\\]+([/\\])")
GGUF: Final = re.compile(r"[-_.]gguf$", re.IGNORECASE)
"""What the names of repositories end with, and says nothing about the model."""
MOST_DEPTH: Final = 8
"""Folders below a snapshot; repositories have one or two."""


def without_revision(path: str) -> str:
    """Return what a file's path in the cache has in common with those of its other revisions."""
    return REVISION.sub(r"\1*\2", path)


def is_repository(folder: str, names: AbstractSet[str]) -> bool:
    """Tell by its name and what is in it whether a folder is a repository of models in the cache."""
    return not names.isdisjoint({SNAPSHOTS, BLOBS}) and os.path.basename(folder).startswith(PREFIX)  # noqa: PTH119 - hot


def holds_no_models(name: str) -> bool:
    """Whether a folder of this name in the cache is not worth entering."""
    return name in KEPT_ASIDE or name.startswith(NO_MODELS)


def find(folder: str, found: FoundFiles) -> None:
    """Note the files of a repository: each as the newest snapshot has it."""
    root = Path(folder)
    organisation, _, repository = root.name.removeprefix(PREFIX).rpartition("--")
    repository = GGUF.sub("", repository)
    seen: dict[str, tuple[int, int]] = {}
    weights: dict[str, int] = {}
    for snapshot in _snapshots(root, found):
        for relative, path in _files(snapshot, found):
            status = _status(path, found)
            if status is None:
                continue
            identity = status.st_dev, status.st_ino
            if relative.lower().endswith(SAFETENSORS):
                weights.setdefault(relative, status.st_size)
            elif relative not in seen:
                seen[relative] = identity
                found.note(path, status, PurePath(organisation, repository, relative))
                if os.path.islink(path):  # noqa: PTH114 - one string per file
                    found.links.add(path)
            elif seen[relative] != identity:
                found.leave_out(path, "an older revision of a file that is there in a newer one")
    if weights:
        found.leave_out(folder, no_gguf(list(weights.values())))
    _unfinished(root, found)


def _snapshots(root: Path, found: FoundFiles) -> list[Path]:
    """Return the snapshots: the one of `main` first, then those of other branches, then the newest."""
    try:
        commits = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(root / SNAPSHOTS)}
    except FileNotFoundError:  # the first file is still on its way
        return []
    except OSError as error:
        found.leave_out(root / SNAPSHOTS, f"the folder cannot be read: {error.strerror}")
        return []
    named = _commit_names(root / REFS)
    rank = {"main": 0}

    def order(commit: str) -> tuple[int, int, str]:
        return (
            min((rank.get(ref, 1) for ref, is_at in named.items() if is_at == commit), default=2),
            -commits[commit],
            commit,
        )

    return [root / SNAPSHOTS / commit for commit in sorted(commits, key=order)]


def _commit_names(folder: Path) -> dict[str, str]:
    """Return which commit each branch is at."""
    named: dict[str, str] = {}
    try:
        for entry in os.scandir(folder):
            if entry.is_file():
                with open(entry.path, "rb") as stream:  # noqa: PTH123 - as above
                    named[entry.name] = stream.read(64).decode("ascii", "replace").strip()
    except OSError:
        return named
    return named


def _files(folder: Path, found: FoundFiles, depth: int = MOST_DEPTH, above: str = "") -> Iterator[tuple[str, str]]:
    """Give (name in the snapshot, path) of everything that may hold weights."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.leave_out(folder, f"the folder cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if depth:
                yield from _files(folder / entry.name, found, depth - 1, f"{above}{entry.name}/")
        elif entry.name.lower().endswith((".gguf", SAFETENSORS)):
            yield f"{above}{entry.name}", entry.path


def _status(path: str, found: FoundFiles) -> os.stat_result | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - one string per file
    except OSError as error:
        what = "a link that leads nowhere" if os.path.islink(path) else error.strerror  # noqa: PTH114 - as above
        found.leave_out(path, f"cannot be looked at: {what}")
        return None
    return None if stat.S_ISDIR(status.st_mode) else status


def _unfinished(root: Path, found: FoundFiles) -> None:
    try:
        with os.scandir(root / BLOBS) as entries:
            partial = sorted(entry.path for entry in entries if UNFINISHED_BLOB.search(entry.name))
    except OSError:
        return
    for path in partial:
        found.leave_out(path, "an unfinished download")
