"""How does a log line write the time? (`logTimeFormat`: the layouts of Go's time package, by name.)"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

Layout = Callable[[datetime], str]
"""Writes a time that has a zone."""


def _like(pattern: str) -> Layout:
    """Return a layout from a `str.format` pattern; `{d}` is the day in two places, `{z}` the zone of RFC 3339."""

    def layout(at: datetime) -> str:
        zone = at.strftime("%z")
        return pattern.format(
            t=at,
            d=f"{at.day:2d}",
            h=at.hour % 12 or 12,
            milli=at.microsecond // 1000,
            z="Z" if zone in {"", "+0000"} else f"{zone[:3]}:{zone[3:]}",
            fraction=f".{at.microsecond:06d}".rstrip("0").rstrip("."),
        )

    return layout


LAYOUTS: Final = {
    "ansic": _like("{t:%a %b} {d} {t:%H:%M:%S %Y}"),
    "unixdate": _like("{t:%a %b} {d} {t:%H:%M:%S %Z %Y}"),
    "rubydate": _like("{t:%a %b %d %H:%M:%S %z %Y}"),
    "rfc822": _like("{t:%d %b %y %H:%M %Z}"),
    "rfc822z": _like("{t:%d %b %y %H:%M %z}"),
    "rfc850": _like("{t:%A, %d-%b-%y %H:%M:%S %Z}"),
    "rfc1123": _like("{t:%a, %d %b %Y %H:%M:%S %Z}"),
    "rfc1123z": _like("{t:%a, %d %b %Y %H:%M:%S %z}"),
    "rfc3339": _like("{t:%Y-%m-%dT%H:%M:%S}{z}"),
    "rfc3339nano": _like("{t:%Y-%m-%dT%H:%M:%S}{fraction}{z}"),
    "kitchen": _like("{h}:{t:%M%p}"),
    "stamp": _like("{t:%b} {d} {t:%H:%M:%S}"),
    "stampmilli": _like("{t:%b} {d} {t:%H:%M:%S}.{milli:03d}"),
    "stampmicro": _like("{t:%b} {d} {t:%H:%M:%S.%f}"),
    "stampnano": _like("{t:%b} {d} {t:%H:%M:%S.%f}000"),
}


def layout_named(name: str) -> Layout | None:
    """Return the layout of this name, in any case; None when it is empty or unknown."""
    return LAYOUTS.get(name.strip().lower())
