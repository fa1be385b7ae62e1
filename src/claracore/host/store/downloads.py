"""Where is the list of downloads kept?

One JSON file for each configuration, in the state directory; replaced as a whole at every change of state. How far a
download is, is known by the sizes of its files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from claracore.host.library.download import OPEN, Download, DownloadStore
from claracore.host.state_file import StateFile, typed

MOST_ENDED: Final = 50


class Kept(msgspec.Struct):
    """The file's contents."""

    downloads: list[Download]


class DownloadStoreOnDisk(DownloadStore):
    """A file with the list."""

    def __init__(self, state_dir: Path, key: str) -> None:
        """`key` names the configuration: two ClaraCores of one user do not share their downloads."""
        self.path = state_dir / "downloads" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
        self._file = StateFile(self.path, typed(Kept), without="earlier downloads are forgotten, their files stay")

    def load(self) -> list[Download]:
        """Return what was kept; nothing when that cannot be read."""
        kept = self._file.read()
        return kept.downloads if kept is not None else []

    def save(self, downloads: Iterable[Download]) -> None:
        """Keep the list; where the disk refuses, the list is lost at the end, and nothing else."""
        every = list(downloads)
        ended = [download for download in every if download.status not in OPEN and download.ended_at is not None]
        dropped = {download.id for download in ended[:-MOST_ENDED]}
        kept = [replace(download, samples=[], quiet_seconds=None) for download in every if download.id not in dropped]
        self._file.save(Kept(kept))
