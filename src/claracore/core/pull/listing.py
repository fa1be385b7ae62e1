"""What does the hub say is in a repository?

Reads the hub's JSON and headers as data from a stranger: what is no file, or has a name that could lead out of the
download folder, is not in the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from claracore.core.pull.reference import is_safe_path

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_NEXT: Final = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next"?', re.IGNORECASE)
LARGEST_BYTES: Final = 1 << 50


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository."""

    path: str
    size: int
    sha256: str | None
    """Of the contents, when the file is in large file storage, as every real model is."""
    blob: str | None = None
    """Else git's own name for it: the SHA-1 of a head with the size and of the contents."""


def files_of(entries: object) -> list[RemoteFile]:
    """Return the files of one page of `/api/models/{repo}/tree/{revision}`."""
    return [file for entry in entries if (file := _file(entry)) is not None] if isinstance(entries, list) else []


def _file(entry: object) -> RemoteFile | None:
    match entry:
        case {"type": "file", "path": str(path), **rest} if is_safe_path(path):
            stored = rest.get("lfs")
            lfs: dict[str, Any] = stored if isinstance(stored, dict) else {}
            size = lfs.get("size", rest.get("size"))
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST_BYTES:
                return None
            return RemoteFile(path, size, _hex(lfs.get("oid"), _SHA256), _hex(rest.get("oid"), _SHA1))
    return None


def _hex(value: object, form: re.Pattern[str]) -> str | None:
    text = value.lower().removeprefix("sha256:") if isinstance(value, str) else ""
    return text if form.fullmatch(text) else None


def next_page(link: str | None, url: str) -> str | None:
    """Return the address of the page that a `Link` header calls the next; None on the last one."""
    found = _NEXT.search(link or "")
    return urljoin(url, found[1]) if found else None


def names_found(entries: object) -> list[str]:
    """Return the repositories of a search, as the hub orders them."""
    rows: Iterable[object] = entries if isinstance(entries, list) else ()
    return [row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
