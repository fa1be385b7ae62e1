"""What is kept of one inference request, in which columns, and how is it asked for?

Pure. Requests are much alike: what they have in common (the *subject*: model, path, status, client ...) is kept once, a
row has its number and its own measures. So a row is small, writing one touches little, and whatever is looked for in
words is looked for in the few subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

Measures = tuple[float | None, ...]
"""The fields of a `Row` before `model`, in their order."""

Subject = tuple[str | int | None, ...]
"""Its other fields."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One inference request that is over. `at` is when it came, in unix seconds; None is "not known"."""

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
    has_capture: bool
    model: str
    requested: str
    path: str
    status: int
    stream: bool
    key: str | None
    client: str
    error: str | None
    content_type: str


COLUMNS: Final = Row.__struct_fields__
FIRST_OF_SUBJECT: Final = COLUMNS.index("model")
MEASURES: Final = COLUMNS[:FIRST_OF_SUBJECT]
SUBJECT: Final = COLUMNS[FIRST_OF_SUBJECT:]

_TYPES: Final = {"int": "INTEGER", "float": "REAL", "str": "TEXT", "bool": "INTEGER"}
_ANNOTATIONS: Final = {name: str(Row.__annotations__[name]) for name in COLUMNS}
_BOOLEANS: Final = tuple(place for place, name in enumerate(COLUMNS) if _ANNOTATIONS[name] == "bool")
_ROUNDED: Final = tuple(place for place, name in enumerate(COLUMNS) if name.endswith(("_seconds", "_per_second")))

SUMMED: Final = ("prompt_tokens", "cached_tokens", "completion_tokens")
"""Besides their number, what is added up for each subject: adding up 100,000 rows takes 100 ms, reading sums 0.1."""


def sql_type(name: str) -> str:
    """Return a column's type as SQLite has it."""
    kind, _, optional = _ANNOTATIONS[name].partition(" | ")
    return _TYPES[kind] + ("" if optional else " NOT NULL")


def row_of(values: Iterable[Any]) -> Row:
    """Return the row that a query of `COLUMNS` gives, its times in whole microseconds."""
    kept = list(values)
    for place in _BOOLEANS:
        kept[place] = bool(kept[place])
    for place in _ROUNDED:
        if kept[place] is not None:
            kept[place] = round(kept[place], 6)
    return Row(*kept)


class Adder(Protocol):
    """Adds a condition."""

    def __call__(self, sql: str, *its: object) -> None:
        """Add it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a query: SQL without WHERE, empty for "all", and its values."""

    sql: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to return; None (or an empty tuple) means all. Times are unix seconds."""

    models: tuple[str, ...] = ()
    status: str | None = None
    """`200`, `4xx`, `error` (400 and more, or cut off) or `ok`."""
    text: str | None = None
    """Contained in model, path, client, key or error."""
    start: float | None = None
    end: float | None = None
    min_id: int | None = None
    max_id: int | None = None
    sort: str = "id"
    descending: bool = True

    def subjects(self) -> Condition:
        """Return what the subject must be like."""
        add, condition = _adder()
        if self.models:
            add(f"model IN ({', '.join('?' * len(self.models))})", *self.models)
        if self.status is not None:
            _add_status(self.status, add)
        if self.text:
            escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            add(f"{_TEXT} LIKE ? ESCAPE '\\'", f"%{escaped}%")
        return condition()

    def rows(self) -> Condition:
        """Return what the row itself must be like."""
        add, condition = _adder()
        for sql, value in (
            ("at >= ?", self.start),
            ("at < ?", self.end),
            ("activity.id >= ?", self.min_id),
            ("activity.id <= ?", self.max_id),
        ):
            if value is not None:
                add(sql, value)
        return condition()

    def order(self) -> str:
        """Return the ORDER BY; what is no column is the id."""
        # Both tables have a column for some: the row's tokens, and the sums of its subject.
        column = f"{'subjects' if self.sort in SUBJECT else 'activity'}.{self.sort if self.sort in COLUMNS else 'id'}"
        direction = "DESC" if self.descending else "ASC"
        return f" ORDER BY {column} {direction}" + ("" if column == "activity.id" else f", activity.id {direction}")


ERROR: Final = "(status >= 400 OR status = 0 OR error IS NOT NULL)"
_TEXT: Final = (
    "("
    + " || char(10) || ".join(
        f"ifnull({name}, '')" for name in ("model", "requested", "path", "client", "key", "error")
    )
    + ")"
)


def _adder() -> tuple[Adder, Callable[[], Condition]]:
    parts: list[str] = []
    values: list[object] = []

    def add(sql: str, *its: object) -> None:
        parts.append(sql)
        values.extend(its)

    return add, lambda: Condition(" AND ".join(parts), tuple(values))


def _add_status(status: str, add: Adder) -> None:
    if status == "error":
        add(ERROR)
    elif status == "ok":
        add("(status BETWEEN 1 AND 399 AND error IS NULL)")
    elif len(status) == 3 and status[0].isdigit() and status[1:] == "xx":
        add("status BETWEEN ? AND ?", int(status[0]) * 100, int(status[0]) * 100 + 99)
    else:
        add("status = ?", int(status) if status.isascii() and status.isdigit() and len(status) < 9 else -1)
