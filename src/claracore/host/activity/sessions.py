"""To which session of its client does a request belong?

Pure. Clients say so in a header; the configuration names which (`ui.activity.session_id`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LONGEST = 128
"""Of a name, what comes behind this is cut off: each session is kept once for all its requests."""

_ID: Final = b"x-request-id"


class SessionReader:
    """Reads the session from a request's header lines; requests that share them one after the other are read once."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Take the names of the headers, in any case; without any no request has a session."""
        self._names = frozenset(name.lower().encode() for name in names)
        self._lines: Sequence[bytes] | None = None
        self._session: str | None = None

    def session_of(self, header_lines: Sequence[bytes], chosen_id: bytes = b"") -> str | None:
        """Return the value of the first header that is wanted and not empty; None when there is none.

        `chosen_id`: the X-Request-Id of the client, whose line was taken out of the others; it counts as the last one.
        """
        if header_lines is not self._lines:
            self._lines, self._session = header_lines, self._found(header_lines)
        if self._session is None and chosen_id and _ID in self._names:
            return chosen_id.decode()
        return self._session

    def _found(self, header_lines: Sequence[bytes]) -> str | None:
        if not self._names:
            return None
        for line in header_lines:
            name, _, value = line.partition(b":")
            if name.lower() in self._names and (text := value.strip()):
                return text[:LONGEST].decode("latin-1")
        return None
