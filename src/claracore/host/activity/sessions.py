"""To which session of its client does a request belong?

Pure. Clients say so in a header; the configuration names which (`ui.activity.session_id`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

LONGEST = 128
"""Of a name, what comes behind this is cut off: each session is kept once for all its requests."""


def header_set(names: Iterable[str]) -> frozenset[bytes]:
    """Return names of headers as they are compared: lower case, encoded."""
    return frozenset(name.lower().encode() for name in names)


def session_of(header_lines: Iterable[bytes], wanted: Collection[bytes]) -> str | None:
    """Return the value of the first header that is wanted and not empty; None when there is none."""
    for line in header_lines:
        name, _, value = line.partition(b":")
        if name.lower() in wanted and (text := value.strip()):
            return text[:LONGEST].decode("latin-1")
    return None
