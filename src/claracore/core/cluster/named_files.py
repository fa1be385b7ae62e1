"""Which files does the command of a shared model name, and how is it written without the paths of this machine?

Pure. Only what is a model, or belongs to one, is shared: other files of a command, keys for instance, are not. Several
adapters behind one flag, with commas or scales, stay as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Final

from claracore.core.cluster.part import is_file_name
from claracore.core.config.command import spanned
from claracore.core.config.file_flags import ALL as FILE_FLAGS
from claracore.core.gguf.names import SHARD_FILE, shard_names
from claracore.core.pull.reference import is_safe_path

MODEL: Final = ".gguf"
MOST_SHARDS: Final = 1_000
_ODD: Final = re.compile(r"[^\w.+-]+|^\.+|\.+$")


@dataclass(frozen=True, slots=True)
class NamedPath:
    """A path in a command: what a person wrote, and where. Offsets; the end is excluded."""

    path: str
    start: int
    end: int
    before: str = ""
    """What of the word stands before it: `--model=`."""


def named_paths(cmd: str) -> tuple[NamedPath, ...]:
    """Return the files that a command names, in their order; none for a command that cannot be split."""
    try:
        words = spanned(cmd)
    except ValueError:
        return ()
    found = []
    for number, word in enumerate(words[1:], 1):
        flag, equals, value = word.text.partition("=")
        if not (equals and flag.startswith("-")):
            flag, equals, value = words[number - 1].text, "", word.text
        is_file = flag in FILE_FLAGS or value.lower().endswith(MODEL)
        if is_file and value and not value.startswith("-") and "${" not in value:
            found.append(NamedPath(value, word.start, word.end, f"{flag}=" if equals else ""))
    return tuple(found)


def with_names(cmd: str, names: Mapping[str, str]) -> str:
    """Return a command with `${file:NAME}` in place of each path that has a name."""
    for found in reversed(named_paths(cmd)):
        if (name := names.get(found.path)) is not None:
            cmd = f"{cmd[: found.start]}{found.before}${{file:{name}}}{cmd[found.end :]}"
    return cmd


def all_shards(path: PurePath) -> tuple[PurePath, ...]:
    """Return all files of a model of which a command names the first; one that is whole is alone."""
    match = SHARD_FILE.match(path.name)
    if match is None:
        return (path,)
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count <= MOST_SHARDS:
        return (path,)
    return tuple(map(path.with_name, shard_names(match)))


def names_for(path: PurePath, roots: tuple[PurePath, ...]) -> Iterator[str]:
    """Give what a file may be called among the machines, the best first: below a folder of models, else its folder.

    In a cache of the hub it is called as on the hub.
    """
    for root in roots:
        if path.is_relative_to(root):
            yield from _safe(PurePosixPath(*_on_hub(path.relative_to(root).parts)))
    parts = _on_hub(path.parts)
    yield from _safe(PurePosixPath(*(parts if parts != path.parts else path.parts[-2:])))
    yield _ODD.sub("-", path.name) or "model.gguf"


def _safe(name: PurePosixPath) -> Iterator[str]:
    text = str(name)
    if is_safe_path(text) and is_file_name(text):
        yield text


def _on_hub(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts behind a repository of the hub's cache, in the hub's own words; otherwise as they are."""
    for number, part in enumerate(parts):
        if part.startswith("models--") and parts[number + 1 : number + 2] == ("snapshots",):
            return (*part.removeprefix("models--").split("--", 1), *parts[number + 3 :])
    return parts


def source_in_cache(path: PurePath) -> str:
    """Return where a file of the hub's cache came from (`org/repo@commit/file`); empty for any other."""
    for number, part in enumerate(path.parts):
        if part.startswith("models--") and path.parts[number + 1 : number + 2] == ("snapshots",):
            org, _, repository = part.removeprefix("models--").partition("--")
            rest = path.parts[number + 2 :]
            return f"{org}/{repository}@{'/'.join(rest)}" if repository and len(rest) > 1 else ""
    return ""
