"""Files whose pages can be dropped from memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claracore.core.units import MIB
from claracore.host.loading.page_cache import cached_share

SIZE = 40 * MIB


def on_disk(path: Path, size: int = SIZE) -> Path:
    """Write a file, and drop its pages; the test is skipped where the system keeps them (a disk in memory)."""
    with path.open("wb", buffering=0) as file:
        file.write(os.urandom(size))
        os.fsync(file.fileno())
    drop(path)
    if cached_share(str(path)) != 0.0:
        pytest.skip("pages of files cannot be dropped, or seen, here")
    return path


def drop(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
