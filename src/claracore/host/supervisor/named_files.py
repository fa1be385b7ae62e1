"""Are the files that a model's command names still those with which its start failed?

The program, and the files that the words of the command and the values of `env` name, if by their names a server reads
them: a log changes with every try. All shards of a model count; what a script or a folder names is not seen. A file
that is not there counts, too: it may come. A look at one file too many costs nothing, so that names decide; which files
may be given to other machines is a stricter question (`core/cluster/named_files.py`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Final

from claracore.core.config.command import split
from claracore.core.config.model import ModelConfig
from claracore.core.gguf.names import SHARD_FILE, shard_names

Stamp = tuple[tuple[str, tuple[int, int, int] | None], ...]
"""Path, and what shows that the file is another: time of its last change, size, inode; None when it is not there."""

MODELS: Final = (".gguf", ".ggml", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".llamafile")
SETTINGS: Final = (".jinja", ".json", ".toml", ".yaml", ".yml", ".ini", ".py", ".sh")
BLOB: Final = re.compile(r"[/\\]sha256-[0-9a-f]{64}$")
"""What Ollama calls a model's file."""
MOST_SHARDS: Final = 256


def stamp_of(model: ModelConfig, environ: Mapping[str, str]) -> Stamp:
    """Return what the files that the model's command names look like now: a few microseconds each."""
    return tuple((path, _seen(path)) for path in sorted(set(stamped_paths(model, environ))))


def stamped_paths(model: ModelConfig, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the program and the files that the model's command names, whether they are there or not."""
    try:
        words = split(model.cmd)
    except ValueError:
        return
    if words:
        yield shutil.which(words[0], path=environ.get("PATH")) or words[0]
    for word in (*words, *model.env):
        for path in {word, word.partition("=")[2]}:
            if (PurePath(path).suffix.lower() in SETTINGS or holds_weights(path)) and "://" not in path:
                yield from shards(path)


def holds_weights(path: str) -> bool:
    """Whether a file of this name is a model, or a part of one."""
    return PurePath(path).suffix.lower() in MODELS or BLOB.search(path) is not None


def shards(path: str) -> Iterator[str]:
    """Yield the path, or where it is one of several shards, those of all of them."""
    folder, name = os.path.split(path)
    match = SHARD_FILE.match(name)
    if match is None or int(match["count"]) > MOST_SHARDS:
        yield path
        return
    for shard in shard_names(match):
        yield str(Path(folder, shard))


def _seen(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a word of a command may be no path at all
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
