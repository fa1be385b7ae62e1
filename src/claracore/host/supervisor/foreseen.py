"""What can be seen before a start of which it is sure to fail: no program, no file, a file that is no model?

Only what fails for certain: what is not known here, another engine may know. Blocking; the header of a file is read
once for each size and time of its last change.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import PurePath
from typing import Final

from claracore.core.config.command import bind, split
from claracore.core.config.model import ModelConfig
from claracore.core.gguf.errors import GGUFError
from claracore.core.gguf.header import read_header
from claracore.core.loading.explain import explain
from claracore.core.loading.needed_files import cut_line, failing_line, needed_files
from claracore.errors import ClaraCoreError, ModelFailed
from claracore.host.supervisor.commands import LLAMA_SERVER, Commands, engine_words
from claracore.host.supervisor.named_files import shards
from claracore.host.supervisor.program import SpawnFailed, cannot_run, find_program, permitted
from claracore.host.supervisor.start_judged import not_spawned
from claracore.host.supervisor.surroundings import Surroundings

MOST_FILES: Final = 4096
SEEN_BEFORE: Final = "seen before its start"

_Stamp = tuple[int, int, int]
_headers: dict[str, tuple[_Stamp, str | None]] = {}
"""What is wrong with the header of each file that was read, and what the file looked like then."""


def foreseen(model: ModelConfig, around: Surroundings) -> ClaraCoreError | None:
    """Return with what a start of a model without a container is sure to fail; None when nothing is known."""
    return _no_program(model, around) or _no_files(model, around.commands)


def _no_program(model: ModelConfig, around: Surroundings) -> SpawnFailed | None:
    bound = bind(model)
    command = around.commands.argv(bound.argv, share=False)[0]
    try:
        error = cannot_run(command, find_program(command, {**around.environ, **bound.env}, None))
    except SpawnFailed as found:
        error = found
    except (OSError, ValueError):
        return None
    return not_spawned(model, error, around.commands) if error is not None else None


def _no_files(model: ModelConfig, commands: Commands) -> ModelFailed | None:
    words = split(model.cmd)
    if not (commands.is_embedded(model) or PurePath(words[0]).name.startswith(LLAMA_SERVER)):
        return None
    for path in needed_files(engine_words(words)):
        for part in shards(path):
            line = _wrong_with(part)
            if line is not None:
                return ModelFailed(model.id, SEEN_BEFORE, (), explain([line]))
    return None


def _wrong_with(path: str) -> str | None:
    """Return a line that says why a server cannot read a file; None where nothing is known to be wrong."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a word of a command may be no path at all
        if stat.S_ISDIR(found.st_mode):
            return f"{path}: failed to read magic: it is a folder"
        if not stat.S_ISREG(found.st_mode):
            return None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = _headers.get(path)
        if known is None or known[0] != stamp or not permitted(path, os.R_OK):
            known = (stamp, _wrong_in(path, found.st_size))
            if len(_headers) >= MOST_FILES:
                _headers.clear()
            _headers[path] = known
        return known[1]
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
            reason = os.strerror(errno.EACCES if error.errno == errno.EACCES else errno.ENOENT)
            return f"failed to open GGUF file '{path}' ({reason})"
        return None
    except ValueError:
        return None


def _wrong_in(path: str, size: int) -> str | None:
    if not size:
        return f"{path}: failed to read magic: it is empty"
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as in library.read
        try:
            header = read_header(stream, size=size)
        except GGUFError as error:
            return failing_line(path, error)
    return cut_line(path, header.missing_bytes) if header.missing_bytes else None
