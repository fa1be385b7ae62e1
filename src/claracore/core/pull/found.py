"""What does the hub say of the repositories that a search has found?

Its JSON is data from a stranger: what has not the expected shape is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from claracore.core.pull.reference import parse
from claracore.errors import BadRequest

WANTED = ("downloads", "likes", "gated", "gguf", "tags", "pipeline_tag", "lastModified")
"""What the hub is asked to say of each."""


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """One repository with .gguf files."""

    repo: str
    downloads: int | None
    """In the last month."""
    likes: int | None
    gated: bool
    """Whether its owner wants to know who fetches it."""
    parameters: int | None
    context: int | None
    """Tokens that it was trained with."""
    licence: str
    """Empty when the hub names none."""
    task: str
    """As the hub calls it, `text-generation` for one; may be empty."""
    changed: str
    """When it was changed last, ISO 8601; may be empty."""


def repositories_found(entries: object) -> list[FoundRepository]:
    """Return the repositories of a search, as the hub orders them."""
    rows: Iterable[object] = entries if isinstance(entries, list) else ()
    return [_repository(row) for row in rows if isinstance(row, dict) and _is_repository(row.get("id"))]


def _is_repository(name: object) -> bool:
    try:
        return isinstance(name, str) and parse(name).repo == name
    except BadRequest:
        return False


def _repository(row: Mapping[str, Any]) -> FoundRepository:
    header = row.get("gguf")
    gguf: Mapping[str, Any] = header if isinstance(header, dict) else {}
    return FoundRepository(
        repo=row["id"],
        downloads=_count(row.get("downloads")),
        likes=_count(row.get("likes")),
        gated=bool(row.get("gated")),
        parameters=_count(gguf.get("total")),
        context=_count(gguf.get("context_length")),
        licence=_licence(row.get("tags")),
        task=_text(row.get("pipeline_tag")),
        changed=_text(row.get("lastModified")),
    )


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e18 else None


def _text(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""


def _licence(tags: object) -> str:
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return next((_text(word.removeprefix("license:")) for word in words if word.startswith("license:")), "")
