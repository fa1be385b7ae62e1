"""How far is one load that is under way, what is it at, and for how long still?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claracore.core.loading.expected import ExpectedLoad
from claracore.core.loading.past import Forecast, ModelFile, PastLoad
from claracore.core.loading.phases import AFTER_WEIGHTS, ALL, LoadPhase, phase_words
from claracore.core.loading.progress import Behind, left_seconds, progress
from claracore.host.hardware.usage import family
from claracore.host.loading.bytes_read import bytes_read
from claracore.host.supervisor.running import Running

HALF: Final = 0.5
"""So much of a load's weights is their reading where they may still be copied, which the engine has not begun yet."""
READ_FIRST: Final = 0.9
"""So much that is in memory before the engine says that anything is in its place was read first, and then copied."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen of a model's command and files."""

    command: str
    file: ModelFile
    forecast: Forecast | None


@dataclass(slots=True)
class LoadUnderWay:
    """One load, from the order to start until the model is ready. Times are of the event loop's clock, in seconds."""

    since: float
    seen: Looked | None = None
    from_disk: bool = True
    """Whether its files may not be in memory yet."""
    begun_at: float | None = None
    """When its program had started, and began to read."""
    weights_at: float | None = None
    """When its weights were there."""
    warmup_at: float | None = None
    """When its warm-up began."""
    shown: float = 0.0
    """The furthest that it was said to be: a bar does not go back."""
    read: int = 0
    """The most bytes that were seen to be read."""
    copies: bool = False

    def enter(self, running: Running, now: float) -> bool:
        """Take in what its server says; returns whether the weights are there only now."""
        phase, before = running.phase, self.weights_at
        if self.begun_at is None and (phase not in {None, LoadPhase.STARTING} or _told(running)):
            self.begun_at = now
        if phase is LoadPhase.WEIGHTS:  # once more: of a draft model, or after the engine has tried what fits
            self.weights_at = self.warmup_at = None
        elif phase in AFTER_WEIGHTS or _told(running) == 1.0:
            self.weights_at = now if self.weights_at is None else self.weights_at
        if phase is LoadPhase.WARMUP and self.warmup_at is None:
            self.warmup_at = now
        return before is None and self.weights_at is not None

    def past(self, at: float, now: float) -> PastLoad | None:
        """Return what is to be remembered of it, now that it is ready; `at` in unix seconds."""
        if self.seen is None or not self.seen.command:
            return None
        weights = self.weights_at - self.since if self.weights_at is not None else None
        warmup = now - self.warmup_at if self.warmup_at is not None else None
        return PastLoad(round(at, 3), now - self.since, self.seen.file, weights, warmup)

    def expected(self, running: Running | None, now: float) -> ExpectedLoad:
        """Return how it stands."""
        reported = _told(running)
        total = self.seen.file.bytes if self.seen is not None else 0
        phase = running.phase if running is not None else None
        if phase is None and running is not None and running.pid is not None:
            phase = LoadPhase.STARTING
        read = self._read(running, reported, total) if phase is LoadPhase.WEIGHTS else None
        if read is not None and not reported:
            reported = HALF * read / total
        elif self.copies and reported is not None:
            reported = HALF + (1 - HALF) * reported
        forecast = self.seen.forecast if self.seen is not None else None
        elapsed = now - self.since
        if forecast is not None and forecast.guessed:
            # How long its program takes to start is not known: until it reads, nothing is said of how far it is.
            if self.begun_at is None and elapsed > forecast.seconds:
                forecast = None
            elapsed = now - self.begun_at if self.begun_at is not None else 0.0
        shown = read / total if read is not None and read < ALL * total else None
        begun = forecast is None or not forecast.guessed or self.begun_at is not None
        done = progress(elapsed, forecast if begun else None, reported, shown)
        if done is not None:
            done = self.shown = max(done, self.shown)
        # The bar keeps to the bytes that are told; for how long still is better known by former loads.
        likely = progress(elapsed, forecast, reported)
        behind = Behind(_since(self.weights_at, now), _since(self.warmup_at, now))
        message = running.loading.message if running is not None and running.loading is not None else ""
        cached = bool(total) and self._cached(total) == total
        words = phase_words(phase, message, read=read, total=total, copies=self.copies, cached=cached)
        return ExpectedLoad(left_seconds(elapsed, likely, forecast, behind), done, phase, words, read, total or None)

    def _read(self, running: Running | None, reported: float | None, total: int) -> int | None:
        """Return how many bytes of the weights there are, by the engine where it says so, else by the kernel.

        What was in the page cache before is there from the beginning, although it is mapped only where it is touched.
        """
        if not total:
            return None
        if reported:
            self.copies = self.copies or self.read >= READ_FIRST * total
            return round(reported * total)
        seen = bytes_read(family(running.pid)) if running is not None and running.pid is not None else None
        cached = self._cached(total)
        if seen is None:
            return cached if cached == total else None
        self.read = max(self.read, min(seen, total))
        return max(self.read, cached)

    def _cached(self, total: int) -> int:
        """Return how many bytes of the weights were in memory when the load began, as far as that is known."""
        missing = self.seen.file.missing_bytes if self.seen is not None else None
        return 0 if missing is None else max(0, total - missing)


def _told(running: Running | None) -> float | None:
    return running.loading.progress if running is not None and running.loading is not None else None


def _since(begun: float | None, now: float) -> float | None:
    return now - begun if begun is not None else None
