"""How does a client hear of the limits of its key, and that it has reached one?

The numbers are those of `core/key_limits`; the header fields are OpenAI's, which its SDKs read.
"""

from __future__ import annotations

import math
import time

from claracore.core.key_limits import KeyMeter, LimitName, ReachedLimit, day_seconds_left
from claracore.errors import ClaraCoreError

_WHAT = {
    LimitName.REQUESTS: "may send {} requests a minute",
    LimitName.TOKENS: "may use {} tokens a day (of UTC)",
    LimitName.CONCURRENCY: "may have {} requests at the same time",
}
_MOST_WAITING_SECONDS = 120
"""What is over later than that is not worth a repetition by an SDK."""


class LimitExceeded(ClaraCoreError):
    """A key has used what it may use for now; 429 with Retry-After."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    cause = "The key has used up one of its limits: requests at once, requests or tokens of a time."
    way_out = "Wait for Retry-After, or change them: `claracore keys list`, `PUT /api/keys/{name}/limits`."

    def __init__(self, name: str, reached: ReachedLimit, fields: dict[str, str]) -> None:
        seconds = max(1, math.ceil(reached.again_seconds))
        what = _WHAT[reached.limit].format(f"{reached.number:,}")
        message = f"the key {name!r} {what} ({reached.limit.value}); try again in {seconds} s"
        super().__init__(message, param=reached.limit.value, retry_after_seconds=seconds)
        if seconds > _MOST_WAITING_SECONDS:
            self.should_retry = False
        self._fields = fields

    def headers(self) -> dict[str, str]:
        """Say how much is left, beside when to come again."""
        return {**super().headers(), **self._fields}


def begin(meter: KeyMeter, who: object, now: float) -> None:
    """Take a request in; `now` is the event loop's time. Raises LimitExceeded."""
    reached = meter.begin(who, now, time.time())
    if reached is not None:
        raise LimitExceeded(meter.name, reached, limit_fields(meter, now))


def limit_fields(meter: KeyMeter, now: float) -> dict[str, str]:
    """Return the header fields that say how much of its limits a key has left."""
    limits = meter.limits
    fields: dict[str, str] = {}
    if limits.requests_per_minute is not None:
        left = max(0, limits.requests_per_minute - meter.requests(now))
        fields |= _fields("requests", limits.requests_per_minute, left, meter.requests_reset_seconds(now))
    if limits.tokens_per_day is not None:
        unix = time.time()
        left = max(0, limits.tokens_per_day - meter.tokens(unix))
        fields |= _fields("tokens", limits.tokens_per_day, left, day_seconds_left(unix))
    return fields


def limit_lines(meter: KeyMeter, now: float) -> list[bytes]:
    """Return the same as lines of a head."""
    return [f"{name}: {value}".encode() for name, value in limit_fields(meter, now).items()]


def _fields(kind: str, limit: int, left: int, reset_seconds: float) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(left),
        f"x-ratelimit-reset-{kind}": f"{math.ceil(reset_seconds)}s",
    }
