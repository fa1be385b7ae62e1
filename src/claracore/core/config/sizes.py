"""How many bytes does a text such as "500MiB", "8GiB" or "1.5 GB" mean?

Powers of 1024 whatever the unit is called, as in everything that shows memory.
"""

from __future__ import annotations

import re

SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(?:i?B)?", re.IGNORECASE)
SIZE_PATTERN = r"^(0|\d{7,16}|\d+(\.\d+)? ?[kKmMgGtT]([iI]?[bB])?)$"
LEAST_BARE = 10**6
"""A smaller number without a unit is hardly meant to be bytes."""
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
LARGEST = 1024**5
EXPECTED_SIZE = "expected a size with its unit (500MiB, 8GiB)"


def parse_bytes(value: object) -> int:
    """Return `value` in bytes: a text such as "500MiB", "8GiB", "1.5 GB", 0, or a large number of bytes.

    Raises ValueError, with the accepted forms in the message.
    """
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        text = str(value).strip()
        if text == "0" or (text.isdecimal() and LEAST_BARE <= float(text) <= LARGEST):
            return int(text)
        match = SIZE.fullmatch(text) if len(text) <= 40 else None
        size = int(float(match[1]) * UNITS[match[2].upper()]) if match is not None else LARGEST + 1
        if size <= LARGEST:
            return size
    raise ValueError(EXPECTED_SIZE)
