"""How far is a load, so that a bar moves as the time does and never says that it is over before it is?

Two things are known: for how long it has gone on, of how long it should take, and which fraction of its weights the
engine says are there. That fraction is only true of copying: with memory-mapped files all reading comes before it, and
the context and the warm-up come after it. So the weights are a part of the bar, time moves it as well, and what goes on
for longer than expected moves it ever more slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from claracore.core.loading.past import Forecast

WEIGHTS_SHARE = 0.85
"""How much of a load the weights are, where that was never seen."""
LEAST_WEIGHTS, MOST_WEIGHTS = 0.1, 0.95
LEAD = 0.1
"""So much further than the bytes that people are told the bar may be by the time."""
STEADY = 0.9
"""Up to this much of what is expected the bar moves steadily."""
MOST = 0.99


@dataclass(frozen=True, slots=True)
class Behind:
    """For how long parts of a load are over or under way; None for what has not begun."""

    since_weights: float | None = None
    """Seconds since the weights are there."""
    since_warmup: float | None = None
    """Seconds since the warm-up began."""


NOTHING_BEHIND = Behind()


def progress(
    elapsed_seconds: float, forecast: Forecast | None, reported: float | None, shown: float | None = None
) -> float | None:
    """Return how far a load is, from 0 to 0.99; None where neither forecast nor engine says anything.

    `reported` is the fraction of the weights that are there, as the engine has it; `shown` the one that people are told
    in bytes beside the bar while that moves.
    """
    share = _weights_share(forecast)
    by_engine = None if reported is None else share * min(max(reported, 0.0), 1.0)
    if forecast is None or forecast.seconds <= 0:
        return by_engine
    # Weights that are being copied are not all there, whatever the time says.
    end = share if reported is not None and 0 < reported < 1 else 1.0
    if shown is not None:
        end = min(end, max(by_engine or 0.0, share * shown) + LEAD)
    by_time = _slowing(elapsed_seconds / forecast.seconds, end)
    return min(MOST, max(by_engine or 0.0, by_time))


def left_seconds(
    elapsed_seconds: float, done: float | None, forecast: Forecast | None, behind: Behind = NOTHING_BEHIND
) -> float | None:
    """Return how long a load that has come so far in this time will still take; None where nothing is expected.

    What is left after the weights, and after the warm-up has begun, took so long in former loads.
    """
    if forecast is None:
        return None
    if behind.since_warmup is not None and forecast.warmup_seconds is not None:
        return max(0.0, forecast.warmup_seconds - behind.since_warmup)
    if behind.since_weights is not None and forecast.rest_seconds is not None:
        return max(0.0, forecast.rest_seconds - behind.since_weights)
    if not done:
        return max(0.0, forecast.seconds - elapsed_seconds)
    return elapsed_seconds * (1.0 - done) / done


def _weights_share(forecast: Forecast | None) -> float:
    if forecast is None or forecast.rest_seconds is None or forecast.seconds <= 0:
        return WEIGHTS_SHARE
    return min(MOST_WEIGHTS, max(LEAST_WEIGHTS, 1.0 - forecast.rest_seconds / forecast.seconds))


def _slowing(done: float, end: float) -> float:
    """Return `done` as long as it is far from the end, then what comes ever nearer to that, without a jump."""
    bend = STEADY * end
    if done <= bend:
        return max(0.0, done)
    room = end - bend
    return end - room * math.exp((bend - done) / room)
