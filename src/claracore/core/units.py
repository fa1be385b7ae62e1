"""How is a number of bytes, or of things, written for people?

Memory by powers of 1024, as every tool that shows memory does; files by powers of 1000, as hubs and file managers do.
"""

from __future__ import annotations

from typing import Final

GIB: Final = 1024**3
MIB: Final = 1024**2
SOON_SECONDS: Final = 1.5
"""What takes less is not worth a word."""


def gib(size: int) -> str:
    """Return bytes of memory as text: `4.2 GiB`, `512 MiB` or `96 KiB`."""
    if size < 0:
        return f"-{gib(-size)}"
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    return f"{size / MIB:.0f} MiB" if size >= MIB else f"{size / 1024:.0f} KiB"


def gb(size: float, digits: int = 1) -> str:
    """Return bytes of a file as text: `4.7 GB` with so many digits (from 0.1 GB on), `82.5 MB` or `840 B`."""
    if size >= 1e8:
        return f"{size / 1e9:.{digits}f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:.0f} B"


def about(seconds: float | None) -> str:
    """Return how long something will take: `about 8 s`, `about 3 min`; nothing where it is not known, or over soon."""
    if seconds is None or seconds < SOON_SECONDS:
        return ""
    return f"about {lasting(seconds)}"


def lasting(seconds: float) -> str:
    """Return a time as people say it: `45 s`, `29 min`, `5 h`, `3 days`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 47.5 * 3600 else f"{seconds / 86400:.0f} days"


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: `1 model`, `2 models`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
