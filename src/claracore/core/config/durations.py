"""How many seconds does a text such as "30s", "1h30m" or "250ms" mean?"""

from __future__ import annotations

import re

DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?"
)
DURATION_PATTERN = r"^-?\d+(\.\d+)?$|^(?=\d)(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+ms)?$"
UNITS_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
LONGEST_SECONDS = 1e9
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
EXPECTED_DURATION = "expected seconds (30) or a duration (30s, 5m, 1h30m)"


def parse_seconds(value: object) -> float:
    """Return `value` in seconds: a number, or a text such as "30s", "5m", "1h30m", "250ms".

    Raises ValueError, with the accepted forms in the message.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= LONGEST_SECONDS else None
    elif isinstance(value, str):
        seconds = _seconds_of_text(value.strip())
    else:
        seconds = None
    if seconds is None or not abs(seconds) <= LONGEST_SECONDS:
        raise ValueError(EXPECTED_DURATION)
    return seconds


def _seconds_of_text(text: str) -> float | None:
    if len(text) > 40:
        return None
    if NUMBER.fullmatch(text):
        return float(text)
    match = DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), UNITS_SECONDS, strict=True) if part)
