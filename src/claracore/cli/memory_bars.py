"""How is shown who takes how much of a device's memory? One line each, of letters that every terminal has."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from claracore.cli.terminal import columns
from claracore.core.units import gib

CELLS = 40
LEAST_WORDS = 20
OTHERS, KEPT, BEYOND, FREE = "o", "-", "x", "."


def memory_bars(devices: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each device of `GET /api/memory`: letters for models, `o` others, `-` kept free, `x`, `.`."""
    width = max((len(device["id"]) for device in devices), default=0)
    room = columns()
    return [line for device in devices for line in _lines(f"{device['id']:<{width}}", device, room)]


def _lines(name: str, device: dict[str, Any], room: int | None) -> list[str]:
    """Return a device's line; on a terminal that is too narrow its words stand below the bar."""
    words = ", ".join(_words(device))
    line = f"{name}  [{_bar(device, CELLS)}] {words}"
    if room is None or len(line) <= room:
        return [line]
    cells = max(1, min(CELLS, room - len(name) - 4))
    below = textwrap.wrap(words, max(LEAST_WORDS, room - 2), initial_indent="  ", subsequent_indent="  ")
    return [f"{name}  [{_bar(device, cells)}]", *below]


def _bar(device: dict[str, Any], width: int) -> str:
    total = max(1, device["total_bytes"])
    models = [(letter, row["bytes"]) for letter, row in _lettered(device)]
    rest = [(BEYOND, _beyond(device)), (OTHERS, device["other_bytes"]), (KEPT, device["reserved_bytes"])]
    left = "".join(letter * _cells(size, total, width) for letter, size in models)[:width]
    right = "".join(letter * _cells(size, total, width) for letter, size in rest)[: width - len(left)]
    return left + FREE * (width - len(left) - len(right)) + right


def _cells(size: int, total: int, width: int) -> int:
    """Return how many cells stand for so many bytes: at least one, so that nothing is overlooked."""
    return max(1, min(width, round(size / total * width))) if size else 0


def _words(device: dict[str, Any]) -> Iterator[str]:
    for letter, row in _lettered(device):
        size = gib(row["bytes"]) if row["bytes"] else "?"
        yield f"{letter} {row['model']} {size} ({row['source']})"
    if device["other_bytes"]:
        yield f"{OTHERS} other programs {gib(device['other_bytes'])}"
    if device["reserved_bytes"]:
        yield f"{KEPT} kept free {gib(device['reserved_bytes'])}"
    if beyond := _beyond(device):
        yield f"{BEYOND} beyond the budget {gib(beyond)}"
    yield f"{FREE} free {gib(device['free_bytes'])} of {gib(device['total_bytes'])}"


def _beyond(device: dict[str, Any]) -> int:
    """Return the bytes that nobody uses and no model may."""
    taken = sum(row["bytes"] for row in device["models"])
    known = taken + device["other_bytes"] + device["reserved_bytes"] + device["free_bytes"]
    return max(0, int(device["total_bytes"]) - int(known))


def _lettered(device: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(ascii_uppercase[number % 26], row) for number, row in enumerate(device["models"])]
