"""Which files of the head's models are here already, which are fetched, from where, and which not, and why?

Pure. A file is known by its size and its header, wherever it lies and whatever it is called here: so the same path on a
network disk needs nothing. What is not here is fetched if the model allows it, each file once, however many models want
it. Names come from another machine: what could lead out of the folder of models is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Final

from claracore.core.cluster.model import Fit, NodeFile, NodeModel
from claracore.core.cluster.part import Fetch, SharedFile, SharedModel
from claracore.core.gguf.names import SHARD_FILE
from claracore.core.pull.reference import is_safe_path
from claracore.core.units import gb, lasting
from claracore.types import ModelState

HEADER_BYTES: Final = 64 * 1024
"""So much of a file's beginning, with its size, tells which file it is: the names and shapes of a model stand there."""
LONGEST_WAIT_SECONDS: Final = 300.0
"""A request waits for a file that is here by then; a longer wait is refused with words, for no client waits so long."""


@dataclass(frozen=True, slots=True)
class HeadDoor:
    """Where the head has files for this machine, and with what it lets us in."""

    url: str
    fingerprint: str
    """Of its certificate; empty without TLS."""
    secret: str


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that is on this machine."""

    path: str
    size: int
    header: str
    """SHA-256 of the first HEADER_BYTES, in hex."""


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that a model of the head's needs here."""

    file: SharedFile
    path: str = ""
    """Where it is here; empty when it is not."""
    source: Fetch = Fetch.NO
    """From where it is fetched; from nowhere when it is here already, or cannot be."""
    why: str = ""
    """Why it is not fetched either, for people."""


@dataclass(frozen=True, slots=True)
class WantedModel:
    """A model of the head's, and how its files are here."""

    name: str
    files: tuple[WantedFile, ...]

    @property
    def is_ready(self) -> bool:
        """Whether all its files are here."""
        return all(each.path for each in self.files)

    @property
    def why(self) -> str:
        """Why it cannot run here even when all has come that is fetched; empty when it can."""
        return "; ".join(each.why for each in self.files if each.why)

    @property
    def paths(self) -> dict[str, str]:
        """Where its files are here, by their names on the head."""
        return {each.file.name: each.path for each in self.files if each.path}


@dataclass(frozen=True, slots=True)
class Shipment:
    """Files of one model that are fetched together."""

    model: str
    source: Fetch
    repository: str
    """On the hub, with `@REVISION` unless it is the usual one; empty from the head."""
    files: tuple[SharedFile, ...]


def wanted(models: Iterable[SharedModel], held: Sequence[HeldFile], folder: str) -> tuple[WantedModel, ...]:
    """Return how the files of each model are here. Of several files that are alike the first of `held` is taken.

    `folder` is where files go that are fetched. The shards of a model have to lie in one folder under their own names:
    such as lie elsewhere count only when all of them do.
    """
    alike: dict[tuple[int, str], list[str]] = {}
    for each in held:
        alike.setdefault((each.size, each.header), []).append(each.path)
    named: dict[str, SharedFile] = {}
    found = []
    for model in models:
        paths = _paths(model.files, alike, folder)
        found.append(WantedModel(model.name, tuple(_wanted(file, model, paths, named) for file in model.files)))
    return tuple(found)


def _paths(
    files: Sequence[SharedFile], alike: Mapping[tuple[int, str], Sequence[str]], folder: str
) -> dict[SharedFile, str]:
    """Return where each file is here; those that are not here are missing."""
    groups: dict[str, list[SharedFile]] = {}
    for file in files:
        match = SHARD_FILE.match(file.name)
        groups.setdefault(f"{match['stem']} of {match['count']}" if match else file.name, []).append(file)
    found: dict[SharedFile, str] = {}
    for group in groups.values():
        candidates = [alike.get((file.size, file.header), ()) for file in group]
        if len(group) == 1:
            found |= dict(zip(group, (each[0] for each in candidates if each), strict=False))
        else:
            found |= _together(group, candidates, folder)
    return found


