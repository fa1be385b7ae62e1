"""Which requests were there, how did they go, and how long did each part take?

Rows go to a SQLite file (WAL) through one writer thread that takes what has come in a moment at once: whoever adds a
row never waits, and a kill -9 loses at most the last half second. The thread is woken once a moment, not once a row:
every wake-up hands Python's lock to and fro, which costs as much as all the rest. The number and the age of rows are
bounded. Readers have connections of their own; call them from a thread.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol

from claracore.errors import ClaraCoreError

logger = logging.getLogger("claracore.activity")

BATCH_SECONDS = 0.25
PRUNE_EVERY_ROWS = 1_000
MANY_ROWS = 2_000
"""From so many on it is quicker to look at all rows in their order than to fetch the wanted ones one by one."""
BUSY_SECONDS = 5.0


class StoreUnusable(ClaraCoreError):
    """The activity file cannot be opened, read or written; the message names it and the reason."""

    code = "store_unusable"


# Not frozen: freezing triples the time that making one takes. Never changed all the same.
@dataclass(slots=True)
class Row:
    """One inference request that is over. `at` is when it came, in unix seconds; None is "not known"."""

    id: int
    at: float
    model: str
    requested: str
    path: str
    status: int
    stream: bool
    key: str | None
    client: str
    queue_seconds: float | None
    load_seconds: float | None
    first_token_seconds: float | None
    total_seconds: float
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    prompt_per_second: float | None
    tokens_per_second: float | None
    error: str | None
    has_capture: bool
    content_type: str
    draft_tokens: int | None = None
    accepted_tokens: int | None = None


COLUMNS: Final = tuple(field.name for field in fields(Row))
_VALUES: Final = attrgetter(*COLUMNS)
"""Of a row, in the order of the columns; `dataclasses.astuple` copies each value and takes fifteen times as long."""
BOOLEANS: Final = frozenset({"stream", "has_capture"})
_TYPES: Final = {"int": "INTEGER", "float": "REAL", "str": "TEXT", "bool": "INTEGER"}


def _schema() -> str:
    """Return the table as SQL, made from the fields of `Row`."""
    columns = []
    for field in fields(Row):
        kind, _, optional = str(field.type).partition(" | ")
        key = " PRIMARY KEY" if field.name == "id" else "" if optional else " NOT NULL"
        columns.append(f"{field.name} {_TYPES[kind]}{key}")
    return (
        f"CREATE TABLE IF NOT EXISTS activity ({', '.join(columns)});"
        "CREATE INDEX IF NOT EXISTS activity_at ON activity (at);"
    )


ERROR: Final = "(status >= 400 OR status = 0 OR error IS NOT NULL)"
_INDEXES: Final = f"""
CREATE INDEX IF NOT EXISTS activity_error ON activity (id) WHERE {ERROR};
CREATE INDEX IF NOT EXISTS activity_subject ON activity (subject);
CREATE INDEX IF NOT EXISTS activity_newest
    ON activity (model, id, first_token_seconds, tokens_per_second, prompt_per_second);
