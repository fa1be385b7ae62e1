"""How are rows of activity written, and the oldest ones forgotten?

Two tables: subjects with their sums, and rows that name one. All statements are prepared texts; a batch of rows is one
transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from msgspec.structs import astuple

from claracore.host.activity.rows import FIRST_OF_SUBJECT, MEASURES, SUBJECT, SUMMED, ActivityRow, sql_type

# For what is neither int, float, str nor bytes, sqlite3 looks for a way to adapt it; that there is none for None takes
# it 0.3 us to find out, each time.
sqlite3.register_adapter(type(None), lambda none: none)
sqlite3.register_adapter(bool, int)

PRUNE_EVERY_ROWS = 1_000

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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    rows: int = 100_000
    days: float = 30.0


class Writer:
    """The writing connection, and what it knows of the subjects."""

    def __init__(self, connection: sqlite3.Connection, bounds: Bounds) -> None:
        self._connection = connection
        self._bounds = bounds
        self._since_pruned = 0
        self._subjects: dict[tuple[Any, ...], int] = {}
        self._knows_subjects = False

    def write(self, rows: Sequence[ActivityRow]) -> None:
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

    def _insert(self, rows: Sequence[ActivityRow]) -> None:
        sums: dict[int, list[Any]] = {}
        for start in range(0, len(rows), BLOCK_ROWS):
            block = [self._values(row, sums) for row in rows[start : start + BLOCK_ROWS]]
            if len(block) == BLOCK_ROWS:
                self._connection.execute(_INSERT_BLOCK, list(chain.from_iterable(block)))
            else:
                self._connection.executemany(_INSERT, block)
        self._connection.executemany(_ADD, [(*summed, number) for number, summed in sums.items()])

    def _values(self, row: ActivityRow, sums: dict[int, list[Any]]) -> tuple[Any, ...]:
        """Return what a row is in its table, and add it to the sums of its subject."""
        values = astuple(row)
        subject = values[FIRST_OF_SUBJECT:]
        number = self._subjects.get(subject)
        if number is None:
            number = self._new_subject(subject)
        summed = sums.get(number)
        if summed is None:
            summed = sums[number] = [0] * len(_COUNTED)
        summed[0] += 1
        summed[1] += row.prompt_tokens or 0
        summed[2] += row.cached_tokens or 0
        summed[3] += row.completion_tokens or 0
        return (*values[:FIRST_OF_SUBJECT], number)

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
        self._subjects = {tuple(subject): number for *subject, number in found}
        self._knows_subjects = True


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, and what columns an older version did not have: they are only ever added, and may be unknown."""
    connection.executescript(_SCHEMA)
    for table, columns in (("claracore_activity", MEASURES), ("claracore_subjects", SUBJECT)):
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name in columns:
            if name not in present:
                kind = sql_type(name).removesuffix(" NOT NULL")
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
