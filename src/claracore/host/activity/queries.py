"""Which rows of activity does somebody want, and how is that asked in SQL?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final, Protocol

from claracore.host.activity.rows import CLIENT_LEFT, COLUMNS, MEASURES, SUBJECT, ActivityRow, row_of

ROWS: Final = "claracore_activity AS activity"
ROWS_WITH_SUBJECTS: Final = f"{ROWS} JOIN claracore_subjects AS subjects ON subjects.id = activity.subject"
_ALL: Final = ", ".join(
    [*(f"activity.{name}" for name in MEASURES), *(f"subjects.{name}" for name in SUBJECT)],
)


class Adder(Protocol):
    """Adds a condition, all of which must hold."""

    def __call__(self, sql: str, *values: object) -> None:
        """Add SQL with its values."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a query: SQL without WHERE, empty for "all", and its values."""

    sql: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to return; None (or an empty tuple) means all. Times are unix seconds."""

    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Names of the clients' keys."""
    status: str | None = None
    """`200`, `4xx`, `error` (400 and more, or cut off), `left` (the client went away) or `ok`."""
    text: str | None = None
    """Contained in model, path, client, key, error, session, selector, machine or request id."""
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
        if self.keys:
            add(f"key IN ({', '.join('?' * len(self.keys))})", *self.keys)
        if self.status is not None:
            _add_status(self.status, add)
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
        if self.text:
            escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            add(_CONTAINED, *[f"%{escaped}%"] * 2)
        return condition()

    def order(self) -> str:
        """Return the ORDER BY; what is no column is the id."""
        # Both tables have a column for some: the row's tokens, and the sums of its subject.
        column = f"{'subjects' if self.sort in SUBJECT else 'activity'}.{self.sort if self.sort in COLUMNS else 'id'}"
        direction = "DESC" if self.descending else "ASC"
        return f" ORDER BY {column} {direction}" + ("" if column == "activity.id" else f", activity.id {direction}")


ERROR: Final = f"(status >= 400 OR ((status = 0 OR error IS NOT NULL) AND error IS NOT '{CLIENT_LEFT}'))"
"""Whoever stops an answer has not seen it fail."""
_TEXT: Final = (
    "("
    + " || char(10) || ".join(
        f"ifnull({name}, '')"
        for name in ("model", "requested", "path", "client", "key", "error", "session", "selector", "node")
    )
    + ")"
)
_LIKE: Final = "LIKE ? ESCAPE '\\'"
_CONTAINED: Final = (
    f"(subject IN (SELECT id FROM claracore_subjects WHERE {_TEXT} {_LIKE}) OR activity.request_id {_LIKE})"  # noqa: S608 - names of our own fields
)


def _adder() -> tuple[Adder, Callable[[], Condition]]:
    parts: list[str] = []
    values: list[object] = []

    def add(sql: str, *bound: object) -> None:
        parts.append(sql)
        values.extend(bound)

    return add, lambda: Condition(" AND ".join(parts), tuple(values))


def _add_status(status: str, add: Adder) -> None:
    if status == "error":
        add(ERROR)
    elif status == "left":
        add("error = ?", CLIENT_LEFT)
    elif status == "ok":
        add("(status BETWEEN 1 AND 399 AND error IS NULL)")
    elif len(status) == 3 and status[0].isdigit() and status[1:] == "xx":
        add("status BETWEEN ? AND ?", int(status[0]) * 100, int(status[0]) * 100 + 99)
    else:
        add("status = ?", int(status) if status.isascii() and status.isdigit() and len(status) < 9 else -1)


def page(connection: Connection, wanted: Wanted, limit: int, offset: int) -> list[ActivityRow]:
    """Return the wanted rows of one page."""
    where, values = _where(wanted)
    # Only ids are sorted: carrying whole rows through a sort of 100,000 takes ten times as long.
    tables = ROWS_WITH_SUBJECTS if wanted.sort in SUBJECT else ROWS
    chosen = f"SELECT activity.id FROM {tables}{where}{wanted.order()} LIMIT ? OFFSET ?"  # noqa: S608 - names of our own fields, values are bound
    query = f"SELECT {_ALL} FROM {ROWS_WITH_SUBJECTS} WHERE activity.id IN ({chosen}){wanted.order()}"  # noqa: S608 - as above
    return [row_of(row) for row in connection.execute(query, [*values, limit, offset]).fetchall()]


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    """Return WHERE with its values; empty for all rows."""
    subjects, rows = wanted.subjects(), wanted.rows()
    chosen = Condition("")
    if subjects.sql:
        query = f"subject IN (SELECT id FROM claracore_subjects WHERE {subjects.sql})"  # noqa: S608 - values are bound
        chosen = Condition(query, subjects.values)
    parts = [part for part in (chosen, rows) if part.sql]
    where = " WHERE " + " AND ".join(part.sql for part in parts) if parts else ""
    return where, [value for part in parts for value in part.values]


def count(connection: Connection, wanted: Wanted) -> int:
    """Return how many rows are wanted."""
    if wanted.rows().sql:
        where, values = _where(wanted)
        query = f"SELECT count(*) FROM {ROWS}{where}"  # noqa: S608 - values are bound
    else:
        subjects = wanted.subjects()
        where, values = (f" WHERE {subjects.sql}" if subjects.sql else ""), list(subjects.values)
        query = f"SELECT ifnull(sum(requests), 0) FROM claracore_subjects{where}"  # noqa: S608 - values are bound
    return int(connection.execute(query, values).fetchone()[0])


def tokens_by_key(connection: Connection, since: float) -> dict[str, int]:
    """Return how many tokens, read and written, the requests with each key have taken since a unix time."""
    taken = "sum(ifnull(activity.prompt_tokens, 0) + ifnull(activity.completion_tokens, 0))"
    query = f"SELECT key, {taken} FROM {ROWS_WITH_SUBJECTS} WHERE at >= ? AND key IS NOT NULL GROUP BY key"  # noqa: S608 - values are bound
    return {str(key): int(tokens) for key, tokens in connection.execute(query, [since]).fetchall()}
