"""May one more request come in with a key that has limits, and if not, when may it?

Pure: whoever asks says what time it is. Requests count in a minute that slides, tokens by days of UTC: what a day has
taken can be added up again after a restart.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400
MOST = 1_000_000_000_000
MOST_REQUESTS = 100_000
"""A minute: each of these is remembered for that long."""


class LimitName(StrEnum):
    """Which limit; as it is declared."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_day"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How much one key may use; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    """Read and written, by days of UTC."""
    concurrency: int | None = None
    """Requests at the same time."""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no positive number."""
        for field in fields(self):
            number = getattr(self, field.name)
            most = MOST_REQUESTS if field.name == LimitName.REQUESTS else MOST
            if number is not None and (type(number) is not int or not 1 <= number <= most):
                raise ValueError(f"{field.name}: a number from 1 to {most:,}")

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self != NO_LIMITS

    def as_json(self) -> dict[str, int]:
        """Return those that are set, by name."""
        return {name: number for name, number in asdict(self).items() if number is not None}


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class ReachedLimit:
    """Why a request may not come in now."""

    limit: LimitName
    number: int
    again_seconds: float
    """When it may, at the earliest."""


class KeyMeter:
    """What one key has used, and may use. In seconds: `now` of a clock that never jumps, `unix` of the day."""

    def __init__(self, name: str, limits: KeyLimits = NO_LIMITS) -> None:
        self.name = name
        self.limits = limits
        self.running: set[object] = set()
        """The requests that are not over."""
        self.refused: Counter[LimitName] = Counter()
        self._starts: deque[float] = deque()
        """When those of the last minute came in."""
        self._day = 0
        self._tokens = 0

    def begin(self, who: object, now: float, unix: float) -> ReachedLimit | None:
        """Take a request in, or return why not."""
        reached = self._reached(now, unix)
        if reached is None:
            if self.limits.requests_per_minute is not None:
                self._starts.append(now)
            self.running.add(who)
        else:
            self.refused[reached.limit] += 1
        return reached

    def ended(self, who: object) -> None:
        """Let a request go that is over; once more is harmless."""
        self.running.discard(who)

    def used(self, tokens: int, unix: float) -> None:
        """Add tokens that a request took."""
        self._tokens = self.tokens(unix) + tokens

    def requests(self, now: float) -> int:
        """Return how many came in within the last minute."""
        starts = self._starts
        while starts and starts[0] <= now - MINUTE_SECONDS:
            starts.popleft()
        return len(starts)

    def requests_reset_seconds(self, now: float) -> float:
        """Return when the last minute will have had none, if none comes in."""
        return self._starts[-1] + MINUTE_SECONDS - now if self.requests(now) else 0.0

    def tokens(self, unix: float) -> int:
        """Return how many this day has taken."""
        day = int(unix // DAY_SECONDS)
        if day != self._day:
            self._day, self._tokens = day, 0
        return self._tokens

    def _reached(self, now: float, unix: float) -> ReachedLimit | None:
        limits = self.limits
        if limits.concurrency is not None and len(self.running) >= limits.concurrency:
            return ReachedLimit(LimitName.CONCURRENCY, limits.concurrency, 1.0)
        if limits.tokens_per_day is not None and self.tokens(unix) >= limits.tokens_per_day:
            return ReachedLimit(LimitName.TOKENS, limits.tokens_per_day, day_seconds_left(unix))
        if limits.requests_per_minute is not None and self.requests(now) >= limits.requests_per_minute:
            oldest = self._starts[-limits.requests_per_minute]  # of those that must have become fewer
            return ReachedLimit(LimitName.REQUESTS, limits.requests_per_minute, oldest + MINUTE_SECONDS - now)
        return None


def day_seconds_left(unix: float) -> float:
    """Return how long this day of UTC goes on."""
    return DAY_SECONDS - unix % DAY_SECONDS


def day_began(unix: float) -> float:
    """Return when this day of UTC began, in unix seconds."""
    return unix - unix % DAY_SECONDS


class KeyMeters:
    """The meters of all keys that have a name, by it."""

    def __init__(self) -> None:
        self._meters: dict[str, KeyMeter] = {}

    def use(self, limits: Iterable[tuple[str, KeyLimits]]) -> None:
        """Go by these keys and their limits from here on; what a key has used stays used."""
        meters = {}
        for name, wanted in limits:
            meter = meters[name] = self._meters.get(name) or KeyMeter(name)
            meter.limits = wanted
        self._meters = meters

    def get(self, name: str) -> KeyMeter | None:
        """Return the meter of a key; None for one without a name of its own."""
        return self._meters.get(name)

    def all(self) -> list[KeyMeter]:
        """Return the meters, by name of the keys."""
        return [self._meters[name] for name in sorted(self._meters)]

    def used(self, name: str, tokens: int, unix: float) -> None:
        """Add tokens that a request with a key took."""
        meter = self._meters.get(name)
        if meter is not None and tokens:
            meter.used(tokens, unix)
