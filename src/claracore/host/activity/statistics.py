"""What do the kept rows of activity say together?

Totals are of the rows that are kept (`activity.Bounds`); percentiles are of the newest ones of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from claracore.host.activity.database import Activity
from claracore.host.activity.queries import ERROR, ROWS_WITH_SUBJECTS

SAMPLES = 1_000
"""Rows per model that percentiles are taken from, at most."""

LOOKED_AT = 10_000
"""Rows that are looked at for all models together; one that is asked for by name is looked for further back."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one measure; the nearest rank."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class ModelStats:
    """The totals of one model."""

    requests: int
    errors: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_seconds: Percentiles | None
    tokens_per_second: Percentiles | None
    prompt_per_second: Percentiles | None


_TOTALS = f"""
SELECT model, sum(requests), sum(requests * {ERROR}), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens)
FROM claracore_subjects WHERE ? IS NULL OR model = ? GROUP BY model HAVING sum(requests) > 0 ORDER BY model
"""  # noqa: S608 - a condition of our own
_SPEEDS = "model, first_token_seconds, tokens_per_second, prompt_per_second"
_NEWEST = f"SELECT {_SPEEDS} FROM {ROWS_WITH_SUBJECTS} ORDER BY activity.id DESC LIMIT ?"  # noqa: S608 - names of our own
_NEWEST_OF_ONE = f"""
SELECT {_SPEEDS} FROM {ROWS_WITH_SUBJECTS}
WHERE +subject IN (SELECT id FROM claracore_subjects WHERE model = ?) ORDER BY activity.id DESC LIMIT ?
"""  # noqa: S608 - as above


def stats_by_model(activity: Activity, model: str | None = None) -> dict[str, ModelStats]:
    """Return the totals of each model, or of one. Blocking. Raises StoreUnusable."""
    with activity.reading() as connection:
        totals = connection.execute(_TOTALS, (model, model)).fetchall()
        newest = _newest(connection, model)
    speeds: dict[str, list[tuple[float | None, ...]]] = {}
    for name, *measured in newest:
        kept = speeds.setdefault(name, [])
        if len(kept) < SAMPLES:
            kept.append(tuple(measured))
    found = {}
    for name, requests, errors, prompt, cached, completion in totals:
        first, speed, reading = ([row[column] for row in speeds.get(name, ())] for column in range(3))
        found[name] = ModelStats(
            requests=requests,
            errors=errors,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            first_token_seconds=percentiles(first),
            tokens_per_second=percentiles(speed),
            prompt_per_second=percentiles(reading),
        )
    return found


def newest_speeds(activity: Activity, model: str | None = None) -> tuple[list[float], list[float]]:
    """Return prompt and completion tokens per second of the newest rows, of all models or of one. Blocking."""
    with activity.reading() as connection:
        newest = _newest(connection, model)
    return [row[3] for row in newest if row[3] is not None], [row[2] for row in newest if row[2] is not None]


def _newest(connection: Connection, model: str | None) -> list[tuple[Any, ...]]:
    if model is None:
        return connection.execute(_NEWEST, (LOOKED_AT,)).fetchall()
    return connection.execute(_NEWEST_OF_ONE, (model, SAMPLES)).fetchall()


def percentiles(values: Sequence[float | None]) -> Percentiles | None:
    """Return the percentiles of the values that are known; None when there are none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None

    def rank(percent: int) -> float:
        return known[max(0, -(-len(known) * percent // 100) - 1)]

    return Percentiles(rank(50), rank(95), rank(99))