DROP INDEX IF EXISTS activity_model;
"""
"""`activity_newest` has all that `store.stats` reads; `activity_model` was of an older version."""

# What text is looked for in. Requests are much alike: each different text is kept, and searched, once.
_SUBJECT: Final = " || char(10) || ".join(
    f"ifnull({name}, '')" for name in ("model", "requested", "path", "client", "key", "error")
)
_SUBJECTS: Final = "CREATE TABLE IF NOT EXISTS subjects (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
_NEW_SUBJECTS: Final = (
    f"INSERT OR IGNORE INTO subjects (text) SELECT {_SUBJECT} FROM activity WHERE subject IS NULL",  # noqa: S608 - names of our own
    f"UPDATE activity SET subject = (SELECT id FROM subjects WHERE text = {_SUBJECT}) WHERE subject IS NULL",  # noqa: S608 - names of our own
)
_OLD_SUBJECTS: Final = "DELETE FROM subjects WHERE NOT EXISTS (SELECT 1 FROM activity WHERE subject = subjects.id)"

# Sums are kept up by the database itself: adding up 100,000 rows takes 100 ms, reading these 0.1 ms.
_SUMS: Final = {
    "requests": "1",
    "errors": "(R.status >= 400 OR R.status = 0 OR R.error IS NOT NULL)",
    "prompt_tokens": "ifnull(R.prompt_tokens, 0)",
    "cached_tokens": "ifnull(R.cached_tokens, 0)",
    "completion_tokens": "ifnull(R.completion_tokens, 0)",
}


def _trigger(event: str, row: str, sign: str) -> str:
    changes = ", ".join(f"{name} = {name} {sign} {sql.replace('R.', f'{row}.')}" for name, sql in _SUMS.items())
    insert = f"INSERT OR IGNORE INTO sums (model) VALUES ({row}.model)"  # noqa: S608 - names of our own
    update = f"UPDATE sums SET {changes} WHERE model = {row}.model"  # noqa: S608 - names of our own
    return f"CREATE TRIGGER IF NOT EXISTS activity_{event} AFTER {event} ON activity BEGIN {insert}; {update}; END;"


def _sums() -> str:
    columns = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _SUMS)
    return (
        f"CREATE TABLE IF NOT EXISTS sums (model TEXT PRIMARY KEY, {columns});"
        + _trigger("INSERT", "NEW", "+")
        + _trigger("DELETE", "OLD", "-")
    )


SCHEMA: Final = _schema() + _sums() + _SUBJECTS
_INSERT: Final = f"INSERT INTO activity ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - names of our own fields
BLOCK_ROWS: Final = 100
# Python's lock is let go and taken again for each statement, and under load each time is a change of threads.
_INSERT_BLOCK: Final = _INSERT + f", ({', '.join('?' * len(COLUMNS))})" * (BLOCK_ROWS - 1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    rows: int = 100_000
    days: float = 30.0


class Adder(Protocol):
    """Adds a condition."""

    def __call__(self, sql: str, *its: object) -> None:
        """Add it."""


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

    def where(self, *, many: bool = False) -> tuple[str, list[object]]:
        """Return the condition as SQL and its values; `many` for when many rows fulfil it."""
        parts: list[str] = []
        values: list[object] = []

        def add(sql: str, *its: object) -> None:
            parts.append(sql)
            values.extend(its)

        if self.models:
            add(f"model IN ({', '.join('?' * len(self.models))})", *self.models)
        if self.status is not None:
            _add_status(self.status, add)
        if self.text:
            escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            subject = "+subject" if many else "subject"  # with the + SQLite does not use the index
            add(f"{subject} IN (SELECT id FROM subjects WHERE text LIKE ? ESCAPE '\\')", f"%{escaped}%")  # noqa: S608 - values are bound
        for sql, value in (
            ("at >= ?", self.start),
            ("at < ?", self.end),
            ("id >= ?", self.min_id),
            ("id <= ?", self.max_id),
        ):
            if value is not None:
                add(sql, value)
        return (" WHERE " + " AND ".join(parts) if parts else ""), values


def _add_status(status: str, add: Adder) -> None:
    if status == "error":
        add(ERROR)
    elif status == "ok":
        add("(status BETWEEN 1 AND 399 AND error IS NULL)")
    elif len(status) == 3 and status[0].isdigit() and status[1:] == "xx":
        add("status BETWEEN ? AND ?", int(status[0]) * 100, int(status[0]) * 100 + 99)
    else:
        add("status = ?", int(status) if status.isascii() and status.isdigit() and len(status) < 9 else -1)


class Activity:
    """The rows of one configuration. `path` None keeps them in memory, for this run only."""

    def __init__(self, path: Path | None, bounds: Bounds | None = None) -> None:
        """Open or make the file. Raises StoreUnusable."""
        self.path = path
        self.bounds = bounds or Bounds()
        self._name = str(path) if path is not None else f"file:activity-{id(self)}?mode=memory&cache=shared"
        self._rows: deque[Row] = deque()
        self._waiting: deque[threading.Event] = deque()
        """Set when the rows that were there before are written."""
        self._something = threading.Event()
        self._hurry = threading.Event()
        self._ending = False
        self._since_pruned = 0
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            # Held open: a database in memory lives as long as a connection to it.
            self._keeper = self._connect()
            self._prepare()
            newest = self._keeper.execute("SELECT max(id) FROM activity").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise StoreUnusable(f"activity cannot be kept in {path}: {error}") from error
        self._next_id = (newest or 0) + 1
        self._writer = threading.Thread(target=self._write, name="activity writer", daemon=True)
        self._writer.start()

    def next_id(self) -> int:
        """Return the id for a new row; from one thread only."""
        self._next_id += 1
        return self._next_id - 1

    def add(self, row: Row) -> None:
        """Keep a row, some time in the next quarter of a second."""
        self._rows.append(row)
        if not self._something.is_set():
            self._something.set()

    def flush(self) -> None:
        """Return when every row that was added before is in the file; blocking."""
        done = threading.Event()
        self._waiting.append(done)
        self._wake_now()
        done.wait(BUSY_SECONDS)

    def close(self) -> None:
        """Write what is left and close; blocking."""
        self._ending = True
        self._wake_now()
        self._writer.join()
        self._keeper.close()

    def _wake_now(self) -> None:
        self._hurry.set()
        self._something.set()

    def rows(self, wanted: Wanted, *, limit: int, offset: int = 0) -> tuple[list[Row], int]:
        """Return the wanted rows of one page, and how many there are in all. Blocking. Raises StoreUnusable."""
        where, values = wanted.where()
        order = wanted.sort if wanted.sort in COLUMNS else "id"
        direction = "DESC" if wanted.descending else "ASC"
        columns, order = ", ".join(COLUMNS), f"ORDER BY {order} {direction}, id {direction}"
        with self.reading() as connection:
            total = connection.execute(f"SELECT count(*) FROM activity{where}", values).fetchone()[0]  # noqa: S608 - names of our own fields, values are bound
            where, values = wanted.where(many=total > MANY_ROWS)
            query = f"SELECT {columns} FROM activity{where} {order} LIMIT ? OFFSET ?"  # noqa: S608 - as above
            found = connection.execute(query, [*values, limit, offset]).fetchall()
        return [_row(row) for row in found], int(total)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for a block of queries. Raises StoreUnusable for what SQLite raises in it."""
        try:
            with closing(self._connect()) as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreUnusable(f"activity cannot be read from {self.path or 'memory'}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._name, uri=self.path is None, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        if self.path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode NORMAL is safe against the death of a process; only a power cut may lose the last commits.
            connection.execute("PRAGMA synchronous = NORMAL")
        else:
            connection.execute("PRAGMA read_uncommitted = 1")
        return connection

    def _prepare(self) -> None:
        """Make what is missing: tables, columns of newer versions, sums and subjects of what an older version wrote."""
        self._keeper.executescript(SCHEMA)
        self._add_missing_columns()
        self._keeper.executescript(_INDEXES)
        for statement in _NEW_SUBJECTS:
            self._keeper.execute(statement)
        if self._keeper.execute("SELECT count(*) FROM sums").fetchone()[0] == 0:
            values = ", ".join(f"sum({sql.replace('R.', '')})" for sql in _SUMS.values())
            self._keeper.execute(f"INSERT INTO sums SELECT model, {values} FROM activity GROUP BY model")  # noqa: S608 - names of our own

    def _add_missing_columns(self) -> None:
        """Bring a file of an older version up to date: columns are only ever added, and may be unknown."""
        present = {row[1] for row in self._keeper.execute("PRAGMA table_info(activity)")}
        for field in fields(Row):
            if field.name not in present:
                kind = _TYPES[str(field.type).partition(" | ")[0]]
                self._keeper.execute(f"ALTER TABLE activity ADD COLUMN {field.name} {kind}")
        if "subject" not in present:
            self._keeper.execute("ALTER TABLE activity ADD COLUMN subject INTEGER")

    def _write(self) -> None:
        """Run the writer thread: wait for a row, then for what comes shortly after it, write all in one transaction."""
        with closing(self._connect()) as connection:
            ending = False
            while not ending:
                self._something.wait()
                self._hurry.wait(BATCH_SECONDS)
                # Cleared before anything is taken: whatever comes from here on sets them again.
                self._hurry.clear()
                self._something.clear()
                ending = self._ending
                waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
                rows = [self._rows.popleft() for _ in range(len(self._rows))]
                if rows:
                    self._write_batch(connection, rows)
                for event in waiting:
                    event.set()

    def _write_batch(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            whole = len(rows) - len(rows) % BLOCK_ROWS
            for start in range(0, whole, BLOCK_ROWS):
                block = rows[start : start + BLOCK_ROWS]
                connection.execute(_INSERT_BLOCK, [value for row in block for value in _VALUES(row)])
            connection.executemany(_INSERT, map(_VALUES, rows[whole:]))
            for statement in _NEW_SUBJECTS:
                connection.execute(statement)
            connection.execute("COMMIT")
            self._since_pruned += len(rows)
            if self._since_pruned >= PRUNE_EVERY_ROWS:
                self._since_pruned = 0
                self._prune(connection)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            logger.error("%d rows of activity could not be written to %s: %s", len(rows), self.path, error)  # noqa: TRY400 - a full disk is no bug

    def _prune(self, connection: sqlite3.Connection) -> None:
        oldest = time.time() - self.bounds.days * 86_400
        connection.execute("DELETE FROM activity WHERE at < ?", (oldest,))
        connection.execute(
            "DELETE FROM activity WHERE id <= (SELECT id FROM activity ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (self.bounds.rows,),
        )
        connection.execute(_OLD_SUBJECTS)


def _row(values: Sequence[object]) -> Row:
    named = dict(zip(COLUMNS, values, strict=True))
    for name in BOOLEANS:
        named[name] = bool(named[name])
    return Row(**named)  # type: ignore[arg-type] # the types are those of the columns, which are made from the fields
