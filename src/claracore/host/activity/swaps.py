"""What is told of one load of a model, and of whatever had to go for it?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwapPhases:
    """How long each part of a swap took, in seconds; together they are all of it, None is "not reached".

    queued: until its turn came, other loads first; drain: answers of models in its way ended; stop: those models
    ended; spawn: until the process ran; load: until it was ready; first_token: until its first answer began.
    """

    queued_seconds: float
    drain_seconds: float
    stop_seconds: float
    spawn_seconds: float | None
    load_seconds: float | None
    first_token_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Swap:
    """One load of a model, from the first request that asked for it."""

    model: str
    at: float
    reason: str
    evicted: tuple[str, ...]
    phases: SwapPhases
    total_seconds: float
    error: str | None = None
    ended_at: float | None = None
    """When the server that was loaded had ended; None while it runs."""
