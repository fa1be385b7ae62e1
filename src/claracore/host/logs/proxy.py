"""What has ClaraCore itself logged lately, and in which form does the log leave the process?

`ProxyLog` is a handler of the `claracore` logger: it keeps the last entries for the API and a ring of their text for
`/logs`. Entries may come from any thread; they are kept, and `on_entry` is called, on the event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from claracore.host.logs.output import OutputRing
from claracore.host.logs.times import Layout

KEPT_ENTRIES = 2_000
LEVEL_NAMES: Final = {"WARNING": "warn", "CRITICAL": "error"}
TEXT_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What was logged at once, perhaps in several lines; models' output has neither time nor level of its own."""

    text: str
    at: float | None = None
    """Unix seconds."""
    level: str | None = None
    """As `logLevel` names it: debug, info, warn, error."""


class ProxyLog(logging.Handler):
    """The last entries of ClaraCore's own log, and the ring of its lines. Made on the event loop."""

    def __init__(self, on_entry: Callable[[LogEntry], None] = lambda _: None) -> None:
        """`on_entry` is called with each entry, on the event loop."""
        super().__init__()
        self.ring = OutputRing()
        self.entries: deque[LogEntry] = deque(maxlen=KEPT_ENTRIES)
        self._on_entry = on_entry
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.setFormatter(TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; from another thread, soon."""
        try:
            entry = LogEntry(record.getMessage(), record.created, level_name(record))
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging's rule: a bad log call must not break its caller
            self.handleError(record)
            return
        if threading.get_ident() == self._thread:
            self._keep(entry, line)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._keep, entry, line)

    def _keep(self, entry: LogEntry, line: str) -> None:
        self.entries.append(entry)
        for part in line.split("\n"):
            self.ring.append(part)
        self._on_entry(entry)


@contextmanager
def proxy_log(on_entry: Callable[[LogEntry], None]) -> Iterator[ProxyLog]:
    """Keep ClaraCore's own log for the length of a block."""
    log = ProxyLog(on_entry)
    root = logging.getLogger("claracore")
    root.addHandler(log)
    try:
        yield log
    finally:
        root.removeHandler(log)


def level_name(record: logging.LogRecord) -> str:
    """Return the level as `logLevel` names it: debug, info, warn or error."""
    return LEVEL_NAMES.get(record.levelname, record.levelname.lower())


class TextFormatter(logging.Formatter):
    """Time, level and message; `layout` says how to write the time, None is the usual way."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)
        self.layout: Layout | None = None

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return the time of a record, in the local zone."""
        if self.layout is None:
            return super().formatTime(record, datefmt)
        return self.layout(datetime.fromtimestamp(record.created).astimezone())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: {at, level, logger, message, exception?}."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON; `at` is in unix seconds."""
        line = {
            "at": round(record.created, 3),
            "level": level_name(record),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def file_handler(path: Path, *, max_bytes: int = 10_000_000, kept: int = 5) -> logging.Handler:
    """Return a handler that writes to a file and starts a new one when it is full. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return logging.handlers.RotatingFileHandler(path, maxBytes=max_bytes, backupCount=kept, encoding="utf-8")
