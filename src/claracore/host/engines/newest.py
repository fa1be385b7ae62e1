"""Which newest builds were seen when somebody asked for them last? Nobody is asked here."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from claracore.errors import ClaraCoreError
from claracore.host.disk import keep
from claracore.host.engines.installed import EngineFolders

SEEN: Final = "newest.json"
LARGEST_BYTES: Final = 1 << 16


class SeenBuild(msgspec.Struct, frozen=True):
    """The newest build of an engine for this machine, and when it was seen (unix seconds)."""

    id: str
    version: str
    seen_at: float


def seen_builds(folders: EngineFolders) -> dict[str, SeenBuild]:
    """Return what was seen last, by the name of the engine."""
    try:
        with (folders.root / SEEN).open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST_BYTES), type=dict[str, SeenBuild])
    except (OSError, msgspec.MsgspecError, ValueError, ClaraCoreError):
        return {}


def remember_newest(folders: EngineFolders, name: str, seen: SeenBuild) -> None:
    """Remember what was seen, where there is a folder of engines already; what cannot be written is forgotten."""
    with contextlib.suppress(OSError, ClaraCoreError):
        if folders.root.is_dir():
            keep(folders.root / SEEN, msgspec.json.encode({**seen_builds(folders), name: seen}))
