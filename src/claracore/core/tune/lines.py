"""How is a tuning under way told, line by line, and what comes of it?

Plain data: what `POST /api/models/tune/...` streams and `claracore tune --json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from claracore.core.tune.search import AS_CONFIGURED, best_tuning
from claracore.core.tune.tuning import Speeds, Trial, Tuning, tuning_of


def note_line(message: str) -> dict[str, Any]:
    """Say something about all numbers that follow."""
    return {"what": "note", "message": message}


def trying_line(number: int, tuning: Tuning) -> dict[str, Any]:
    """Say what is tried now."""
    return {"what": "trying", "number": number, "settings": tuning.changes, "words": tuning.words}


def trial_line(number: int, trial: Trial) -> dict[str, Any]:
    """Say what came of it."""
    line = {"what": "trial", "number": number, "settings": trial.tuning.changes, "words": trial.tuning.words}
    return line | _speeds(trial.speeds) | {"failure": trial.failure}


def trial_of(line: Mapping[str, Any]) -> Trial:
    """Return the trial that a line tells of. Raises ValueError, KeyError or TypeError for other lines."""
    reading, writing = line["reading"], line["writing"]
    speeds = Speeds(float(reading), float(writing) if writing is not None else None) if reading is not None else None
    return Trial(tuning_of(line["settings"]), speeds, str(line["failure"]))


def result_line(trials: Sequence[Trial], *, complete: bool) -> dict[str, Any]:
    """Say what is best of all that was tried; `complete` is False when that was ended before its time."""
    best = best_tuning(trials)
    before, after = mean_speeds(trials, AS_CONFIGURED), mean_speeds(trials, best)
    saves = 1 - after.answer_seconds / before.answer_seconds if before is not None and after is not None else 0.0
    return {
        "what": "result",
        "settings": best.changes,
        "words": best.words,
        "before": _speeds(before),
        "after": _speeds(after),
        "saves": round(saves, 4),
        "trials": len(trials),
        "complete": complete,
        "failure": next((trial.failure for trial in trials if trial.tuning == AS_CONFIGURED), "")
        if before is None
        else "",
    }


def mean_speeds(trials: Sequence[Trial], tuning: Tuning) -> Speeds | None:
    """Return the speeds of a tuning over all its runs; None if none has succeeded."""
    found = [trial.speeds for trial in trials if trial.tuning == tuning and trial.speeds is not None]
    if not found:
        return None
    writing = [speeds.writing for speeds in found if speeds.writing is not None]
    return Speeds(mean(speeds.reading for speeds in found), mean(writing) if writing else None)


def note_of(result: Mapping[str, Any]) -> str:
    """Return what a result is, for the comment in the configuration: numbers before and after."""
    after, before = _spoken(result["after"]), _spoken(result["before"])
    return f"{after.words} (before: {before.words})"


def _spoken(speeds: Mapping[str, Any]) -> Speeds:
    return Speeds(float(speeds["reading"]), float(speeds["writing"]) if speeds["writing"] is not None else None)


def _speeds(speeds: Speeds | None) -> dict[str, float | None]:
    if speeds is None:
        return {"reading": None, "writing": None, "answer_seconds": None}
    return {
        "reading": round(speeds.reading, 2),
        "writing": round(speeds.writing, 2) if speeds.writing is not None else None,
        "answer_seconds": round(speeds.answer_seconds, 3),
    }
