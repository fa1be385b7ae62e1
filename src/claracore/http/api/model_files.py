"""What do the files of a configured model say about it?

Its command, as memory has read it (`host/footprints`), names the files; their headers say the rest. A command that
cannot be read (a script, a container, a server that somebody else runs) names none. A file is named by the SHA-256 of
its contents where that is known: what Ollama keeps has it in its name, what we fetched in the list of downloads. Any
other gets a name of the same form, which changes when the file does.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from claracore.core.gguf.errors import GGUFError
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import ModelFacts
from claracore.host.footprints.command_reader import Expected
from claracore.host.library.downloads import Downloads
from claracore.host.supervisor.named_files import shards
from claracore.http.api.parts import Runtime

BLOB: Final = re.compile(r"(?:sha256[-:])?([0-9a-f]{64})")
"""How Ollama names the file with a content, and the hub's cache what its links lead to."""


@dataclass(frozen=True, slots=True)
class AboutFiles:
    """The files of one model, and what they say; all is empty where the command names none that can be read."""

    paths: tuple[str, ...] = ()
    """All shards in order, then the projector and the adapters."""
    size: int = 0
    """Bytes of all of them."""
    modified_at: float | None = None
    """Unix seconds: of the newest."""
    digest: str = ""
    """SHA-256 in hexadecimal."""
    facts: ModelFacts | None = None
    context: int | None = None
    """Tokens that one request may have, as the command says."""
    has_projector: bool = False


NO_FILES: Final = AboutFiles()


async def about_files(runtime: Runtime, downloads: Downloads, ids: Iterable[str]) -> dict[str, AboutFiles]:
    """Return what the files of these models say."""
    memory, config = runtime.memory, runtime.config
    digests = {
        str(path): file.remote.sha256
        for download in downloads.all
        for path, file in zip(download.paths, download.files, strict=True)
        if file.complete and file.remote.sha256 is not None
    }
    wanted = list(dict.fromkeys(ids))

    def look() -> dict[str, AboutFiles]:
        for model_id in wanted:
            if config.models[model_id].cmd.strip() and memory.command(model_id) is None:
                memory.footprint(model_id)  # has it read
        return {model_id: _about(runtime, model_id, digests) for model_id in wanted}

    return await asyncio.to_thread(look)


def header_of(path: str) -> Header | None:
    """Return the header of a model's file; None when it cannot be read. Blocking: tens of milliseconds."""
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as in library.read
            return read_header(stream, size=os.fstat(stream.fileno()).st_size)
    except (OSError, GGUFError):
        return None


def _about(runtime: Runtime, model_id: str, digests: Mapping[str, str]) -> AboutFiles:
    command = runtime.memory.command(model_id)
    expected = command.expected if command is not None else None
    if command is None or expected is None:
        return NO_FILES
    flags = expected.case.flags
    projector = flags.get("mmproj")
    beside = [os.path.abspath(path) for path in (projector, *flags.adapters) if path]  # noqa: PTH100 - as the reader does
    paths = (*shards(command.file), *beside)
    stats = [status for path in paths if (status := _status(path)) is not None]
    return AboutFiles(
        paths,
        size=sum(status.st_size for status in stats),
        modified_at=max((status.st_mtime for status in stats), default=None),
        digest=_digest(command.file, digests),
        facts=expected.facts,
        context=_context(expected),
        has_projector=projector is not None,
    )


def _context(expected: Expected) -> int:
    settings = expected.found.settings
    return settings.context if settings.unified else settings.context // settings.parallel


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a word of a command may be no path at all
    except (OSError, ValueError):
        return None


def _digest(path: str, digests: Mapping[str, str]) -> str:
    known = digests.get(path)
    if known is not None:
        return known
    for name in map(os.path.basename, (path, os.path.realpath(path))):
        if (blob := BLOB.fullmatch(name)) is not None:
            return blob[1]
    status = _status(path)
    seen = (status.st_size, status.st_mtime_ns) if status is not None else ()
    return hashlib.sha256(repr((path, *seen)).encode()).hexdigest()
