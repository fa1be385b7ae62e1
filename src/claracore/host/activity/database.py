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
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from claracore.errors import ClaraCoreError
from claracore.host.activity.queries import Wanted, count, page
from claracore.host.activity.rows import ActivityRow
from claracore.host.activity.writer import Bounds, Writer, prepare
from claracore.host.disk import private_file, private_folder
from claracore.host.locks import FileLock

logger = logging.getLogger("claracore.activity")

BATCH_SECONDS = 0.25
MOST_WAITING = 2_000
"""Rows that wait no longer for others: in a flood they would take megabytes."""
BUSY_SECONDS = 5.0
READER_WAITS_SECONDS = 0.5
"""For what was added before it asked to be written; a disk that takes longer is no reason not to show the rest."""


class StoreUnusable(ClaraCoreError):
    """The activity file cannot be opened, read or written; the message names it and the reason."""

    code = "store_unusable"
    cause = "The file of past requests cannot be opened, read or written."
    way_out = "Correct rights or `store.path`; a damaged file can be moved away, and a new one is made."


class Activity:
    """The rows of one configuration. `path` None keeps them in memory, for this run only."""

    def __init__(self, path: Path | None, bounds: Bounds | None = None) -> None:
        """Open or make the file. Raises StoreUnusable."""
        self.path = path
        self.bounds = bounds or Bounds()
        self._name = str(path) if path is not None else f"file:activity-{id(self)}?mode=memory&cache=shared"
        self._rows: deque[ActivityRow] = deque()
        self._waiting: deque[threading.Event] = deque()
        """Set when the rows that were there before are written."""
        self._something = threading.Event()
        self._hurry = threading.Event()
        self._ending = False
        self._lock: FileLock | None = None
        self._open()

    def _open(self) -> None:
        path = self.path
        try:
            if path is not None:
                private_folder(path.parent)
                self._lock = _own(path)
                # Who asked what and when is for our user only. SQLite gives the files beside it the mode of this one.
                private_file(path, *(path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm")))
            # Held open: a database in memory lives as long as a connection to it.
            self._keeper = self._connect()
            prepare(self._keeper)
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

    def add(self, row: ActivityRow) -> None:
        """Keep a row, some time in the next quarter of a second."""
        self._rows.append(row)
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

    def reopen(self) -> None:
        """Go on after `close`; blocking. Raises StoreUnusable."""
        self._ending = False
        self._open()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _wake_now(self) -> None:
        self._hurry.set()
        self._something.set()

    def rows(self, wanted: Wanted, *, limit: int, offset: int = 0) -> tuple[list[ActivityRow], int]:
        """Return the wanted rows of one page, and how many there are in all. Blocking. Raises StoreUnusable."""
        with self.reading() as connection:
            return page(connection, wanted, limit, offset), count(connection, wanted)

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
            writer, ending = Writer(connection, self.bounds), False
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


def _own(path: Path) -> FileLock:
    """Keep other instances from this file: two writers would give the same numbers to different rows."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    if not lock.acquire(0):
        lock.close()
        raise OSError("another ClaraCore with the same configuration keeps its own there")
    return lock


def open_activity(configured: str | None, key: str, state_dir: Path | None) -> Activity:
    """Open the file that the configuration names (`store.path`), or this configuration's own in the state directory.

    `key` names the configuration. A file that cannot be used is logged, and activity is kept in memory for this run.
    """
    try:
        return Activity(activity_path(configured, key, state_dir))
    except StoreUnusable as error:
        logger.error("%s; it is kept in memory, for this run only", error)  # noqa: TRY400 - a user's disk, not a bug
        return Activity(None)


def activity_path(configured: str | None, key: str, state_dir: Path | None) -> Path | None:
    """Return where activity is kept; None for in memory."""
    if configured:
        return Path(os.path.expanduser(configured))  # noqa: PTH111 - Path's raises for a user without a home
    if state_dir is None:
        return None
    return state_dir / "activity" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.sqlite"