def _together(group: Sequence[SharedFile], candidates: Sequence[Sequence[str]], folder: str) -> dict[SharedFile, str]:
    """Return where shards are: all in one folder under their names, or else those in the place for what is fetched."""
    for path in candidates[0]:
        beside = [str(PurePath(path).parent / PurePosixPath(file.name).name) for file in group]
        if all(one in several for one, several in zip(beside, candidates, strict=True)):
            return dict(zip(group, beside, strict=True))
    places = [str(PurePath(folder, file.name)) for file in group]
    return {file: place for file, place, several in zip(group, places, candidates, strict=True) if place in several}


def _wanted(
    file: SharedFile, model: SharedModel, paths: Mapping[SharedFile, str], named: dict[str, SharedFile]
) -> WantedFile:
    if not is_safe_path(file.name):
        return WantedFile(file, why=f"{file.name!r} cannot be the name of a file here")
    other = named.setdefault(file.name.casefold(), file)
    if (path := paths.get(file)) is not None:
        return WantedFile(file, path)
    if (other.size, other.header) != (file.size, file.header):
        return WantedFile(file, why=f"another model of the head's has another file that is called {file.name}")
    if model.fetch is Fetch.NO:
        return WantedFile(file, why=f"{file.name} is not here, and is not fetched (fetch: no)")
    if model.fetch is Fetch.HUB and not repository_of(file):
        return WantedFile(file, why=f"{file.name} is not here, and from where on the hub it came is not known")
    return WantedFile(file, source=model.fetch)


def repository_of(file: SharedFile) -> str:
    """Return in which repository of the hub a file is (`org/repo`, `org/repo@revision`); empty when that is unknown."""
    parts = file.source.split("/", 2)
    return "/".join(parts[:2]) if len(parts) == 3 and all(parts) else ""


def path_on_hub(file: SharedFile) -> str:
    """Return what a file is called in its repository."""
    return file.source.split("/", 2)[2]


def shipments(models: Iterable[WantedModel]) -> tuple[Shipment, ...]:
    """Return what is fetched, each file once: with the first model that wants it.

    Of a model that could not run even then, nothing is.
    """
    found: list[Shipment] = []
    seen: set[str] = set()
    for model in models:
        if model.why:
            continue
        groups: dict[tuple[Fetch, str], list[SharedFile]] = {}
        for each in model.files:
            if each.source is not Fetch.NO and each.file.name.casefold() not in seen:
                seen.add(each.file.name.casefold())
                repository = repository_of(each.file) if each.source is Fetch.HUB else ""
                groups.setdefault((each.source, repository), []).append(each.file)
        found += [Shipment(model.name, source, where, tuple(files)) for (source, where), files in groups.items()]
    return tuple(found)


# --- what others are told ---------------------------------------------------------------------------------------------


def fetching_words(name: str, done: int, total: int, left_seconds: float | None) -> str:
    """Say how far a file is: `fetching qwen.gguf 41 %, 3 min left`; when all of it is here it is still checked."""
    if total and done >= total:
        return f"checking {name}"
    share = f"{100 * done // total} %" if total else gb(done)
    left = f", {lasting(left_seconds)} left" if left_seconds is not None else ""
    return f"fetching {name} {share}{left}"


def words_of(file: NodeFile) -> str:
    """Say how a file is that is not here yet: how far it is, what it waits for, or why it does not come."""
    if not file.fetching:
        return file.why if file.name in file.why else f"{file.name}: {file.why}"
    trouble = f" ({file.why})" if file.why else ""
    return fetching_words(file.name, file.done, file.size, file.left_seconds) + trouble


def outlook(model: WantedModel, files: Mapping[str, NodeFile]) -> NodeModel:
    """Return how a model is of which files are missing; `files` are by their names."""
    missing = [files[each.file.name] for each in model.files if not each.path]
    comes = not model.why and all(file.fetching for file in missing)
    known = [file.left_seconds for file in missing]
    left = sum(each for each in known if each is not None) if comes and None not in known else None
    why = "; ".join(map(words_of, missing))
    return NodeModel(model.name, ModelState.STOPPED, Fit.FETCH if comes else Fit.NEVER, why=why, left_seconds=left)
