"""How fast did models answer lately, one answer after the other and all together over time?

From the rows of activity that are kept: what is shown is there after a restart, and takes no memory between two looks.
Blocking.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from claracore.host.activity.database import Activity
from claracore.host.activity.queries import ROWS, ROWS_WITH_SUBJECTS

OF_EACH = 24
"""Answers of each model, the newest."""
LOOKED_AT = 5_000
"""Rows that are looked at, the newest: for all models together."""
LEAST_TOKENS = 4
"""An answer of fewer tokens says little of a speed."""
_NEWEST = f"""
SELECT model, tokens_per_second, activity.completion_tokens FROM {ROWS_WITH_SUBJECTS} ORDER BY activity.id DESC LIMIT ?
"""  # noqa: S608 - names of our own
_SINCE = f"""
SELECT * FROM (
  SELECT at, queue_seconds, load_seconds, total_seconds, completion_tokens, tokens_per_second FROM {ROWS}
  ORDER BY id DESC LIMIT ?
) WHERE at + total_seconds >= ?
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done in each of equal steps of time, the oldest first; `begins_at` in unix seconds.

    Tokens are counted where they were written, not where their answer ended. Requests are those that were with us in a
    step, on the average: `serving` were answered, `waiting` waited for a model or its load.
    """

    begins_at: float
    step_seconds: float
    tokens_per_second: tuple[float, ...]
    serving: tuple[float, ...]
    waiting: tuple[float, ...]


def recent_speeds(activity: Activity) -> dict[str, list[float]]:
    """Return the tokens per second of each model's last answers, the oldest first. Raises StoreUnusable."""
    with activity.reading() as connection:
        rows = connection.execute(_NEWEST, (LOOKED_AT,)).fetchall()
    found: dict[str, list[float]] = {}
    for model, speed, tokens in rows:
        speeds = found.setdefault(model, [])
        if speed and (tokens or 0) >= LEAST_TOKENS and len(speeds) < OF_EACH:
            speeds.append(round(speed, 3))
    return {model: speeds[::-1] for model, speeds in found.items() if speeds}


def pace(activity: Activity, seconds: float, steps: int) -> Pace:
    """Return what was done in the last seconds, in so many steps; of the newest rows only. Raises StoreUnusable."""
    begins_at = time.time() - seconds
    with activity.reading() as connection:
        rows = connection.execute(_SINCE, (LOOKED_AT, begins_at)).fetchall()
    written, serving, waiting = (_Steps(begins_at, seconds / steps, steps) for _ in range(3))
    for at, queued, loaded, total, tokens, speed in rows:
        served_at = at + (queued or 0.0) + (loaded or 0.0)
        ended_at = at + total
        waiting.spread(at, min(served_at, ended_at), served_at - at)
        serving.spread(served_at, ended_at, ended_at - served_at)
        if tokens:
            begun_at = max(served_at, ended_at - tokens / speed) if speed else served_at
            written.spread(begun_at, ended_at, tokens)
    columns = (tuple(column.per_second()) for column in (written, serving, waiting))
    return Pace(round(begins_at, 3), seconds / steps, *columns)


class _Steps:
    """Amounts over time, in equal steps."""

    def __init__(self, begins_at: float, step_seconds: float, steps: int) -> None:
        self._begins_at = begins_at
        self._step_seconds = step_seconds
        self._amounts = [0.0] * steps

    def spread(self, begun_at: float, ended_at: float, amount: float) -> None:
        """Add an amount that came evenly between two moments; what lies outside of the steps is left out."""
        first, last = ((at - self._begins_at) / self._step_seconds for at in (begun_at, ended_at))
        steps = len(self._amounts)
        if last <= first:
            if 0 <= last < steps:
                self._amounts[int(last)] += amount
            return
        for step in range(max(0, int(first)), min(steps, int(last) + 1)):
            share = min(last, step + 1) - max(first, step)
            self._amounts[step] += amount * max(0.0, share) / (last - first)

    def per_second(self) -> Iterable[float]:
        """Return the amounts by second."""
        return (round(amount / self._step_seconds, 4) for amount in self._amounts)
