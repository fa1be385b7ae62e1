"""Which newest builds were seen when somebody asked for them last? Nobody is asked here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from claracore.host.engines.installed import EngineFolders, file_of_engines
from claracore.host.state_file import StateFile

SEEN: Final = "newest.json"


class SeenBuild(msgspec.Struct, frozen=True):
    """The newest build of an engine for this machine, and when it was seen (unix seconds)."""

    id: str
    version: str
    seen_at: float


def seen_builds(folders: EngineFolders) -> dict[str, SeenBuild]:
    """Return what was seen last, by the name of the engine."""
    return (_file(folders.name).read() or {}) if folders.name is not None else {}


def remember_newest(folders: EngineFolders, name: str, seen: SeenBuild) -> None:
    """Remember what was seen, where there is a folder of engines already; what cannot be written is forgotten."""
    if folders.name is not None and os.path.isdir(folders.name):  # noqa: PTH112 - Path's raises where one may not look
        _file(folders.name).save({**seen_builds(folders), name: seen})


def _file(root: str) -> StateFile[dict[str, SeenBuild]]:
    return file_of_engines(
        Path(root, SEEN), dict[str, SeenBuild], without="it is not known which newest builds there are"
    )
