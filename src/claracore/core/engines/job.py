"""What is being done about engines at this moment, and how far is it?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from claracore.core.engines.choose import AUTO
from claracore.core.engines.sources import USUAL

EngineAction = Literal["install", "update"]
LATEST: Final = "latest"


class EngineStage(StrEnum):
    """What a job is at, in this order."""

    WAITING = "waiting"
    """Another ClaraCore installs something."""
    ASKING = "asking"
    DOWNLOADING = "downloading"
    CHECKING = "checking"
    UNPACKING = "unpacking"
    BUILDING = "building"
    """It is compiled here."""
    TRYING = "trying"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({EngineStage.FINISHED, EngineStage.FAILED, EngineStage.CANCELLED})


@dataclass(frozen=True, slots=True)
class EngineWish:
    """What a person wants to have: `latest`, `nightly` or a tag; a backend, or `auto`."""

    name: str = USUAL
    version: str = LATEST
    backend: str = AUTO
    use: bool | None = None
    """Whether it is to be in use afterwards; None: only if no other build of the engine is."""
    build: bool = False
    """Whether it is compiled here instead of fetched."""


@dataclass(slots=True)
class EngineJob:
    """One build on its way. Times are unix seconds."""

    id: str
    action: EngineAction
    wish: EngineWish
    stage: EngineStage = EngineStage.ASKING
    version: str = ""
    """What was chosen; empty until then."""
    backend: str = ""
    reason: str = ""
    fallback: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    fraction: float | None = None
    """How far the compiler is, from 0 to 1."""
    trouble: str | None = None
    """What it waits for to pass."""
    error: str | None = None
    error_code: str | None = None
    engine: str | None = None
    """The id of the build that is there now."""
    note: str = ""
    """What a person should know about it all the same."""
    begun_at: float = 0.0
    ended_at: float | None = None
