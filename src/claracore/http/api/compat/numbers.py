"""How do other systems write a time, and a number that is not known?"""

from __future__ import annotations

from datetime import UTC, datetime


def known(value: float | None) -> float:
    """Return a number; clients of llama-swap and of the first ClaraCore know -1 as "not known"."""
    return -1 if value is None else value


def rfc3339(at: float) -> str:
    """Return unix seconds as RFC 3339 in UTC, to the second.

    >>> rfc3339(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
