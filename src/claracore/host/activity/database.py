"""Which requests were there, how did they go, and how long did each part take?

Rows go to a SQLite file (WAL) through one writer thread that takes what has come in a moment at once: whoever adds a
row never waits, and a kill -9 loses at most the last half second. The thread is woken once a moment, not once a row:
every wake-up hands Python's lock to and fro, which costs as much as all the rest. The number and the age of rows are
bounded. Readers have connections of their own; call them from a thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from claracore.errors import ClaraCoreError
from claracore.host.activity.rows import (
    MEASURES,
    SUBJECT,
    SUMMED,
    Condition,
    Measures,
    Row,
    Subject,
    Wanted,
    row_of,
    sql_type,
)
from claracore.host.disk import private_file, private_folder
from claracore.host.locks import FileLock

logger = logging.getLogger("claracore.activity")

# For what is neither int, float, str nor bytes, sqlite3 looks for a way to adapt it; that there is none for None takes
# it 0.3 us to find out, each time.
sqlite3.register_adapter(type(None), lambda none: none)
sqlite3.register_adapter(bool, int)

BATCH_SECONDS = 0.25
MOST_WAITING = 2_000
"""Rows that wait no longer for others: in a flood they would take megabytes."""
PRUNE_EVERY_ROWS = 1_000
BUSY_SECONDS = 5.0
READER_WAITS_SECONDS = 0.5
"""For what was added before it asked to be written; a disk that takes longer is no reason not to show the rest."""


class StoreUnusable(ClaraCoreError):
    """The activity file cannot be opened, read or written; the message names it and the reason."""

    code = "store_unusable"


_COUNTED: Final = ("requests", *SUMMED)
# Rows have no index of subjects: it would double the time that writing one takes, and reading 100,000 takes 10 ms.
# `store.path` may well name the file of a llama-swap, which has a table `activity` of its own: each keeps its own.
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS claracore_subjects (id INTEGER PRIMARY KEY,
    {", ".join(f"{name} {sql_type(name)}" for name in SUBJECT)},
    {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _COUNTED)});
CREATE TABLE IF NOT EXISTS claracore_activity (id INTEGER PRIMARY KEY,
    {", ".join(f"{name} {sql_type(name)}" for name in MEASURES[1:])}, subject INTEGER NOT NULL);
DROP INDEX IF EXISTS claracore_activity_subject;
"""
_NEW_SUBJECT: Final = f"INSERT INTO claracore_subjects ({', '.join(SUBJECT)}) VALUES ({', '.join('?' * len(SUBJECT))})"  # noqa: S608 - names of our own fields
_ADD: Final = f"UPDATE claracore_subjects SET {', '.join(f'{name} = {name} + ?' for name in _COUNTED)} WHERE id = ?"  # noqa: S608 - as above
_ONE_ROW: Final = f"({', '.join('?' * (len(MEASURES) + 1))})"
_INSERT: Final = f"INSERT INTO claracore_activity ({', '.join(MEASURES)}, subject) VALUES {_ONE_ROW}"  # noqa: S608 - as above
BLOCK_ROWS: Final = 100
# Python's lock is let go and taken again for each statement, and under load each time is a change of threads.
_INSERT_BLOCK: Final = _INSERT + f", {_ONE_ROW}" * (BLOCK_ROWS - 1)
_OLD: Final = "id < ?"
# Ids grow with time: looking from the oldest row on ends at the first that is to stay, and no index of times is needed.
_FIRST_TO_STAY: Final = """
SELECT id FROM claracore_activity
WHERE at >= ? AND id > (SELECT max(id) FROM claracore_activity) - ? ORDER BY id LIMIT 1
"""
_LESS: Final = ", ".join(("-count(*)", *(f"-ifnull(sum({name}), 0)" for name in SUMMED)))
_LESS_BY_OLD: Final = f"SELECT {_LESS}, subject FROM claracore_activity WHERE {_OLD} GROUP BY subject"  # noqa: S608 - as above
_ALL: Final = ", ".join(
    [*(f"activity.{name}" for name in MEASURES), *(f"subjects.{name}" for name in SUBJECT)],
)

ROWS: Final = "claracore_activity AS activity"
ROWS_WITH_SUBJECTS: Final = f"{ROWS} JOIN claracore_subjects AS subjects ON subjects.id = activity.subject"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    rows: int = 100_000
    days: float = 30.0


