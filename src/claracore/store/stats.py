"""What do the kept rows of activity say together?

Totals are of the rows that are kept (`activity.Bounds`); percentiles are of the newest ones of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from claracore.store.activity import Activity

SAMPLES = 1_000
"""Rows per model that percentiles are taken from."""


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


_TOTALS = """
SELECT model, requests, errors, prompt_tokens, cached_tokens, completion_tokens
FROM sums WHERE requests > 0 AND (? IS NULL OR model = ?) ORDER BY model
"""
_NEWEST = """
SELECT first_token_seconds, tokens_per_second, prompt_per_second FROM activity WHERE model = ? ORDER BY id DESC LIMIT ?
"""


def stats_by_model(activity: Activity, model: str | None = None) -> dict[str, ModelStats]:
    """Return the totals of each model, or of one. Blocking. Raises StoreUnusable."""
    found = {}
    with activity.reading() as connection:
        for name, requests, errors, prompt, cached, completion in connection.execute(
            _TOTALS, (model, model)
        ).fetchall():
            newest = connection.execute(_NEWEST, (name, SAMPLES)).fetchall()
            first, speed, reading = ([row[column] for row in newest] for column in range(3))
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


def percentiles(values: Sequence[float | None]) -> Percentiles | None:
    """Return the percentiles of the values that are known; None when there are none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None

    def rank(percent: int) -> float:
        return known[max(0, -(-len(known) * percent // 100) - 1)]

    return Percentiles(rank(50), rank(95), rank(99))
