"""How fast has each model answered, as a configuration's activity says? For whoever is not its server. Blocking."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from claracore.core.fit.speed import ModelSpeed, SpeedSource
from claracore.host.activity.queries import ROWS_WITH_SUBJECTS

LOOKED_AT = 2_000
"""Rows that are looked at, the newest."""
OF_EACH = 50
"""Answers of each model that count, the newest: an older command may have been slower."""
LEAST_ANSWERS = 3
LEAST_TOKENS = 16
"""Of a prompt and of an answer: shorter ones say little."""
WAIT_SECONDS = 1.0
_NEWEST = f"""
SELECT model, activity.prompt_tokens - ifnull(activity.cached_tokens, 0), prompt_per_second,
  activity.completion_tokens, tokens_per_second
FROM {ROWS_WITH_SUBJECTS} ORDER BY activity.id DESC LIMIT ?
"""  # noqa: S608 - names of our own


@dataclass(slots=True)
class _Seen:
    reading: list[float]
    writing: list[float]


def past_speeds(file: Path | None) -> dict[str, ModelSpeed]:
    """Return the median speeds of each model that has answered a few times, by id; none without such a file.

    A file that a running server writes is read beside it; one that cannot be read says nothing.
    """
    if file is None or not file.exists():
        return {}
    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_SECONDS)
        ) as connection:
            rows = connection.execute(_NEWEST, (LOOKED_AT,)).fetchall()
    except sqlite3.Error:
        return {}
    seen: dict[str, _Seen] = {}
    for model, read, reading, written, writing in rows:
        found = seen.setdefault(model, _Seen([], []))
        if reading and (read or 0) >= LEAST_TOKENS and len(found.reading) < OF_EACH:
            found.reading.append(reading)
        if writing and (written or 0) >= LEAST_TOKENS and len(found.writing) < OF_EACH:
            found.writing.append(writing)
    speeds = ((model, _speed(found)) for model, found in seen.items())
    return {model: speed for model, speed in speeds if speed is not None}


def _speed(seen: _Seen) -> ModelSpeed | None:
    reading, writing = (
        median(found) if len(found) >= LEAST_ANSWERS else None for found in (seen.reading, seen.writing)
    )
    if reading is None and writing is None:
        return None
    answers = max(len(seen.reading), len(seen.writing))
    return ModelSpeed(reading, writing, SpeedSource.MEASURED, answers=answers)
