"""What is a download?

One model: all its files, in a folder. These are the values; who makes them move is downloads.py, who keeps them between
two runs is store/downloads.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference
from claracore.errors import NotFound


class DownloadStatus(StrEnum):
    """What a download is doing."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    CHECKING = "checking"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"


RUNNING: Final = frozenset({DownloadStatus.DOWNLOADING, DownloadStatus.CHECKING})
OPEN: Final = RUNNING | {DownloadStatus.QUEUED}
"""What goes on by itself."""


@dataclass(slots=True)
class FileState:
    """One file of a download."""

    remote: RemoteFile
    place: str
    """Relative to the download's folder."""
    done: int = 0
    complete: bool = False
    found: bool = False
    """It was there before; a cancelled download leaves it."""


@dataclass(slots=True)
class Download:
    """One model that is, or was, fetched. Times are unix seconds."""

    id: str
    reference: Reference
    quantization: str
    folder: Path
    files: list[FileState]
    status: DownloadStatus = DownloadStatus.QUEUED
    created_at: float = 0.0
    ended_at: float | None = None
    error: str | None = None
    """Why it failed, or what it is waiting for to pass."""
    error_code: str | None = None
    """Which kind of error that is, as `ClaraCoreError.code` names it."""
    models: list[str] = field(default_factory=list)
    """Ids under which the model can be used now."""
    note: str | None = None
    """Why it cannot be used yet, when it is finished."""
    names: list[str] = field(default_factory=list)
    """What it is to be called, too: aliases of the model."""
    shared: bool = False
    """Whether a model of the head's needs it: then that machine's part of the configuration has it served."""
    samples: list[tuple[float, int]] = field(default_factory=list)
    """(clock, bytes) of the last seconds; not kept on disk."""
    quiet_seconds: int | None = None
    """For how long no byte has come, where that is longer than a pause between two blocks; not kept on disk."""

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.remote.size for file in self.files)

    @property
    def done(self) -> int:
        """Bytes that are on the disk."""
        return sum(file.done for file in self.files)

    @property
    def paths(self) -> list[Path]:
        """Where the files are, or will be."""
        return [self.folder / file.place for file in self.files]

    @property
    def bytes_per_second(self) -> float | None:
        """How fast it goes; None when that is not known."""
        if self.status is not DownloadStatus.DOWNLOADING or self.quiet_seconds is not None or len(self.samples) < 2:
            return None
        (begun, before), (now, after) = self.samples[0], self.samples[-1]
        return max(after - before, 0) / (now - begun) if now > begun else None

    @property
    def eta_seconds(self) -> float | None:
        """How long it will take at this speed; None when that is not known."""
        speed = self.bytes_per_second
        return (self.total - self.done) / speed if speed else None

    def forget_speed(self) -> None:
        """Measure anew, from the next byte on."""
        self.samples.clear()
        self.quiet_seconds = None


class NoSuchDownload(NotFound):
    """There is no such download."""

    code = "no_such_download"
    cause = "There is no download of this number."
    way_out = "Take one of `GET /api/downloads`; those that were removed are gone."


class DownloadStore:
    """Where the list of downloads is kept between runs: nowhere, unless a subclass says where."""

    def load(self) -> list[Download]:
        """Return the downloads of the last `save`, the oldest first."""
        return []

    def save(self, downloads: Iterable[Download]) -> None:
        """Keep the list in the place of the one before; raises nothing."""
