"""What exactly did a client send, and what did it get?

Bodies of requests and answers, in memory only, bounded as a whole and each, for a person who looks for a mistake. Off
unless the configuration says `captureBuffer`. Headers that carry secrets are never kept.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

SECRET_HEADER = re.compile(r"auth|cookie|key|passw|secret|token")
"""In the name, lower case: rather one too many than a secret."""
REDACTED = "[REDACTED]"
LARGEST_PART = 4
"""One body may take one part in so many of the whole."""
BINARY = ("audio/", "image/", "video/", "application/octet-stream")


@dataclass(slots=True)
class Body:
    """One body, perhaps cut at its end."""

    limit: int
    pieces: list[bytes] = field(default_factory=list)
    kept: int = 0
    size: int = 0

    def add(self, data: bytes) -> None:
        """Keep what fits."""
        self.size += len(data)
        left = self.limit - self.kept
        if left > 0 and data:
            self.pieces.append(data[:left])
            self.kept += min(left, len(data))

    @property
    def data(self) -> bytes:
        """What was kept."""
        return b"".join(self.pieces)

    @property
    def cut(self) -> bool:
        """Whether the end is missing."""
        return self.kept < self.size


@dataclass(slots=True)
class Capture:
    """One request and its answer. Headers are (name, value), names in lower case."""

    method: str
    path: str
    request_headers: list[tuple[str, str]]
    request: Body
    response: Body
    status: int = 0
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    in_chunks: bool = False
    """Whether the answer was kept as it passed, between the sizes of its chunks."""

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        headers = (*self.request_headers, *self.response_headers)
        return self.request.kept + self.response.kept + sum(len(name) + len(value) for name, value in headers)

    def answered(self, status: int, lines: Iterable[bytes], *, in_chunks: bool) -> None:
        """Note the head of the answer. Sounds and pictures are not kept."""
        self.status = status
        self.in_chunks = in_chunks
        self.response_headers = headers_of(lines)
        if dict(self.response_headers).get("content-type", "").startswith(BINARY):
            self.response.limit = 0


class Captures:
    """The newest captures, by the id of their row of activity; `max_bytes` 0 switches capturing off."""

    def __init__(self, max_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, Capture] = OrderedDict()
        self._bytes = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self._max_bytes > 0

    def resize(self, max_bytes: int) -> None:
        """Use another bound; what no longer fits is forgotten."""
        self._max_bytes = max_bytes
        self._shrink()

    def begin(self, method: str, path: str, lines: Iterable[bytes]) -> Capture:
        """Return an empty capture of a request; `lines` are its header lines."""
        limit = self._max_bytes // LARGEST_PART
        headers = headers_of(lines)
        binary = dict(headers).get("content-type", "").startswith(("multipart/", *BINARY))
        return Capture(method, path, headers, Body(0 if binary else limit), Body(limit))

    def keep(self, row_id: int, capture: Capture) -> bool:
        """Keep a capture that is complete; return whether it fits."""
        self._kept[row_id] = capture
        self._bytes += capture.size
        self._shrink()
        return row_id in self._kept

    def get(self, row_id: int) -> Capture | None:
        """Return a capture; None when it was never made, or forgotten."""
        return self._kept.get(row_id)

    def _shrink(self) -> None:
        while self._kept and self._bytes > self._max_bytes:
            _id, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size


def headers_of(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    """Return header lines as pairs, secrets redacted.

    Without Content-Length: heads are remembered without its number (`gateway.head`); `Body.size` has it.
    """
    found = []
    for line in lines:
        raw_name, _, value = line.partition(b":")
        name = raw_name.decode("latin-1").strip().lower()
        if name == "content-length":
            continue
        found.append((name, REDACTED if SECRET_HEADER.search(name) else value.decode("latin-1").strip()))
    return found
