"""How much space is there where a folder is, or will be?"""

from __future__ import annotations

import shutil
from pathlib import Path


def nearest_folder(path: Path) -> Path:
    """Return the path, or the nearest one above it that is a folder now. Raises OSError where nobody may look."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def free_at(folder: Path) -> int:
    """Return how many bytes are free where a folder is, or would be made. Raises OSError."""
    return shutil.disk_usage(nearest_folder(folder)).free


def device_at(folder: Path) -> int:
    """Return which file system a folder is on, or will be (`st_dev`). Raises OSError."""
    return nearest_folder(folder).stat().st_dev
