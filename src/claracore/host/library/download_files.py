"""What of a download is on the disk, and is there room for the rest? Blocking."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from claracore.core.pull.plan import part_of
from claracore.core.units import gb
from claracore.errors import DiskFull
from claracore.host.disk_space import device_at, free_at
from claracore.host.library.download import RUNNING, Download
from claracore.host.library.partial import FolderUnusable

SPARE_BYTES: Final = 256 * 1024 * 1024
"""Disk space that a download leaves alone."""


def look_at_files(download: Download) -> None:
    """Set `done` and `complete` of each file to what an earlier attempt has left."""
    for file, path in zip(download.files, download.paths, strict=True):
        size, whole = size_of(path), file.remote.size
        file.complete = file.complete and size == whole
        file.done = min(size if size is not None else size_of(path.with_name(part_of(path))) or 0, whole)


def check_room(download: Download, all_downloads: Iterable[Download]) -> None:
    """Raise DiskFull when the rest does not fit beside what others that run have still to write to the same disk.

    Raises FolderUnusable when that cannot be known.
    """
    free, device = free_bytes(download.folder), device_of(download.folder)
    promised = sum(
        other.total - other.done
        for other in all_downloads
        if other is not download and other.status in RUNNING and device_of(other.folder) == device
    )
    needed = download.total - download.done
    if needed + promised + SPARE_BYTES > free and needed > 0:
        beside = f" beside {gb(promised)} for downloads under way" if promised else ""
        raise DiskFull(
            f"{download.reference} needs {gb(needed)} more in {download.folder}{beside}, where {gb(free)} are "
            "free; make room, or choose another folder",
            param="to",
        )


def delete_fetched(download: Download) -> None:
    """Delete what was fetched for a download, and the folders that it leaves empty. What cannot be deleted stays."""
    parts = (path.with_name(part_of(path)) for path in download.paths)
    delete_files((*parts, *fetched_by(download)), download.folder)


def fetched_by(download: Download) -> set[Path]:
    """Return the files that are there because of a download, and were not before."""
    return {path for file, path in zip(download.files, download.paths, strict=True) if file.complete and not file.found}


def delete_files(paths: Iterable[Path], below: Path) -> None:
    """Delete files, and the folders that they leave empty `below` one. What cannot be deleted stays."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == below:
                break
            with contextlib.suppress(OSError):
                folder.rmdir()


def free_bytes(folder: Path) -> int:
    """Return how much room there is in a folder, which need not exist yet. Raises FolderUnusable."""
    try:
        return free_at(folder)
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be used: {error.strerror or error}") from error


def device_of(folder: Path) -> int | None:
    """Return which disk a folder is on, or will be; None when nobody may know."""
    try:
        return device_at(folder)
    except OSError:
        return None


def size_of(path: Path) -> int | None:
    """Return the size of a file; None when there is none to be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return None