class Activity:
    """The rows of one configuration. `path` None keeps them in memory, for this run only."""

    def __init__(self, path: Path | None, bounds: Bounds | None = None) -> None:
        """Open or make the file. Raises StoreUnusable."""
        self.path = path
        self.bounds = bounds or Bounds()
        self._name = str(path) if path is not None else f"file:activity-{id(self)}?mode=memory&cache=shared"
        self._rows: deque[tuple[Measures, Subject]] = deque()
        self._waiting: deque[threading.Event] = deque()
        """Set when the rows that were there before are written."""
        self._something = threading.Event()
        self._hurry = threading.Event()
        self._ending = False
        self._lock: FileLock | None = None
        try:
            if path is not None:
                private_folder(path.parent)
                self._lock = _own(path)
                # Who asked what and when is for our user only. SQLite gives the files beside it the mode of this one.
                private_file(path, *(path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm")))
            # Held open: a database in memory lives as long as a connection to it.
            self._keeper = self._connect()
            _prepare(self._keeper)
            newest = self._keeper.execute("SELECT max(id) FROM claracore_activity").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            self._let_go()
            raise StoreUnusable(f"activity cannot be kept in {path}: {error}") from error
        self._next_id = (newest or 0) + 1
        self._writer = threading.Thread(target=self._write, name="activity writer", daemon=True)
        self._writer.start()

    def next_id(self) -> int:
        """Return the id for a new row; from one thread only."""
        self._next_id += 1
        return self._next_id - 1

    def add(self, measures: Measures, subject: Subject) -> None:
        """Keep a row, some time in the next quarter of a second."""
        self._rows.append((measures, subject))
        if not self._something.is_set():
            self._something.set()
        elif len(self._rows) == MOST_WAITING:
            self._hurry.set()

    def flush(self, patience_seconds: float = BUSY_SECONDS) -> None:
        """Return when every row that was added before is in the file, or patience is at its end; blocking."""
        done = threading.Event()
        self._waiting.append(done)
        self._wake_now()
        done.wait(patience_seconds)

    def close(self) -> None:
        """Write what is left and close; blocking."""
        self._ending = True
        self._wake_now()
        self._writer.join()
        self._keeper.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _wake_now(self) -> None:
        self._hurry.set()
        self._something.set()

    def rows(self, wanted: Wanted, *, limit: int, offset: int = 0) -> tuple[list[Row], int]:
        """Return the wanted rows of one page, and how many there are in all. Blocking. Raises StoreUnusable."""
        with self.reading() as connection:
            total = _count(connection, wanted)
            where, values = _where(wanted)
            # Only ids are sorted: carrying whole rows through a sort of 100,000 takes ten times as long.
            tables = ROWS_WITH_SUBJECTS if wanted.sort in SUBJECT else ROWS
            chosen = f"SELECT activity.id FROM {tables}{where}{wanted.order()} LIMIT ? OFFSET ?"  # noqa: S608 - names of our own fields, values are bound
            query = f"SELECT {_ALL} FROM {ROWS_WITH_SUBJECTS} WHERE activity.id IN ({chosen}){wanted.order()}"  # noqa: S608 - as above
            found = connection.execute(query, [*values, limit, offset]).fetchall()
        return [row_of(row) for row in found], total

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for a block of queries, which find whatever was added before; blocking.

        Raises StoreUnusable for what SQLite raises in it.
        """
        if not self._ending:
            self.flush(READER_WAITS_SECONDS)
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
            connection.execute("PRAGMA cache_size = -512")  # KiB; 2 MB for each connection otherwise
        else:
            connection.execute("PRAGMA read_uncommitted = 1")
        return connection

    def _write(self) -> None:
        """Run the writer thread: wait for a row, then for what comes shortly after it, write all in one transaction."""
        with closing(self._connect()) as connection:
            writer, ending = _Writer(connection, self.bounds), False
            while not ending:
                self._something.wait()
                self._hurry.wait(BATCH_SECONDS)
                # Cleared before anything is taken: whatever comes from here on sets them again.
                self._hurry.clear()
                self._something.clear()
                ending = self._ending
                waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
                rows = [self._rows.popleft() for _ in range(len(self._rows))]
                try:
                    writer.write(rows)
                # A number or a text that SQLite cannot take, from wherever it came, must not end this thread.
                except (sqlite3.Error, OverflowError, ValueError) as error:
                    text = "%d rows of activity could not be written to %s: %s"
                    logger.error(text, len(rows), self.path, error)  # noqa: TRY400 - a full disk is no bug
                for event in waiting:
                    event.set()


class _Writer:
    """The writing connection, and what it knows of the subjects."""

    def __init__(self, connection: sqlite3.Connection, bounds: Bounds) -> None:
        self._connection = connection
        self._bounds = bounds
        self._since_pruned = 0
        self._subjects: dict[tuple[Any, ...], int] = {}
        self._knows_subjects = False

    def write(self, rows: Sequence[tuple[Measures, Subject]]) -> None:
        """Write rows in one transaction, all or none."""
        connection = self._connection
        if not rows:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not self._knows_subjects:
                self._prune()  # also for those who start it anew before so many rows have come
                self._read_subjects()
            self._insert(rows)
            self._since_pruned += len(rows)
            if self._since_pruned >= PRUNE_EVERY_ROWS:
                self._since_pruned = 0
                self._prune()
            connection.execute("COMMIT")
        except BaseException:
            self._knows_subjects = False  # Those that were new are gone again.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _insert(self, rows: Sequence[tuple[Measures, Subject]]) -> None:
        sums: dict[int, list[Any]] = {}
        for start in range(0, len(rows), BLOCK_ROWS):
            block = [self._values(*row, sums) for row in rows[start : start + BLOCK_ROWS]]
            if len(block) == BLOCK_ROWS:
                self._connection.execute(_INSERT_BLOCK, list(chain.from_iterable(block)))
            else:
                self._connection.executemany(_INSERT, block)
        self._connection.executemany(_ADD, [(*its, number) for number, its in sums.items()])

    def _values(self, measures: Measures, subject: Subject, sums: dict[int, list[Any]]) -> tuple[Any, ...]:
        """Return what a row is in its table, and add it to the sums of its subject."""
        number = self._subjects.get(subject)
        if number is None:
            number = self._new_subject(subject)
        its = sums.get(number)
        if its is None:
            its = sums[number] = [0] * len(_COUNTED)
        its[0] += 1
        _, _, _, _, _, _, prompt, cached, completion, _, _, _, _, _ = measures
        its[1] += prompt or 0
        its[2] += cached or 0
        its[3] += completion or 0
        return (*measures, number)

    def _new_subject(self, subject: tuple[Any, ...]) -> int:
        number = self._connection.execute(_NEW_SUBJECT, subject).lastrowid
        assert number is not None, "an INSERT has a row id"  # noqa: S101 - SQLite's promise
        self._subjects[subject] = number
        return number

    def _prune(self) -> None:
        """Forget what is too old or too much, and the subjects that no row has any more."""
        oldest = time.time() - self._bounds.days * 86_400
        first = self._connection.execute(_FIRST_TO_STAY, (oldest, self._bounds.rows)).fetchone()
        old = (first[0] if first is not None else 1 << 62,)
        less = self._connection.execute(_LESS_BY_OLD, old).fetchall()
        if not less:
            return
        self._connection.executemany(_ADD, less)
        self._connection.execute(f"DELETE FROM claracore_activity WHERE {_OLD}", old)  # noqa: S608 - a condition of our own
        if self._connection.execute("DELETE FROM claracore_subjects WHERE requests = 0").rowcount:
            self._read_subjects()

    def _read_subjects(self) -> None:
        found = self._connection.execute(f"SELECT {', '.join(SUBJECT)}, id FROM claracore_subjects")  # noqa: S608 - names of our own fields
        self._subjects = {subject: number for *its, number in found if (subject := tuple(its))}
        self._knows_subjects = True


def _own(path: Path) -> FileLock:
    """Keep other instances from this file: two writers would give the same numbers to different rows."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    if not lock.acquire(0):
        lock.close()
        raise OSError("another ClaraCore with the same configuration keeps its own there")
    return lock


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, and columns that an older version did not have: they are only ever added, and may be unknown."""
    connection.executescript(_SCHEMA)
    for table, columns in (("claracore_activity", MEASURES), ("claracore_subjects", SUBJECT)):
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name in columns:
            if name not in present:
                kind = sql_type(name).removesuffix(" NOT NULL")
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    its, rows = wanted.subjects(), wanted.rows()
    chosen = Condition("")
    if its.sql:
        query = f"subject IN (SELECT id FROM claracore_subjects WHERE {its.sql})"  # noqa: S608 - values are bound
        chosen = Condition(query, its.values)
    parts = [part for part in (chosen, rows) if part.sql]
    where = " WHERE " + " AND ".join(part.sql for part in parts) if parts else ""
    return where, [value for part in parts for value in part.values]


def _count(connection: sqlite3.Connection, wanted: Wanted) -> int:
    if wanted.rows().sql:
        where, values = _where(wanted)
        query = f"SELECT count(*) FROM {ROWS}{where}"  # noqa: S608 - values are bound
    else:
        subjects = wanted.subjects()
        where, values = (f" WHERE {subjects.sql}" if subjects.sql else ""), list(subjects.values)
        query = f"SELECT ifnull(sum(requests), 0) FROM claracore_subjects{where}"  # noqa: S608 - values are bound
    return int(connection.execute(query, values).fetchone()[0])


def open_activity(configured: str | None, key: str, state_dir: Path | None) -> Activity:
    """Open the file that the configuration names (`store.path`), or this configuration's own in the state directory.

    `key` names the configuration. A file that cannot be used is logged, and activity is kept in memory for this run.
    """
    try:
        return Activity(_path(configured, key, state_dir))
    except StoreUnusable as error:
        logger.error("%s; it is kept in memory, for this run only", error)  # noqa: TRY400 - a user's disk, not a bug
        return Activity(None)


def _path(configured: str | None, key: str, state_dir: Path | None) -> Path | None:
    """Return where activity is kept; None for in memory."""
    if configured:
        return Path(os.path.expanduser(configured))
    if state_dir is None:
        return None
    return state_dir / "activity" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.sqlite"
