"""What of its configuration does a head give to a node?

Pure. The head's file is the truth for the models that it shares; a *part* is those of them that one node is to have.
Macros are in place, except what only the node can know: `${PORT}`, `${SOCKET}`, `${PID}`, `${env.NAME}`, which is never
expanded on the head, and `${file:NAME}`, a file of which each machine has its own path.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from claracore.core.config.command import open_quotation
from claracore.core.config.macros import Value

FILE_USE: Final = re.compile(r"\$\{file:([^{}]+)\}")
COMMANDS: Final = frozenset({"cmd", "cmdStop"})
"""Keys of an entry whose texts are split as a shell would."""
MODEL_REVISION_DIGITS: Final = 16
DEEPEST: Final = 40
"""Lists and mappings within each other in an entry."""
NO_PART: Final = ""
"""The revision of a part without models, and of none."""


class Fetch(StrEnum):
    """From where a node gets a file that it does not have."""

    HUB = "hub"
    HEAD = "head"
    NO = "no"
    """From nowhere: what is not there cannot be loaded."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that a shared model needs."""

    name: str
    """Relative and '/'-separated; `${file:NAME}` in the entry stands for its path."""
    size: int
    """Bytes."""
    header: str
    """SHA-256 of the first 64 KiB, as hex."""
    sha256: str = ""
    """Of the whole file; empty where the head does not know it."""
    source: str = ""
    """Where it came from on the hub (`org/repo@revision/file`); empty where that is not known."""
    path: str = ""
    """Where the head has it: on a network disk it may be there for the node as well."""


@dataclass(frozen=True, slots=True)
class SharedModel:
    """A model that a node is to have."""

    name: str
    entry: Mapping[str, Value]
    """What the configuration says of it: keys as they are spelled in the file."""
    files: tuple[SharedFile, ...] = ()
    fetch: Fetch = Fetch.NO

    digest: str = field(init=False, repr=False, compare=False)
    """SHA-256 of all of it, as hex."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _hash(_model_as_json(self)))

    @property
    def revision(self) -> str:
        """Names what a load of it depends on: another one means another model under the same name."""
        return self.digest[:MODEL_REVISION_DIGITS]


@dataclass(frozen=True, slots=True)
class Part:
    """The models that one node is to have."""

    models: tuple[SharedModel, ...] = ()
    revision: str = field(init=False)
    """Names the models; `NO_PART` without any."""

    def __post_init__(self) -> None:
        revision = _hash([model.digest for model in self.models]) if self.models else NO_PART
        object.__setattr__(self, "revision", revision)


class PartUnreadable(ValueError):
    """What came is no part; says why, without any value of it."""


def part_as_json(part: Part) -> dict[str, Any]:
    """Return a part as plain data."""
    return {"models": [_model_as_json(model) for model in part.models]}


def part_of_json(found: Any) -> Part:  # noqa: ANN401 - whatever came
    """Return the part that plain data is. Raises PartUnreadable."""
    try:
        models = tuple(map(_model_of_json, found["models"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PartUnreadable(f"it cannot be read as a part of a configuration ({type(error).__name__})") from error
    if len({model.name for model in models}) != len(models):
        raise PartUnreadable("two of its models have one name")
    return Part(models)


def _model_as_json(model: SharedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "entry": dict(model.entry),
        "files": [
            {
                "name": file.name,
                "size": file.size,
                "header": file.header,
                "sha256": file.sha256,
                "source": file.source,
                "path": file.path,
            }
            for file in model.files
        ],
        "fetch": model.fetch.value,
    }


def _model_of_json(found: dict[str, Any]) -> SharedModel:
    name, entry = found["name"], found["entry"]
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or not isinstance(entry, dict):
        raise TypeError
    if not is_shallow(entry, DEEPEST):
        raise ValueError
    files = tuple(_file_of_json(each) for each in found["files"])
    return SharedModel(name, entry, files, Fetch(found["fetch"]))


def is_shallow(value: object, left: int) -> bool:
    """Whether a value is nested no more than `left` deep."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return left > 0 and all(is_shallow(each, left - 1) for each in inner)


def _file_of_json(found: dict[str, Any]) -> SharedFile:
    texts = [found[key] for key in ("name", "header", "sha256", "source", "path")]
    if not all(isinstance(text, str) for text in texts) or not is_file_name(texts[0]) or found["size"] < 0:
        raise ValueError
    return SharedFile(texts[0], int(found["size"]), *texts[1:])


def is_file_name(name: str) -> bool:
    """Whether a name is relative, stays where it is put, and may stand in `${file:NAME}`."""
    return all(
        part not in {"", ".", ".."} and part.isprintable() and not set(part) & set("\\{}:") for part in name.split("/")
    )


def _hash(found: object) -> str:
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# --- files -----------------------------------------------------------------------------------------------------------


def file_names(value: Value) -> Iterator[str]:
    """Give the names of the files that an entry, or a value of it, stands for; each as often as it is there."""
    if isinstance(value, str):
        yield from FILE_USE.findall(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from file_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from file_names(inner)


def missing_files(models: Iterable[SharedModel], paths: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of files for which there is no path, each once, in order."""
    named = (name for model in models for name in file_names(dict(model.entry)))
    return tuple(dict.fromkeys(name for name in named if name not in paths))


def with_paths(value: Value, paths: Mapping[str, str], *, in_command: bool = False) -> Value:
    """Return a value with a path in place of each `${file:NAME}`. Raises KeyError for one that has none."""
    if isinstance(value, str):

        def path(match: re.Match[str]) -> str:
            found = paths[match[1]]
            return _for_command(found, open_quotation(match.string[: match.start()])) if in_command else found

        return FILE_USE.sub(path, value)
    if isinstance(value, Mapping):
        return {key: with_paths(inner, paths, in_command=in_command or key in COMMANDS) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_paths(inner, paths, in_command=in_command) for inner in value]
    return value


def _for_command(path: str, quotation: str | None) -> str:
    """Return a path as it is to stand in a command, inside of this kind of quotation."""
    if quotation == "'":
        return path.replace("'", "'\\''")
    return re.sub(r'(["\\])', r"\\\1", path) if quotation == '"' else shlex.quote(path)
