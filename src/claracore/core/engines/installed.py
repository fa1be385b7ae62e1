"""What is an engine that was installed here, which one is in use, and which may not be removed?

Values; the folders are `host/engines/installed.py`. Several builds stand side by side, one folder each, and one of each
engine is in use. The one that was in use before stays named, for a way back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from claracore.errors import BadRequest, Conflict, NotFound

Value = TypeVar("Value")
BUILT_HERE: Final = "built here"
"""With this the source begins of what was compiled on this machine."""
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")


class NoSuchEngine(NotFound):
    """No engine of this name is installed; 404."""

    code = "no_such_engine"
    cause = "No engine of this name is installed."
    way_out = "Take one of `claracore engines list`."


@dataclass(frozen=True, slots=True)
class InstalledEngine:
    """One build in a folder of its own. Times are unix seconds."""

    name: str
    version: str
    backend: str
    binary: str
    """Path of the program, relative to the folder."""
    says: str = ""
    """What `--version` prints."""
    source: str = ""
    """Where it came from: a repository, a package, `built here`."""
    sha256: tuple[str, ...] = ()
    """Of the archives that it was unpacked from."""
    size_bytes: int = 0
    """On the disk."""
    installed_at: float = 0.0
    reason: str = ""
    """Why this build was chosen."""

    @property
    def is_built_here(self) -> bool:
        """Whether it was compiled on this machine."""
        return self.source.startswith(BUILT_HERE)

    @property
    def id(self) -> str:
        """What its folder is called."""
        return engine_id(self.name, self.version, self.backend)


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A build that was given up for the one before, because of a model that it could not load."""

    given_up: str
    """The id of the build."""
    model: str
    reason: str
    at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class EngineUse:
    """Which build of each engine is in use, and which one was before; by the engine's name, ids of builds."""

    current: Mapping[str, str] = field(default_factory=dict)
    previous: Mapping[str, str] = field(default_factory=dict)
    rolled_back: Mapping[str, RolledBack] = field(default_factory=dict)
    """The last time that the build before was taken again; it goes when another one is put in use."""

    def using(self, engine: InstalledEngine) -> EngineUse:
        """Return the same with another build in use; the present one becomes the way back."""
        before = self.current.get(engine.name)
        if before == engine.id:
            return self
        previous = {**_less(self.previous, engine.name), **({engine.name: before} if before else {})}
        return EngineUse({**self.current, engine.name: engine.id}, previous, _less(self.rolled_back, engine.name))

    def none(self) -> EngineUse:
        """Return the same with no build in use: `llama-server` is what PATH or the wheel has."""
        return EngineUse({}, {**self.previous, **self.current}, self.rolled_back)

    def back(self, name: str, why: RolledBack | None = None) -> EngineUse:
        """Return the same with the build before in use again. Raises Conflict where there is none."""
        before = self.previous.get(name)
        if before is None:
            raise Conflict(f"no other build of {name} was in use before")
        rolled_back = {**_less(self.rolled_back, name), **({name: why} if why is not None else {})}
        return EngineUse({**self.current, name: before}, _less(self.previous, name), rolled_back)

    def of(self, known: Collection[str]) -> EngineUse:
        """Return the same without the builds that are not among those that are there."""
        current = {name: id_ for name, id_ in self.current.items() if id_ in known}
        return replace(self, current=current, previous={n: id_ for n, id_ in self.previous.items() if id_ in known})


def _less(table: Mapping[str, Value], name: str) -> dict[str, Value]:
    return {key: value for key, value in table.items() if key != name}


def engine_id(name: str, version: str, backend: str) -> str:
    """Return what the folder of a build is called. Raises BadRequest for what could be no part of a path."""
    for part in (name, version, backend):
        if _PART.fullmatch(part) is None or ".." in part:
            raise BadRequest(f"{part!r} cannot be part of the name of an engine's folder")
    return f"{name}-{version}-{backend}"


def is_engine_id(text: str) -> bool:
    """Whether a folder could be that of a build."""
    return _ID.fullmatch(text) is not None and ".." not in text


def find_installed(engines: Iterable[InstalledEngine], text: str) -> InstalledEngine:
    """Return the build that a person means: its whole id, or a part that only one has (`b11434`, `vulkan`).

    Raises NoSuchEngine, and BadRequest where several are meant.
    """
    known = list(engines)
    for one in known:
        if one.id == text:
            return one
    near = [one for one in known if text in {one.version, one.backend, f"{one.version}-{one.backend}", one.name}]
    if len(near) == 1:
        return near[0]
    names = ", ".join(one.id for one in near or known)
    if near:
        raise BadRequest(f"{text!r} may mean several: {names}", param="id")
    raise NoSuchEngine(
        f"no installed engine is called {text!r}; " + (f"there are {names}" if names else "there is none")
    )


def check_removable(engine: InstalledEngine, use: EngineUse) -> None:
    """Raise Conflict for the build that is in use."""
    if use.current.get(engine.name) == engine.id:
        raise Conflict(f"{engine.id} is in use: `claracore engines use` another one first, or none", param="id")
