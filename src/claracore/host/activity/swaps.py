"""What is told of one load of a model, and of whatever had to go for it?"""

from __future__ import annotations

from dataclasses import dataclass

from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.picture import Eviction
from claracore.core.units import gib


@dataclass(frozen=True, slots=True)
class SwapPhases:
    """How long each part of a swap took, in seconds; together they are all of it, None is "not reached".

    queued: until its turn came, other loads first; drain: answers of models in its way ended; stop: those models
    ended (and their conversations were saved); spawn: until the process ran; load: until it answered; restore: until
    conversations were back; first_token: until its first answer began.
    """

    queued_seconds: float
    drain_seconds: float
    stop_seconds: float
    spawn_seconds: float | None
    load_seconds: float | None
    restore_seconds: float | None = None
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
    because: str = ""
    """Why those went that are `evicted`, with the bytes; empty where no bytes decided."""
    cancelled: bool = False
    """Whether it was ended before it was ready; `phases.load_seconds` is how long it had loaded by then."""
    ended_because: str = ""
    """Why the server that was loaded ended, with the bytes where it had to go for another model."""


def why(eviction: Eviction) -> str:
    """Say which memory was short; nothing where a group or a matrix decided."""
    if any(not short.device for short in eviction.shortages):
        return "it is not known how much memory each of them takes, so they cannot run together"
    needs = [
        f"{gib(short.needed)} of {short.device}, where {gib(max(0, short.available))} were free"
        for short in eviction.shortages
    ]
    return f"{eviction.by} takes {' and '.join(needs)}" if needs else ""


def why_ended(reason: StopReason | None, eviction: Eviction | None) -> str:
    """Say why a server ended, of which nobody asked it if there is no reason."""
    if reason is None:
        return "its server ended by itself"
    if eviction is None:
        return str(reason)
    cause = why(eviction)
    return f"unloaded for {eviction.by}{': ' if cause else ''}{cause}"


def short_of(eviction: Eviction) -> str:
    """Return what was short, as a label: devices, `unknown`, or `rule` where a group or a matrix decided."""
    return "+".join(short.device or "unknown" for short in eviction.shortages) or "rule"
