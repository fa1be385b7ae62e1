"""What is kept of one inference request, in which columns?

Pure. Requests are much alike: what they have in common (the *subject*: model, path, status, client ...) is kept once, a
row has its number and its own measures. So a row is small, writing one touches little, and whatever is looked for in
words is looked for in the few subjects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

CLIENT_LEFT: Final = "the client left"
"""The `error` of a request whose client went away before its answer was whole: a person who stops it, mostly."""


class ActivityRow(msgspec.Struct, frozen=True, gc=False):
    """One inference request that is over. `at` is when it came, in unix seconds; None is "not known".

    `tokens_counted`: nobody said how many `completion_tokens` there were; they were counted as they came, about.
    Its own measures come first, in the order in which they are written; `model` is the first of its subject.
    """

    id: int
    at: float
    queue_seconds: float | None
    load_seconds: float | None
    first_token_seconds: float | None
    total_seconds: float
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    prompt_per_second: float | None
    tokens_per_second: float | None
    draft_tokens: int | None
    accepted_tokens: int | None
    tokens_counted: bool
    has_capture: bool
    request_id: str | None
    """By which its client and other machines know it (`X-Request-Id`)."""
    model: str
    requested: str
    path: str
    status: int
    stream: bool
    key: str | None
    client: str
    error: str | None
    content_type: str
    session: str | None
    selector: str | None
    priority: int | None
    node: str | None = None
    """The other machine that has answered, or was to."""


COLUMNS: Final = ActivityRow.__struct_fields__
FIRST_OF_SUBJECT: Final = COLUMNS.index("model")
MEASURES: Final = COLUMNS[:FIRST_OF_SUBJECT]
SUBJECT: Final = COLUMNS[FIRST_OF_SUBJECT:]

_TYPES: Final = {"int": "INTEGER", "float": "REAL", "str": "TEXT", "bool": "INTEGER"}
_ANNOTATIONS: Final = {name: str(ActivityRow.__annotations__[name]) for name in COLUMNS}
_BOOLEANS: Final = tuple(place for place, name in enumerate(COLUMNS) if _ANNOTATIONS[name] == "bool")
_ROUNDED: Final = tuple(place for place, name in enumerate(COLUMNS) if name.endswith(("_seconds", "_per_second")))

SUMMED: Final = ("prompt_tokens", "cached_tokens", "completion_tokens")
"""Besides their number, what is added up for each subject: adding up 100,000 rows takes 100 ms, reading sums 0.1."""


def sql_type(name: str) -> str:
    """Return a column's type as SQLite has it."""
    kind, _, optional = _ANNOTATIONS[name].partition(" | ")
    return _TYPES[kind] + ("" if optional else " NOT NULL")


def row_of(values: Iterable[Any]) -> ActivityRow:
    """Return the row that a query of `COLUMNS` gives, its times in whole microseconds."""
    kept = list(values)
    for place in _BOOLEANS:
        kept[place] = bool(kept[place])
    for place in _ROUNDED:
        if kept[place] is not None:
            kept[place] = round(kept[place], 6)
    return ActivityRow(*kept)
