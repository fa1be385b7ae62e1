"""How does a list of models look to clients of Anthropic's API?

They ask on the same path as OpenAI's and say who they are by a header, `anthropic-version`. Facts:
docs.anthropic.com/en/api/models-list; the SDK reads every field that is here (`anthropic/types/model_info.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from claracore.errors import BadRequest

UNKNOWN: Final = "1970-01-01T00:00:00Z"
"""When a model was released of which that is not known, as their API says it."""
_MOST, _USUAL = 1000, 20


def as_anthropics(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of OpenAI's list as one of Anthropic's."""
    return {
        "type": "model",
        "id": row["id"],
        "display_name": row.get("name") or row["id"],
        "created_at": UNKNOWN,
        "lifecycle": "active",
        "max_input_tokens": row.get("context_length") or row.get("meta", {}).get("n_ctx"),
        "max_tokens": None,
    }


def page_of(rows: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the page of Anthropic's list that the query asks for, by `limit`, `after_id` or `before_id`.

    Raises BadRequest.
    """
    limit = _limit(query.get("limit"))
    ids = [row["id"] for row in rows]
    begin, end = 0, len(rows)
    if "after_id" in query:
        begin = _place(ids, query["after_id"]) + 1
    if "before_id" in query:
        end = _place(ids, query["before_id"])
    chosen = rows[begin:end]
    backwards = "before_id" in query and "after_id" not in query
    page = chosen[-limit:] if backwards else chosen[:limit]
    return {
        "data": [as_anthropics(row) for row in page],
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(page) < len(chosen),
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL
    limit = int(text) if len(text) <= len(str(_MOST)) and text.isascii() and text.isdigit() else 0
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"'limit' must be a number from 1 to {_MOST}", param="limit")
    return limit


def _place(ids: list[str], wanted: str) -> int:
    if wanted not in ids:
        raise BadRequest(f"there is no model {wanted[:100]!r} to page by")
    return ids.index(wanted)
