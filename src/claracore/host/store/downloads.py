"""Where is the list of downloads kept?

One JSON file for each configuration, in the state directory; replaced as a whole at every change of state. How far a
download is, is known by the sizes of its files.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from claracore.host.disk import keep_private
from claracore.host.library.download import OPEN, Download, DownloadStore

MOST_ENDED: Final = 50
_log = logging.getLogger("claracore.downloads")


class Kept(msgspec.Struct):
    """The file's contents."""

    downloads: list[Download]


class DownloadStoreOnDisk(DownloadStore):
    """A file with the list."""

    def __init__(self, state_dir: Path, key: str) -> None:
        """`key` names the configuration: two ClaraCores of one user do not share their downloads."""
        self.path = state_dir / "downloads" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"

    def load(self) -> list[Download]:
        """Return what was kept; nothing when that cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept, dec_hook=_path).downloads
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, ValueError) as error:
            _log.warning("%s cannot be read (%s): earlier downloads are forgotten, their files stay", self.path, error)
            return []

    def save(self, downloads: Iterable[Download]) -> None:
        """Keep the list; where the disk refuses, which is logged, the list is lost at the end, and nothing else."""
        every = list(downloads)
        ended = [download for download in every if download.status not in OPEN and download.ended_at is not None]
        dropped = {download.id for download in ended[:-MOST_ENDED]}
        kept = Kept(
            [replace(download, samples=[], quiet_seconds=None) for download in every if download.id not in dropped]
        )
        try:
            keep_private(self.path, msgspec.json.encode(kept, enc_hook=_plain), flush=False)
        except OSError as error:
            _log.warning("the list of downloads cannot be kept: %s", error)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _path(kind: type, value: Any) -> Any:  # noqa: ANN401 - as msgspec calls it
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
