"""Into which folder does a download go?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from claracore.errors import BadRequest
from claracore.host.places import models_folder
from claracore.host.supervisor.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where downloads go, by what the configuration in force says."""

    configuration: Configuration
    followed: tuple[Path, ...] = ()
    """Folders whose models are served as soon as they are there."""

    def usual(self) -> Path:
        """Return where downloads go when nobody says: `downloadDir`, a folder that is followed, or the usual one.

        `downloadDir` is relative to the folder of the configuration; the usual one is `models_folder`.
        """
        sources, download_dir = self.configuration.sources, self.configuration.now.config.download_dir
        beside = Path(os.path.abspath(sources.file.parent if sources.file else sources.folder or Path()))  # noqa: PTH100 - links stay
        if download_dir:
            return Path(os.path.normpath(beside / _expanded(download_dir)))
        return self.followed[0] if self.followed else models_folder(sources.file, beside)

    def chosen(self, to: str | None) -> Path:
        """Return the folder that a person names, or the usual one. Raises BadRequest for one that is not absolute."""
        if to is None or not to.strip():
            return self.usual()
        folder = _expanded(to.strip())
        if not folder.is_absolute() or "\0" in to:
            raise BadRequest(f"{to!r}: write the whole path of the folder", param="to")
        return Path(os.path.normpath(folder))


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise BadRequest(f"{text}: {error}; write the whole path of the folder", param="to") from error
